"""One entry of `rules:` → `Rule`: its kind's parameters checked, its conditions parsed, its timers filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args

from pydantic.fields import FieldInfo

from detectors.base import ConditionParameter, Detector, DetectorModel
from detectors.condition import Always, Condition
from detectors.query import MINUTE_MS, AnyMeasure, Measure
from recognizer.paths import visible
from rules.condition_lint import check_condition
from rules.fields import FIELDS, did_you_mean, unknown_field
from rules.layout import RuleLayout, TimersLayout, keys_of
from rules.model import Policy, Rule, Severity
from rules.problems import ProblemCode
from rules.report import Report
from rules.where import UnknownFieldError, WhereError, parse
from rules.yaml_positions import Path

T = TypeVar("T")

SHORTEST_EVERY_MS = 5_000
KEEP_FIRING_FOR_MS = 300_000
REPEAT_EVERY_MS = 4 * 3_600_000


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule that was read without an error, and where it stands in the file."""

    rule: Rule
    path: Path
    enabled: bool


def read_rule(
    raw: Mapping[str, Any],
    path: Path,
    report: Report,
    kinds: Mapping[str, type[DetectorModel]],
    defaults: TimersLayout,
) -> PlacedRule | None:
    """The rule at ``path``, or None with everything that is wrong with it reported."""
    listed = _listed_fields_exist(raw, path, report)
    model = _model_of(raw, path, report, kinds)
    common = keys_of(RuleLayout)
    layout = report.validated(RuleLayout, {key: raw[key] for key in raw if key in common}, path)
    if model is None:
        return None
    own = keys_of(model)
    strangers = [key for key in raw if key not in common and key not in own]
    for key in strangers:
        report.unknown_key(key, sorted({*common, *own}), (*path, key))
    parameters, parsed = _with_conditions({key: raw[key] for key in raw if key in own}, model, path, report)
    detector = report.validated(model, parameters, path)
    if layout is None or detector is None or strangers or not (listed and parsed):
        return None
    # a model of a registered kind keeps the protocol too: detectors.checks holds every kind to it
    judge = cast("Detector", detector)
    if not _fields_exist(judge, raw, path, report):
        return None
    return PlacedRule(_rule(layout, judge, defaults), path, layout.enabled)


def _model_of(
    raw: Mapping[str, Any], path: Path, report: Report, kinds: Mapping[str, type[DetectorModel]]
) -> type[DetectorModel] | None:
    kind = raw.get("kind")
    if not isinstance(kind, str):
        return None
    if kind not in kinds:
        hint = did_you_mean(kind, kinds)
        report.add(
            ProblemCode.UNKNOWN_KIND, f'no kind of rule is called "{visible(kind, 60)}"', (*path, "kind"), hint=hint
        )
        return None
    return kinds[kind]


def _with_conditions(
    raw: dict[str, Any], model: type[DetectorModel], path: Path, report: Report
) -> tuple[dict[str, Any], bool]:
    """The parameters with KQL parsed to conditions, and whether all of it could be.

    What could not is replaced, so that the other parameters are checked too.
    """
    parsed = dict(raw)
    good = True
    for name, info in model.model_fields.items():
        key = info.alias or name
        if not _is_condition(info) or not isinstance(raw.get(key), str):
            continue
        try:
            parsed[key] = parse(raw[key])
            check_condition(report, parsed[key], (*path, key), raw[key])
        except WhereError as error:
            parsed[key], good = Always(), False
            code = ProblemCode.UNKNOWN_FIELD if isinstance(error, UnknownFieldError) else ProblemCode.BAD_CONDITION
            report.add_inside(
                code, error.message, (*path, key), position=error.position, width=error.width, hint=error.hint
            )
    return parsed, good


def _is_condition(info: FieldInfo) -> bool:
    given = get_args(info.annotation)
    return set(get_args(Condition)) <= set(given) or ConditionParameter in given


def _rule(layout: RuleLayout, detector: Detector, defaults: TimersLayout) -> Rule:
    every_ms = layout.every if layout.every is not None else _every_ms(detector)
    # what learns calls an alarm over after three calm buckets: an alert that ended before it would begin anew
    keep_ms = max(KEEP_FIRING_FOR_MS, 3 * every_ms)
    return Rule(
        id=layout.id,
        detector=detector,
        summary=layout.summary,
        severity=_first(layout.severity, defaults.severity, Severity.WARNING),
        policy=Policy(
            for_ms=_first(layout.for_, defaults.for_, 0),
            keep_firing_for_ms=_first(layout.keep_firing_for, defaults.keep_firing_for, keep_ms),
            repeat_every_ms=_first(layout.repeat_every, defaults.repeat_every, max(REPEAT_EVERY_MS, every_ms)),
        ),
        every_ms=every_ms,
        notify=_first(layout.notify, defaults.notify, ()),
        runbook=layout.runbook,
        suspects=layout.suspects,
    )


def _first(own: T | None, common: T | None, otherwise: T) -> T:
    """What the rule says, else what `defaults:` says, else the product's default."""
    return own if own is not None else common if common is not None else otherwise


def _every_ms(detector: Detector) -> int:
    query = detector.query()
    if query.partial:
        return SHORTEST_EVERY_MS
    return max(query.bucket_ms or MINUTE_MS, SHORTEST_EVERY_MS)


def _listed_fields_exist(raw: Mapping[str, Any], path: Path, report: Report) -> bool:
    """Whether every name under ``group_by`` and ``suspects`` is a field, whatever else is wrong with the rule."""
    found = True
    for key in ("group_by", "suspects"):
        names = raw.get(key)
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name not in FIELDS:
                _unknown_field(name, (*path, key, number), report)
                found = False
    return found


def _fields_exist(detector: Detector, raw: Mapping[str, Any], path: Path, report: Report) -> bool:
    """Whether every field that the rule measures or compares is one of the contract."""
    measured = (field for measure in detector.query().measures for field in _fields_of(measure))
    unknown = dict.fromkeys(name for name in measured if name not in FIELDS)
    for name in unknown:
        _unknown_field(name, place_of(name, raw, path), report)
    return not unknown


def _unknown_field(name: str, path: Path, report: Report) -> None:
    message, hint = unknown_field(name)
    report.add(ProblemCode.UNKNOWN_FIELD, message, path, hint=hint)


def _fields_of(measure: AnyMeasure) -> Iterable[str]:
    if isinstance(measure, Measure):
        return () if measure.field is None else (measure.field,)
    return (measure.field,)


def place_of(name: str, raw: Mapping[str, Any], path: Path) -> Path:
    """Where the rule says ``name``: as a value, as an item of a list, or inside of such an item."""
    for key, value in raw.items():
        if value == name:
            return (*path, key)
        for number, item in enumerate(value if isinstance(value, list) else ()):
            here = (*path, key, number)
            inner = place_of(name, item, here) if isinstance(item, dict) else here
            if item == name or inner != here:
                return inner
    return path
