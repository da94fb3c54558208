"""alerts.yaml → Config, or every problem at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from detectors.base import DetectorModel
from recognizer.paths import visible
from rules import yaml_positions
from rules.assemble import PlacedRule, read_rule
from rules.fields import did_you_mean
from rules.layout import FileLayout, TimersLayout, keys_of
from rules.lint import lint
from rules.model import Config, IngestConfig, Plugin
from rules.problems import Problem, ProblemCode, Weight
from rules.report import Report
from rules.yaml_read import MAX_BYTES, read


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-in kinds a configuration may name, each with the model of its parameters."""

    detectors: Mapping[str, type[DetectorModel]]
    channels: Mapping[str, type[BaseModel]]
    stores: Mapping[str, type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """``config`` is None when a problem is an error. ``source`` is the text the problems' lines refer to."""

    config: Config | None
    problems: tuple[Problem, ...] = ()
    source: str = ""


def load_file(path: Path, registry: Registry) -> Loaded:
    """What `load` makes of a file; one that can't be read is a problem too."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(
            code=ProblemCode.UNREADABLE,
            message=f"can't be read: {error.strerror or error}",
            file=file,
            line=1,
            column=1,
            hint="give the path of an alerts.yaml; wumu init writes one",
        )
        return Loaded(None, (problem,))
    return load_bytes(data, file, registry)


def load_bytes(data: bytes, file: str, registry: Registry) -> Loaded:
    """What `load` makes of a file's bytes, which must be UTF-8."""
    try:
        # too large is told by `load`, also when the limit cuts a character
        text = data.decode("utf-8-sig", "replace" if len(data) > MAX_BYTES else "strict")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        problem = Problem(
            code=ProblemCode.NOT_YAML,
            message=f"byte 0x{data[error.start]:02X} is not UTF-8",
            file=file,
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
            hint="save the file as UTF-8",
        )
        return Loaded(None, (problem,), data.decode("utf-8", "surrogateescape"))
    return load(text, file, registry)


def load(text: str, file: str, registry: Registry) -> Loaded:
    """The configuration in ``text``, and all that is wrong with it in the order of the file."""
    result = read(text, file)
    if result.document is None:
        empty = Problem(
            code=ProblemCode.MISSING_KEY,
            message="the file is empty",
            file=file,
            line=1,
            column=1,
            hint="wumu init writes a file to start from",
        )
        return Loaded(None, result.problems or (empty,), text)
    report = Report(result.document, list(result.problems))
    if not isinstance(result.document.root.value, dict):
        hint = "begin with version: 1 and rules:"
        report.add(ProblemCode.WRONG_VALUE, "an alerts.yaml is a mapping of keys", (), hint=hint)
        return Loaded(None, tuple(report.problems), text)
    config = _Reader(report, registry).config()
    problems = tuple(sorted(report.problems, key=lambda problem: (problem.line, problem.column)))
    failed = any(problem.weight is Weight.ERROR for problem in problems)
    return Loaded(None if failed else config, problems, text)


class _Reader:
    """Reads the parts of one document. Each part is read whatever is wrong with the others."""

    def __init__(self, report: Report, registry: Registry) -> None:
        self._report = report
        self._registry = registry
        self._raw: dict[str, Any] = report.document.plain()

    def config(self) -> Config | None:
        layout = self._report.validated(FileLayout, self._raw, ())
        self._check_time_zone()
        channels = self._channels()
        store = self._plugin("store", ("store",), self._registry.stores) if "store" in self._raw else None
        placed = self._rules(self._defaults(layout))
        lint(self._report, self._raw, placed, self._names("channels"))
        if layout is None:
            return None
        ingest = layout.ingest
        return Config(
            rules=tuple(one.rule for one in placed if one.enabled),
            channels=channels,
            store=store,
            ingest=IngestConfig(
                enabled=ingest.enabled,
                paths=ingest.paths,
                poll_ms=ingest.poll,
                max_age_ms=ingest.max_age,
                max_future_ms=ingest.max_future,
            ),
            language=layout.language,
            tick_ms=layout.tick,
            catch_up_ms=layout.catch_up,
            retention_ms=layout.retention,
            time_zone=layout.time_zone,
        )

    def _names(self, key: str) -> list[str]:
        value = self._raw.get(key)
        return list(value) if isinstance(value, dict) else []

    def _defaults(self, layout: FileLayout | None) -> TimersLayout:
        """`defaults:` also when another part of the file is wrong, so that the rules are judged as they will be."""
        if layout is not None:
            return layout.defaults
        raw = self._raw.get("defaults")
        known = keys_of(TimersLayout)
        quiet = Report(self._report.document)
        kept = {key: raw[key] for key in raw if key in known} if isinstance(raw, dict) else {}
        return quiet.validated(TimersLayout, kept, ("defaults",)) or TimersLayout()

    def _check_time_zone(self) -> None:
        name = self._raw.get("time_zone", "UTC")
        if not isinstance(name, str) or name == "UTC":
            return
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            self._report.add(
                ProblemCode.WRONG_VALUE,
                f'no time zone is called "{visible(name, 60)}"',
                ("time_zone",),
                hint="write UTC or a name like Asia/Shanghai; the system's tzdata lists them",
            )

    def _channels(self) -> dict[str, Plugin]:
        found = {
            name: self._plugin("channel", ("channels", name), self._registry.channels)
            for name in self._names("channels")
        }
        return {name: plugin for name, plugin in found.items() if plugin is not None}

    def _plugin(self, noun: str, path: yaml_positions.Path, kinds: Mapping[str, type[BaseModel]]) -> Plugin | None:
        raw = self._report.document.plain(path)
        if not isinstance(raw, dict):
            return None
        kind = raw.get("kind")
        if kind is None:
            self._report.add(
                ProblemCode.MISSING_KEY, "kind: is missing", path, key=True, hint=f"one of: {', '.join(kinds)}"
            )
            return None
        if kind not in kinds:
            hint = did_you_mean(str(kind), kinds)
            self._report.add(
                ProblemCode.UNKNOWN_KIND,
                f'no kind of {noun} is called "{visible(str(kind), 60)}"',
                (*path, "kind"),
                hint=hint,
            )
            return None
        parameters = self._report.validated(kinds[kind], {key: raw[key] for key in raw if key != "kind"}, path)
        return None if parameters is None else Plugin(kind=kind, parameters=parameters)

    def _rules(self, defaults: TimersLayout) -> list[PlacedRule]:
        raw = self._raw.get("rules")
        entries = enumerate(raw) if isinstance(raw, list) else ()
        read_one: Callable[..., PlacedRule | None] = partial(
            read_rule, report=self._report, kinds=self._registry.detectors, defaults=defaults
        )
        found = [read_one(entry, ("rules", number)) for number, entry in entries if isinstance(entry, dict)]
        self._check_ids(raw if isinstance(raw, list) else [])
        return [one for one in found if one is not None]

    def _check_ids(self, entries: list[Any]) -> None:
        first: dict[str, int] = {}
        for number, entry in enumerate(entries):
            name = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            if name in first:
                line, _ = self._report.document.place(self._report.document.span(("rules", first[name], "id")).start)
                self._report.add(
                    ProblemCode.DUPLICATE_RULE,
                    f'two rules are called "{visible(name, 60)}"',
                    ("rules", number, "id"),
                    hint=f"the first stands in line {line}; alerts are kept by this name",
                )
            first.setdefault(name, number)
