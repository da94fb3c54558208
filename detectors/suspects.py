"""Which field values the bad events share and the baseline does not: "92 % under the upload folder".

The daemon asks `suspect_query` for every field of `suspect_fields` and once for the totals, turns the answers into
`Tally` values with `tally`, asks `pair_query` for the `pairs` worth a look, and `rank` tells which values stand out.
Pure; the store is asked by the daemon.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from detectors.condition import Compare, Condition, Op, all_of, any_of, fields_of
from detectors.duration import HOUR_MS
from detectors.finding import Evidence, Finding
from detectors.frame import Frame, Interval, Series
from detectors.keys import key_condition, value_condition
from detectors.query import Measure, Query
from detectors.stats.association import excess_probability, holm, least_probability, lift, testable

TOP_VALUES = 20
MOST_SUSPECTS = 3
LEAST_SHARE = 0.2
"""A value that fewer of the bad events have explains too little."""
LEAST_BASELINE_MS = HOUR_MS
"""How much of the time before is compared at least: what did not come for a minute is not rare."""
LEAST_LIFT = 1.5
LEAST_EXCESS = 0.2
"""A value that half of all events have can't be twice as common among the bad ones: so much more of these will do."""
SIGNIFICANT = 0.05
_ANSWERS = frozenset({"top1_label", "top3_labels", "reason"})
"""What the service made of the pictures is rather an effect of a cause than the cause: it is told after whatever else
stands out."""
_SAME_EVENTS = 0.05
_SAME_SHARE = 0.1
_PAIRED_FIELDS = 4
_PAIRED_VALUES = 2
_KEPT_BY_PAIR = 0.8
_RARER_BY_PAIR = 0.5
_BEYOND_DOUBT = 0.001
"""A story about two fields, or about before and after, needs better proof than one about bad events and good ones."""
_LEAST_ARRIVED = 0.1
_NEW_LIFT = 20.0

