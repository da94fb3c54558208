"""Which field values came with a change: "channel_conversion = none in all events since 14:03, and in none before".

`detectors.suspects` compares bad events with good ones. What makes events bad may stand in other events than those that
are judged (a release changes what the preprocessing logs, and the scores fall), and all judged events of a key may have
it. So all events of the key, of whatever type, are compared with those before the change. Pure; the daemon asks
`arrival_query` for every field of `arrival_fields` and `arrival_totals_query` once, all over `arrival_interval`.
"""

from collections.abc import Mapping, Sequence

from detectors.condition import Always, Condition, Exists, all_of, any_of
from detectors.finding import Finding
from detectors.frame import Frame, Interval
from detectors.keys import key_condition
from detectors.query import Measure, Query
from detectors.suspects import (
    LEAST_BASELINE_MS,
    TOP_VALUES,
    Arrival,
    Part,
    Tally,
    counted,
    suspect_fields,
    tally,
    within,
)


def arrival_fields(finding: Finding, fields: Sequence[str]) -> tuple[str, ...]:
    """Those of ``fields`` that could say something new; none where no change has a beginning and an end."""
    return suspect_fields(finding, fields) if _since(finding).length_ms > 0 else ()


def arrival_interval(finding: Finding) -> Interval:
    """From before the change to the finding."""
    return Interval(_before(finding).start_ms, _since(finding).end_ms)


def arrival_query(finding: Finding, field: str) -> Query:
    """How often each value of ``field`` occurs in events of the key since the change and before it, as one bucket."""
    return Query(
        where=all_of(Exists(field), key_condition(finding.key)),
        group_by=(field,),
        measures=_counts(finding, Always(), ""),
        bucket_ms=0,
        top=TOP_VALUES,
    )


def arrival_totals_query(finding: Finding, fields: Sequence[str]) -> Query:
    """How many events are like those that were judged, and how many have each of ``fields`` at all: one row."""
    judged = any_of(finding.evidence.bad, finding.evidence.baseline)
    told = (judged, *map(Exists, fields))
    return Query(
        where=all_of(any_of(*told), key_condition(finding.key)),
        measures=tuple(one for place, which in enumerate(told) for one in _counts(finding, which, str(place))),
        bucket_ms=0,
    )


def arrivals(totals: Frame, answers: Mapping[str, Frame]) -> dict[Part, Arrival]:
    """The answers to an `arrival_totals_query` and, by field, to the `arrival_query`, in the order they were asked.

    A field that fewer events have than were judged is told of only these few: its shares are taken of as many as were
    judged, so that three errors with a reason say little about a thousand scores.
    """
    judged, *told = counted(totals, 1 + len(answers))
    found: dict[Part, Arrival] = {}
    for (field, frame), have in zip(answers.items(), told, strict=True):
        total = Tally(max(have.bad, judged.bad), max(have.base, judged.base))
        found |= {(field, value): Arrival(count, total) for value, count in tally(frame).items() if value is not None}
    return found


def _since(finding: Finding) -> Interval:
    return Interval(min(finding.since_ms, finding.at_ms), finding.at_ms)


def _before(finding: Finding) -> Interval:
    since = _since(finding)
    return Interval(since.start_ms - max(since.length_ms, LEAST_BASELINE_MS), since.start_ms)


def _counts(finding: Finding, which: Condition, suffix: str) -> tuple[Measure, ...]:
    return (
        Measure(f"bad{suffix}", where=all_of(which, within(_since(finding)))),
        Measure(f"base{suffix}", where=all_of(which, within(_before(finding)))),
    )
