"""Settings that would have cost fewer notices: candidates around a rule as it stands, replayed over the same history.

What a setting is worth can't be told without knowing which alerts were right. So nothing is changed here: what each
setting would have cost stands beside how many of the present alerts it would still have given.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from daemon.alerts.model import Alert
from daemon.baseline import Mark
from daemon.evaluate import Source
from daemon.replay import Replayed, replay
from detectors.base import DURATION, DetectorModel
from detectors.duration import format_duration
from detectors.frame import Interval
from detectors.parameters import Promise
from rules.model import Rule

Setting: TypeAlias = Mapping[str, str]
"""Keys of a rule in alerts.yaml that are changed, with the text that stands there."""

FOR = "for"
FOR_MS = (0, 120_000, 300_000, 900_000)
FACTORS: Mapping[str, tuple[float, ...]] = {
    "false_alarms": (3, 12),
    "min_change": (0.75, 1.5, 2),
    "above": (0.8, 1.25, 1.5, 2),
    "below": (1.2, 0.8, 0.65, 0.5),
    "at_least": (0.7, 1.5, 2, 3),
    "times": (1.34, 2, 3),
    "silent_for": (2, 4),
    "timeout": (2, 4),
}
"""What is tried of each parameter, as multiples of what the rule says (of a promise: of its time). A kind is tuned by
those that it has, and every rule by its `for`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting and what it would have cost. ``kept`` counts the present alerts that it would still have given."""

    setting: Setting
    replayed: Replayed
    kept: int

    @property
    def text(self) -> str:
        return ", ".join(f"{key}: {value}" for key, value in self.setting.items()) or "(as it is)"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A rule with its candidates, the present setting first, and the one that is proposed."""

    rule: Rule
    candidates: tuple[Candidate, ...]
    proposed: Candidate

    @property
    def present(self) -> Candidate:
        return self.candidates[0]


def tune(
    rule: Rule,
    source: Source,
    interval: Interval,
    *,
    at_most: float,
    even_if_quiet: bool = False,
    marks: Sequence[Mark] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tuned:
    """Replay ``interval`` with every candidate, and propose one that costs ``at_most`` notices a day.

    A rule that costs no more as it is has no other candidates, unless ``even_if_quiet``. Raises StoreUnavailable.
    """
    if not even_if_quiet:
        (result,) = replay([rule], source, interval, marks=marks)
        if result.error or result.notices_a_day <= at_most:
            present = Candidate({}, result, len(result.alerts))
            return Tuned(rule, (present,), present)
    settings = list(_settings(rule))
    rules = [dataclasses.replace(changed, id=f"{rule.id}#{place}") for place, (_, changed) in enumerate(settings)]
    results = replay(rules, source, interval, marks=[_for_all(mark, rule) for mark in marks], on_progress=on_progress)
    candidates = tuple(
        Candidate(setting, result, sum(_given(alert, result) for alert in results[0].alerts))
        for (setting, _), result in zip(settings, results, strict=True)
    )
    return Tuned(rule, candidates, _proposed(candidates, at_most))


def _proposed(candidates: Sequence[Candidate], at_most: float) -> Candidate:
    """The present setting if it is quiet enough; else, of those that are, the one that keeps the most alerts.

    Of equals the one with the smallest change. If none is quiet enough, the quietest.
    """
    able = [one for one in candidates if not one.replayed.error]
    quiet = [one for one in able if one.replayed.notices_a_day <= at_most]
    if candidates[0] in quiet or not able:
        return candidates[0]
    if not quiet:
        return min(able, key=lambda one: one.replayed.notices)
    return max(quiet, key=lambda one: (one.kept, -len(one.setting)))


def _settings(rule: Rule) -> Iterator[tuple[Setting, Rule]]:
    """The rule as it is, each change alone, and each together with a longer `for`."""
    yield {}, rule
    steps = [step for step in FOR_MS if step > rule.policy.for_ms]
    changes: list[tuple[Setting, Rule]] = list(_changed(rule))
    yield from changes
    for step in steps:
        for setting, changed in [({}, rule), *changes]:
            policy = dataclasses.replace(changed.policy, for_ms=step)
            yield {**setting, FOR: format_duration(step)}, dataclasses.replace(changed, policy=policy)


def _changed(rule: Rule) -> Iterator[tuple[Setting, Rule]]:
    """The rule with one parameter of its kind changed; what its own checks refuse is left out."""
    detector = rule.detector
    if not isinstance(detector, DetectorModel):
        return
    model = type(detector)
    written = {
        info.alias or name: _as_written(getattr(detector, name), info)
        for name, info in model.model_fields.items()
        if name in detector.model_fields_set
    }
    for name, factors in FACTORS.items():
        info = model.model_fields.get(name)
        value = getattr(detector, name, None)
        if info is None or value is None:
            continue
        for text in dict.fromkeys(_scaled(value, factor, info) for factor in factors):
            try:
                changed: Any = model.model_validate({**written, info.alias or name: _read(text, value, info)})
            except ValidationError:
                continue
            if getattr(changed, name) != value:
                yield {info.alias or name: text}, dataclasses.replace(rule, detector=changed)


def _scaled(value: Any, factor: float, info: FieldInfo) -> str:
    """A multiple of a value, as alerts.yaml writes it."""
    if isinstance(value, Promise):
        return str(Promise(value.alarms, round(value.per_ms * factor)))
    if _is_duration(info):
        return format_duration(value * factor)
    return str(max(1, round(value * factor))) if isinstance(value, int) else f"{value * factor:.3g}"


def _read(text: str, like: Any, info: FieldInfo) -> Any:
    return text if isinstance(like, Promise) or _is_duration(info) else type(like)(text)


def _as_written(value: Any, info: FieldInfo) -> Any:
    return f"{value}ms" if _is_duration(info) and isinstance(value, int) else value


def _is_duration(info: FieldInfo) -> bool:
    return DURATION in info.metadata


def _for_all(mark: Mark, rule: Rule) -> Mark:
    """The candidates of a rule have names of their own: what is meant for the rule is meant for each."""
    return dataclasses.replace(mark, rules=()) if rule.id in mark.rules else mark


def _given(alert: Alert, other: Replayed) -> bool:
    """Whether another setting has an alert of the same key at the same time."""
    end_ms = other.interval.end_ms
    return any(
        one.key == alert.key
        and one.active_at_ms <= (alert.resolved_at_ms or end_ms)
        and alert.active_at_ms <= (one.resolved_at_ms or end_ms)
        for one in other.alerts
    )
