"""Checks beyond parsing: a file that loads and still does not do what its author means."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from detectors.condition import Condition, all_of
from detectors.duration import format_duration
from detectors.query import AnyMeasure, Histogram, Measure, Runs, Statistic, Tally, Unmatched
from recognizer.mapping import NUMERIC, Kind
from recognizer.paths import visible
from rules.assemble import PlacedRule, place_of
from rules.contradiction import never_true
from rules.fields import FIELDS, did_you_mean
from rules.problems import ProblemCode, Weight
from rules.report import Report
from rules.yaml_positions import Path

_SECRET_KEY = re.compile(r"(?i)(password|passwd|secret|token|api_?key|authorization)$")
_LOGIN = re.compile(r"://[^\s/@:]+:[^\s/@]+@")


def lint(report: Report, raw: Mapping[str, Any], placed: Sequence[PlacedRule], channels: Sequence[str]) -> None:
    """Add what is wrong with the file as a whole and with each rule that could be read."""
    _check_channels(report, raw, placed, channels)
    for one in placed:
        entry = report.document.plain(one.path)
        _check_together(report, one)
        _check_measures(report, one, entry)
        _check_timers(report, raw, one, entry)
    for path, value in _texts(raw, ()):
        _check_secret(report, path, value)


def _check_channels(
    report: Report, raw: Mapping[str, Any], placed: Sequence[PlacedRule], channels: Sequence[str]
) -> None:
    told = list(_notify_entries(raw))
    for path, name in told:
        if name not in channels:
            hint = did_you_mean(name, channels) if channels else "describe it under channels:"
            message = f'no channel is called "{visible(name, 60)}"'
            report.add(ProblemCode.UNKNOWN_CHANNEL, message, path, hint=hint)
    if not channels and placed and not told:
        report.add(
            ProblemCode.NO_CHANNEL,
            "nobody is told: alerts are only kept, and shown by wumu alerts",
            ("rules",),
            key=True,
            hint="describe a channel under channels: and name it under defaults: notify:",
            weight=Weight.WARNING,
        )
        return
    for one in placed:
        if channels and not one.rule.notify:
            hint = "name a channel under notify:, here or under defaults:"
            message = f"{one.rule.id} tells nobody"
            report.add(ProblemCode.NO_CHANNEL, message, (*one.path, "id"), hint=hint, weight=Weight.WARNING)
    for name in channels:
        if all(used in channels and name != used for _, used in told):
            hint = "name it under notify:, or remove it"
            message = f"no rule tells the channel {visible(name, 60)}"
            report.add(ProblemCode.NO_CHANNEL, message, ("channels", name), key=True, hint=hint, weight=Weight.WARNING)


def _notify_entries(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    rules = raw.get("rules")
    holders: list[tuple[Path, Any]] = [(("defaults",), raw.get("defaults"))]
    holders += [(("rules", number), rule) for number, rule in enumerate(rules if isinstance(rules, list) else ())]
    for path, holder in holders:
        names = holder.get("notify") if isinstance(holder, dict) else None
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                yield (*path, "notify", number), name


def _check_together(report: Report, one: PlacedRule) -> None:
    """A part that no event of ``where`` can satisfy: the rule would count nothing for ever."""
    query = one.rule.detector.query()
    parts = [condition for measure in query.measures for condition in _measure_conditions(measure)]
    if any(never_true(condition) is not None for condition in (query.where, *parts)):
        return
    field = next((name for part in parts if (name := never_true(all_of(query.where, part))) is not None), None)
    if field is not None:
        report.add(
            ProblemCode.NEVER_TRUE,
            f"no event that where: lets through can match the rest: {field} differs",
            (*one.path, "where"),
            hint="where: is what the rule looks at all; it must let both kinds of event through",
        )


def _measure_conditions(measure: AnyMeasure) -> tuple[Condition, ...]:
    match measure:
        case Measure():
            return (measure.where,)
        case Unmatched():
            return (measure.start, measure.end)
        case Runs() | Histogram() | Tally():
            return ()
        case _:
            assert_never(measure)


_ANY_FIELD = frozenset({Statistic.COUNT, Statistic.CARDINALITY})


def _check_measures(report: Report, one: PlacedRule, entry: Mapping[str, Any]) -> None:
    for measure in one.rule.detector.query().measures:
        unfit = _unfit(measure)
        if unfit is not None:
            field, needs, hint = unfit
            holds = f"a list of {FIELDS[field].kind}" if FIELDS[field].is_list else FIELDS[field].kind
            message = f"{field} holds {holds}: the measure needs {needs}"
            report.add(ProblemCode.WRONG_VALUE, message, place_of(field, entry, one.path), hint=hint)


def _unfit(measure: AnyMeasure) -> tuple[str, str, str] | None:
    """The field that holds what the measure can't use, what it needs, and what to do."""
    match measure:
        case Measure(statistic=statistic, field=str(field)) if statistic not in _ANY_FIELD:
            if FIELDS[field].kind not in NUMERIC:
                return field, "numbers", "count it, take its cardinality, or name a number such as duration_ms"
        case Histogram(field=field):
            if FIELDS[field].is_list or FIELDS[field].kind not in NUMERIC:
                return field, "single numbers", "name a number such as duration_ms"
        case Tally(field=field):
            if FIELDS[field].kind is not Kind.TEXT:
                return field, "texts", "name a text such as top1_label"
    return None


def _check_timers(report: Report, raw: Mapping[str, Any], one: PlacedRule, entry: Mapping[str, Any]) -> None:
    rule = one.rule
    timers = {
        "for": rule.policy.for_ms,
        "keep_firing_for": rule.policy.keep_firing_for_ms,
        "repeat_every": rule.policy.repeat_every_ms,
    }
    defaults = raw.get("defaults")
    for key, value_ms in timers.items():
        if not 0 < value_ms < rule.every_ms:
            continue
        here = (*one.path, key) if key in entry else (*one.path, "id")
        source = "" if key in entry or not isinstance(defaults, dict) or key not in defaults else " (from defaults:)"
        report.add(
            ProblemCode.TIMER_TOO_SHORT,
            f"{key}: {format_duration(value_ms)}{source} is shorter than the rule's evaluation every "
            f"{format_duration(rule.every_ms)}",
            here,
            hint=f"write at least {format_duration(rule.every_ms)}, or 0s",
            weight=Weight.WARNING,
        )


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, number))
    elif isinstance(value, str):
        yield path, value


def _check_secret(report: Report, path: Path, value: str) -> None:
    named = path[0] in ("channels", "store") and isinstance(path[-1], str) and _SECRET_KEY.search(path[-1])
    if named or _LOGIN.search(value):
        report.add(
            ProblemCode.SECRET_IN_FILE,
            "a secret does not belong in this file",
            path,
            hint="write {file: PATH}, {credential: NAME} (systemd LoadCredential) or {env: VARIABLE}",
            weight=Weight.WARNING,
        )
