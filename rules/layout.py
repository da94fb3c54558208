"""The shape of alerts.yaml, key by key. What a rule's kind, a channel or the store adds comes from the registry."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from detectors.base import DurationMs
from rules.model import SUSPECT_FIELDS, Language, Severity

_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Name = Annotated[str, Field(pattern=_NAME, max_length=64)]
Interval = Annotated[DurationMs, Field(ge=1_000)]
Retention = Annotated[DurationMs, Field(ge=3_600_000)]


def _link(value: str) -> str:
    if urlsplit(value).scheme not in ("http", "https"):
        raise ValueError("a link begins with https:// or http://")
    return value


class Layout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class IngestLayout(Layout):
    """What `wumu run` reads by itself. Switch it off where Filebeat or Logstash ship the events."""

    enabled: bool = Field(default=True, description="whether log files are tailed")
    paths: tuple[str, ...] = Field(default=(), description="globs of the log files, for example /var/log/app/*.log")
    poll: Interval = Field(default=1_000, description="how often a file is looked at")
    max_age: DurationMs = Field(default=30 * 86_400_000, description="events older than this are put aside")
    max_future: DurationMs = Field(default=3_600_000, description="events further in the future are put aside")


class TimersLayout(Layout):
    """What `defaults:` and every rule may say."""

    severity: Severity | None = Field(default=None, description="info, warning or critical; warning unless given")
    notify: tuple[str, ...] | None = Field(default=None, description="names of the channels that are told")
    for_: DurationMs | None = Field(
        default=None, alias="for", description="a finding must last this long before the alert fires; 0s unless given"
    )
    keep_firing_for: DurationMs | None = Field(
        default=None,
        description="an alert resolves once no finding came for this long; 5m unless given, "
        "three evaluations where they are longer",
    )
    repeat_every: DurationMs | None = Field(
        default=None, description="a firing alert is told again after this long, 0: never; 4h unless given"
    )


class RuleLayout(TimersLayout):
    """What every rule may say, whatever its kind."""

    id: Name = Field(description="the rule's name in every log line and mail: lower case, digits, hyphens")
    kind: str = Field(description="how the rule judges, for example streak or ratio")
    summary: str = Field(default="", max_length=200, description="one line for the subject of the mail")
    runbook: Annotated[str, AfterValidator(_link)] | None = Field(
        default=None, description="a link that the mail shows"
    )
    suspects: tuple[str, ...] = Field(
        default=SUSPECT_FIELDS, description="fields whose values are compared between bad events and the rest"
    )
    every: Interval | None = Field(
        default=None, description="how often it is evaluated; 5s for rules on single events, else the bucket"
    )
    enabled: bool = Field(default=True, description="false keeps the rule in the file without evaluating it")


class FileLayout(Layout):
    """The keys of the file itself."""

    version: Literal[1] = Field(description="version of this layout: 1")
    language: Language = Field(default=Language.EN, description="language of the messages: en or zh")
    time_zone: str = Field(default="UTC", description="time zone of the times in messages, for example Asia/Shanghai")
    store: dict[str, Any] | None = Field(default=None, description="where the events are kept")
    ingest: IngestLayout = Field(default=IngestLayout(), description="which log files are read")
    tick: Interval = Field(default=5_000, description="how often the daemon looks for rules that are due")
    catch_up: DurationMs = Field(default=86_400_000, description="how far back a stop is made up for")
    retention: Retention = Field(default=30 * 86_400_000, description="how long events are kept")
    channels: dict[Name, dict[str, Any]] = Field(default={}, description="ways to tell people, by a name of yours")
    defaults: TimersLayout = Field(default=TimersLayout(), description="what holds for rules that don't say otherwise")
    rules: list[dict[str, Any]] = Field(description="the list of rules")


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys a mapping of this model may hold, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]