Part = tuple[str, str]
"""A field and a value."""
Pair = tuple[Part, Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """``field`` = ``value`` holds for ``bad`` of ``bad_total`` bad and ``base`` of ``base_total`` baseline events.

    also          a second field and value that hold as well; None where the first says it all
    excess        its share of the bad events that came in addition to those that are usual
    arrived       the bad events are all since the change, good ones too, and the baseline is what came before it
    lift          (bad / bad_total) / (base / base_total), smoothed
    significance  probability of such a concentration by chance, corrected for the number of values compared
    """

    field: str
    value: str
    bad: int
    bad_total: int
    base: int
    base_total: int
    lift: float
    significance: float
    also: Part | None = None
    arrived: bool = False
    excess: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many bad and how many baseline events there are, and how many were as bad before it began."""

    bad: int
    base: int
    usual: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """How often a value came since a change (``bad``) and before it (``base``), of ``total`` events that tell."""

    count: Tally
    total: Tally


def suspect_fields(finding: Finding, fields: Sequence[str]) -> tuple[str, ...]:
    """Those of ``fields`` that could say something new: not in the key, not in the condition that made events bad.

    None where the finding has no bad events to compare with others (a silent source, an unfinished request).
    """
    evidence = finding.evidence
    if evidence.bad == evidence.baseline and evidence.compare_with is None:
        return ()
    known = {name for name, _ in finding.key} | fields_of(finding.evidence.bad)
    return tuple(name for name in fields if name not in known)


def suspect_interval(finding: Finding) -> Interval:
    """The interval over which the suspect queries of a finding are asked."""
    interval, other = finding.evidence.interval, _baseline(finding.evidence)
    return Interval(min(interval.start_ms, other.start_ms), max(interval.end_ms, other.end_ms))


def _baseline(evidence: Evidence) -> Interval:
    """When the events came with which the bad ones are compared: an hour of them at least, if they came before.

    In the first minutes of an incident there are too few others to tell what is usual.
    """
    other = evidence.compare_with or evidence.interval
    if other.start_ms >= evidence.interval.end_ms:
        return other
    return Interval(min(other.start_ms, other.end_ms - LEAST_BASELINE_MS), other.end_ms)


def _before(evidence: Evidence) -> Interval:
    """The part of the baseline in which bad events were nothing unusual."""
    start_ms = min(_baseline(evidence).start_ms, evidence.interval.start_ms)
    return Interval(start_ms, evidence.interval.start_ms if evidence.bad != evidence.baseline else start_ms)


def usual_weight(finding: Finding) -> float:
    """How many bad events there would be, as usual, for each that was counted before it began: by its length."""
    before_ms = _before(finding.evidence).length_ms
    return finding.evidence.interval.length_ms / before_ms if before_ms > 0 else 0.0


def suspect_query(finding: Finding, field: str | None) -> Query:
    """How often each value of ``field`` occurs among bad and baseline events; with None the totals.

    To be asked over `suspect_interval`, as one bucket.
    """
    evidence = finding.evidence
    bad = all_of(evidence.bad, within(evidence.interval))
    baseline = all_of(evidence.baseline, within(_baseline(evidence)))
    usual = all_of(evidence.bad, within(_before(evidence)))
    return Query(
        where=all_of(any_of(bad, baseline, usual), key_condition(finding.key)),
        group_by=() if field is None else (field,),
        measures=(Measure("bad", where=bad), Measure("base", where=baseline), Measure("usual", where=usual)),
        bucket_ms=0,
        top=None if field is None else TOP_VALUES,
    )


def pairs(total: Tally, tallies: Mapping[str, Mapping[str | None, Tally]]) -> tuple[Pair, ...]:
    """The pairs of values of two fields that may say more together than each alone.

    Both are more common among the bad events, and each holds for a fifth of them: the clearest two values of the
    clearest four fields. Two values of which neither stands out alone are not looked at, nor are the service's answers:
    a cause and what comes of it are no pair.
    """
    if total.bad < 1 or total.base < 1:
        return ()
    clearest: dict[str, list[tuple[float, str]]] = {}
    for field, counts in tallies.items():
        if field in _ANSWERS:
            continue
        found = [
            (count.base / total.base - count.bad / total.bad, value)
            for value, count in counts.items()
            if value is not None and count.bad >= LEAST_SHARE * total.bad
        ]
        if standing_out := sorted(each for each in found if each[0] < 0)[:_PAIRED_VALUES]:
            clearest[field] = standing_out
    fields = sorted(clearest, key=lambda field: (clearest[field][0], field))[:_PAIRED_FIELDS]
    return tuple(
        ((one, first), (other, second))
        for one, other in itertools.combinations(fields, 2)
        for _, first in clearest[one]
        for _, second in clearest[other]
    )


def pair_query(finding: Finding, wanted: Sequence[Pair]) -> Query:
    """How often each pair occurs among bad and baseline events: one row, to be asked over `suspect_interval`."""
    plain = suspect_query(finding, None)
    measures = []
    for place, pair in enumerate(wanted):
        both = all_of(*(value_condition(field, value) for field, value in pair))
        measures += [replace(one, name=f"{one.name}{place}", where=all_of(one.where, both)) for one in _counts(plain)]
    return replace(plain, measures=tuple(measures))


def pair_tallies(frame: Frame, wanted: Sequence[Pair]) -> dict[Pair, Tally]:
    """The answer to a `pair_query`."""
    return dict(zip(wanted, counted(frame, len(wanted)), strict=True))


def counted(frame: Frame, places: int) -> list[Tally]:
    """The one row of measures bad0, base0, bad1…; zeros where no event came."""
    if not frame.series:
        return [Tally(0, 0)] * places
    return [_tally_of(frame.series[0], str(place)) for place in range(places)]


def _tally_of(series: Series, suffix: str) -> Tally:
    """An `detectors.arrivals` query asks for no usual ones."""
    counts = [_count(series.values.get(f"{name}{suffix}", ())) for name in ("bad", "base", "usual")]
    return Tally(*counts)


def tally(frame: Frame) -> dict[str | None, Tally]:
    """The answer to a `suspect_query`: counts by the field's value (None: the field is missing, or the totals)."""
    return {series.key[0][1] if series.key else None: _tally_of(series, "") for series in frame.series}


def rank(
    total: Tally,
    tallies: Mapping[str, Mapping[str | None, Tally]],
    paired: Mapping[Pair, Tally] = MappingProxyType({}),
    arrived: Mapping[Part, Arrival] = MappingProxyType({}),
    weight: float = 0.0,
) -> tuple[Suspect, ...]:
    """At most three values that the bad events have far more often than the baseline, the clearest first.

    ``tallies`` holds the counts by field and value, ``paired`` those of two values together. A suspect holds for a
    fifth of the bad events, is half as common again as in the baseline (or holds for a fifth of the bad events more
    than is usual), and is significant after Holm's correction for all values that could have been (`testable`). Of
    values that evidently hold for the same events only the first is told. A pair takes the place of its values where
    it keeps four fifths of the bad events of either, and is at most half as common in the baseline as either, beyond
    chance.

    Some events are as bad on every day, more of them where work is heavy. So what is clearest is told by what has come
    in addition: the bad events less ``weight`` times the usual ones (`usual_weight`).

    ``arrived`` are values that may have come with the change (`detectors.arrivals`). Such a suspect holds for a tenth
    of what came since, and was not even a twentieth as common before, beyond chance. Where all that has it shares a
    suspect that was there before (a folder whose pictures are suddenly small), that one is told first.
    """
    clear = _contrasted(total, tallies, paired, weight) if total.bad > 0 and total.base > 0 else []
    told = {part for one in clear if one.also is not None for part in _parts(one)}
    alone = [one for one in clear if one.also is not None or _parts(one)[0] not in told]
    new = [one for one in _arrived(arrived) if _parts(one)[0] not in told]
    order = {one: (_clearness(one), False) for one in alone}
    order |= {
        one: (_clearness(owner), True) if (owner := _owner(one, alone, arrived)) else (_clearness(one), False)
        for one in new
    }
    return _distinct(sorted(order, key=order.__getitem__))


def _contrasted(
    total: Tally, tallies: Mapping[str, Mapping[str | None, Tally]], paired: Mapping[Pair, Tally], weight: float
) -> list[Suspect]:
    """What is clear of bad events against others."""
    singles = {
        (field, value): Tally(min(count.bad, total.bad), min(count.base, total.base), min(count.usual, total.usual))
        for field, counts in tallies.items()
        for value, count in counts.items()
        if value is not None
    }
    closer = {pair: count for pair, count in paired.items() if _says_more(pair, count, singles, len(paired))}
    candidates: list[tuple[Part, Part | None, Tally]] = [(part, None, one) for part, one in singles.items()]
    candidates += [(first, second, one) for (first, second), one in closer.items()]
    least = [least_probability(one.bad + one.base, total.bad, total.base) for _, _, one in candidates]
    candidates = [one for one, can in zip(candidates, testable(least, SIGNIFICANT), strict=True) if can]
    chances = holm([excess_probability(one.bad, total.bad, one.base, total.base) for _, _, one in candidates])
    suspects = [
        replace(_suspect(part, one, total, chance, also=also), excess=_excess_share(one, total, weight))
        for (part, also, one), chance in zip(candidates, chances, strict=True)
    ]
    return [
        one
        for one in suspects
        if one.significance <= SIGNIFICANT and one.bad >= LEAST_SHARE * total.bad and _matters(one)
    ]


def _excess_share(count: Tally, total: Tally, weight: float) -> float:
    """The value's share of the bad events that came in addition; of all of them where these are too few to tell."""
    more = total.bad - weight * total.usual
    if more < LEAST_SHARE * total.bad:
        return count.bad / total.bad
    return min(max((count.bad - weight * count.usual) / more, 0.0), 1.0)


def _arrived(arrived: Mapping[Part, Arrival]) -> list[Suspect]:
    """What is clear of events since the change against those before it."""
    some = [(part, one.count, one.total) for part, one in arrived.items() if one.total.bad > 0 and one.total.base > 0]
    chances = holm([excess_probability(one.bad, all_.bad, one.base, all_.base) for _, one, all_ in some])
    suspects = [
        _suspect(part, one, all_, chance, arrived=True) for (part, one, all_), chance in zip(some, chances, strict=True)
    ]
    return [
        one
        for one in suspects
        if one.significance <= _BEYOND_DOUBT and one.bad >= _LEAST_ARRIVED * one.bad_total and one.lift >= _NEW_LIFT
    ]


def _suspect(
    part: Part, count: Tally, total: Tally, chance: float, *, also: Part | None = None, arrived: bool = False
) -> Suspect:
    return Suspect(
        field=part[0],
        value=part[1],
        also=also,
        arrived=arrived,
        bad=count.bad,
        bad_total=total.bad,
        base=count.base,
        base_total=total.base,
        lift=lift(count.bad, total.bad, count.base, total.base),
        significance=chance,
        excess=count.bad / total.bad,
    )


def _says_more(pair: Pair, both: Tally, singles: Mapping[Part, Tally], compared: int) -> bool:
    """Whether within the events of either value the bad ones have the other one far more often, beyond chance."""
    for part in pair:
        alone = singles[part]
        if both.bad < _KEPT_BY_PAIR * alone.bad or both.base > _RARER_BY_PAIR * alone.base:
            return False
        chance = excess_probability(min(both.bad, alone.bad), alone.bad, min(both.base, alone.base), alone.base)
        if chance * compared > _BEYOND_DOUBT:
            return False
    return True


def _matters(suspect: Suspect) -> bool:
    usual = suspect.base / suspect.base_total
    return suspect.lift >= LEAST_LIFT or suspect.bad / suspect.bad_total - usual >= LEAST_EXCESS


def _owner(new: Suspect, suspects: Sequence[Suspect], arrived: Mapping[Part, Arrival]) -> Suspect | None:
    """The clearest suspect that has held, since the change, for all events in which something is new and few others."""
    share = new.bad / new.bad_total

    def owns(one: Suspect) -> bool:
        since = arrived.get((one.field, one.value))
        if one.also is not None or since is None or since.total.bad < 1:
            return False
        return abs(since.count.bad / since.total.bad - share) <= _SAME_SHARE * share

    return min(filter(owns, suspects), key=_clearness, default=None)


def _parts(suspect: Suspect) -> tuple[Part, ...]:
    first = (suspect.field, suspect.value)
    return (first,) if suspect.also is None else (first, suspect.also)


def _clearness(suspect: Suspect) -> tuple[bool, float, float, int, tuple[Part, ...]]:
    difference = suspect.excess - suspect.base / suspect.base_total
    parts = _parts(suspect)
    answer = any(field in _ANSWERS for field, _ in parts)
    return answer, -difference, suspect.significance, -suspect.bad, parts


def _distinct(suspects: Sequence[Suspect]) -> tuple[Suspect, ...]:
    kept: list[Suspect] = []
    for suspect in suspects:
        if len(kept) < MOST_SUSPECTS and not any(_same_events(suspect, other) for other in kept):
            kept.append(suspect)
    return tuple(kept)


def _same_events(one: Suspect, other: Suspect) -> bool:
    """Two fields' values with nearly the same counts: a folder that only one host serves is told once.

    So is a value that is more common among the bad events and new as well.
    """
    if one.arrived is not other.arrived:
        return _parts(one) == _parts(other)
    return (
        one.field != other.field
        and abs(one.bad - other.bad) <= _SAME_EVENTS * one.bad_total
        and abs(one.base - other.base) <= _SAME_EVENTS * one.base_total
    )


def within(interval: Interval) -> Condition:
    return all_of(
        Compare("timestamp", Op.GE, interval.start_ms),
        Compare("timestamp", Op.LT, interval.end_ms),
    )


def _counts(query: Query) -> tuple[Measure, ...]:
    return tuple(measure for measure in query.measures if isinstance(measure, Measure))


def _count(values: Sequence[object]) -> int:
    return int(sum(value for value in values if isinstance(value, (int, float))))
