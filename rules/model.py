"""alerts.yaml as values: what a rule, a policy and the whole configuration are once they have been checked."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from detectors.base import Detector

SUSPECT_FIELDS = (
    "host",
    "model_name",
    "file_dir",
    "client_ip",
    "reason",
    "top1_label",
    "channels",
    "shape",
    "dtype",
    "channel_conversion",
    "device",
)
"""The fields whose values are compared between bad events and the rest, unless a rule names its own."""


class Severity(enum.StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Language(enum.StrEnum):
    EN = "en"
    ZH = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The timers of an alert's life.

    for_ms               a finding must last this long before the alert fires (until then it is pending)
    keep_firing_for_ms   it resolves once no finding came for this long
    repeat_every_ms      a firing alert is told again after this long; 0: never
    """

    for_ms: int = 0
    keep_firing_for_ms: int = 0
    repeat_every_ms: int = 4 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of alerts.yaml. ``id`` is its name in every log line, metric and mail."""

    id: str
    detector: Detector
    summary: str = ""
    severity: Severity = Severity.WARNING
    policy: Policy = Policy()
    every_ms: int = 60_000
    notify: tuple[str, ...] = ()
    runbook: str | None = None
    suspects: tuple[str, ...] = SUSPECT_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A configured part that a registry of the daemon knows: a channel or a store, with its own parameters."""

    kind: str
    parameters: BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """What `wumu run` tails. ``paths`` are globs; ``enabled`` is false where Filebeat or Logstash ship."""

    enabled: bool = True
    paths: tuple[str, ...] = ()
    poll_ms: int = 1_000
    max_age_ms: int = 30 * 86_400_000
    max_future_ms: int = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A checked alerts.yaml."""

    rules: tuple[Rule, ...]
    channels: Mapping[str, Plugin] = field(default_factory=dict)
    store: Plugin | None = None
    ingest: IngestConfig = IngestConfig()
    language: Language = Language.EN
    tick_ms: int = 5_000
    catch_up_ms: int = 86_400_000
    retention_ms: int = 30 * 86_400_000
    time_zone: str = "UTC"
