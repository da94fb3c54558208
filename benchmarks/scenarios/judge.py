"""Alarms against the truth: which incidents were caught, how soon, and which alarms were false."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.scenarios.truth import Cause, Named, Onset, Truth, Wanted

GRACE_MS = 15 * 60_000
"""What begins so soon after an incident's end may still be about it: windows end later than what is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alert that fired, or a match of another system.

    ``known_ms`` is when somebody could be told, ``about`` the fields that its rule looks at (event_type: it counts
    events).
    """

    rule: str
    key: Mapping[str, str]
    known_ms: int
    about: frozenset[str]
    suspects: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One scenario, judged.

    delay_ms  from the incident's start to the first right alarm; None: it was missed, or nobody should be told
    rank      where that first alarm names the cause: 1 as its key or its first suspect; None: nowhere

    The other fields are those of its `Truth`.
    """

    kind: str
    wanted: Wanted
    onset: Onset
    causes: tuple[Cause, ...]
    start_ms: int
    right: tuple[Alarm, ...] = ()
    wrong: tuple[Alarm, ...] = ()
    delay_ms: int | None = None
    rank: int | None = None


def is_right(alarm: Alarm, truth: Truth) -> bool:
    """It comes during the incident or shortly after, is about something that changed, and its key says nothing that
    the truth denies."""
    if truth.wanted is Wanted.NO or not truth.start_ms <= alarm.known_ms < truth.end_ms + GRACE_MS:
        return False
    if not alarm.about & truth.changed:
        return False
    return all(value in truth.touched[name] for name, value in alarm.key.items() if name in truth.touched)


def rank_of(suspects: Sequence[Named], truth: Truth) -> int | None:
    """1 where the first suspect is a cause, 2 where the second is…; None where none is.

    Two values that are suspected together are right if one is a cause and something is wrong with the other.
    """
    for place, suspect in enumerate(suspects, start=1):
        touched = all(value in truth.touched.get(name, ()) for name, value in suspect)
        if touched and any(part in truth.causes for part in suspect):
            return place
    return None


def _rank(alarm: Alarm, truth: Truth) -> int | None:
    """An alarm whose key names the cause has said enough."""
    return 1 if any(part in truth.causes for part in alarm.key.items()) else rank_of(alarm.suspects, truth)


def judge(alarms: Iterable[Alarm], truth: Truth) -> Verdict:
    """Every alarm of a scenario is right or wrong."""
    ordered = sorted(alarms, key=lambda alarm: alarm.known_ms)
    right = tuple(alarm for alarm in ordered if is_right(alarm, truth))
    wrong = tuple(alarm for alarm in ordered if not is_right(alarm, truth))
    return Verdict(
        kind=truth.kind,
        wanted=truth.wanted,
        onset=truth.onset,
        causes=truth.causes,
        start_ms=truth.start_ms,
        right=right,
        wrong=wrong,
        delay_ms=right[0].known_ms - truth.start_ms if right else None,
        rank=_rank(right[0], truth) if right else None,
    )


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Recall over the incidents somebody should be told of, precision over all alarms, delays in minutes.

    A rule that tells the same key again and again during one incident is right once; every wrong alarm counts.
    """
    due = [verdict for verdict in verdicts if verdict.wanted is Wanted.YES]
    caught = [verdict for verdict in due if verdict.right]
    right = sum(len({(alarm.rule, *alarm.key.items()) for alarm in verdict.right}) for verdict in verdicts)
    told = sum(len(verdict.right) for verdict in verdicts)
    wrong = sum(len(verdict.wrong) for verdict in verdicts)
    delays = {
        onset: [
            verdict.delay_ms / 60_000 for verdict in caught if verdict.onset is onset and verdict.delay_ms is not None
        ]
        for onset in Onset
    }
    return {
        "scenarios": len(verdicts),
        "recall": _share(len(caught), len(due)),
        "precision": _share(right, right + wrong),
        "median_delay_min": {onset.value: _median(values) for onset, values in delays.items() if values},
        "cause_first": _share(sum(verdict.rank == 1 for verdict in caught), len(caught)),
        "alarms": {"right": right, "repeated": told - right, "wrong": wrong},
        "wrong_by_rule": dict(Counter(alarm.rule for verdict in verdicts for alarm in verdict.wrong)),
        "first_by_rule": dict(Counter(verdict.right[0].rule for verdict in caught)),
    }


def by_kind(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    """A summary per kind of incident."""
    kinds: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        kinds.setdefault(verdict.kind, []).append(verdict)
    return {kind: summary(of_kind) for kind, of_kind in kinds.items()}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)
