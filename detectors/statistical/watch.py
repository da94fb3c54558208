"""One series under watch: its scores against what chance gives, and the course of an alarm from begin to end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec
import numpy as np

from detectors.stats.departures import Excursion, Lull
from detectors.stats.robust import change_start
from detectors.stats.scales import Size
from detectors.stats.tail import Tail, needed

SIZE = Size(warm_up=312, blocks=96, ranks=48)
"""Time scales of 1, 3 and 6 buckets, the last 96 blocks of each."""

LONGEST_INTERVAL = 1e9
"""Buckets; what is rarer is not told apart."""
_LOOK_BACK = 36
_CALM = 3
"""An alarm ends after this many buckets inside of the band."""

_AFTERMATH = 36
"""The shapes that hold the incident look odd for this long after it: only what is far out begins an alarm then."""

_BAND = 3.76
"""Mean absolute errors that are three standard deviations of a normal law."""

_NARROWING = -0.25
"""Means of neighbours that depend on each other vary less than single values, but not by the root of their number."""

_BUDGET = 0.5
"""Departures may raise half as many false alarms as scores."""

_NARROWING_OF_COUNTS = -0.5
"""In a lull events are missing bucket by bucket, whatever the buckets before it were like."""

_WIDTHS = (1, 3, 12)
_AFTERMATH_WIDTHS = (1, 3)
_AFTERMATH_OUTSIDE = 4.0
_LATELY, _STILL = 3, 0.5
"""Many buckets together speak for now only while the newest three are still half as far out."""


class Alarm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An alarm: since when, which way, how rare it was at its worst (in buckets), and for how many it has been calm."""

    since_ms: int
    up: bool
    interval: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_INTERVAL)]
    calm: Annotated[int, msgspec.Meta(ge=0, le=_CALM + _AFTERMATH)] = 0

    @property
    def going_on(self) -> bool:
        return self.calm < _CALM


@dataclass(frozen=True, slots=True)
class View:
    """The newest ``buckets`` together: their mean, its band, and how far out it is (1 at the edge), in real units."""

    level: float
    centre: float
    low: float
    high: float
    buckets: int

    @property
    def up(self) -> bool:
        return self.level > self.centre

    @property
    def outside(self) -> float:
        room = self.high - self.centre if self.up else self.centre - self.low
        return abs(self.level - self.centre) / room if room > 0 else 0.0


class Terms(Protocol):
    """On what terms a series is watched."""

    @property
    def promised(self) -> float:
        """The mean number of buckets between two false alarms."""
        ...

    @property
    def least_seen(self) -> int:
        """The number of buckets that must have been learned from."""
        ...

    def view(self, level: float, centre: float, half: float, buckets: int) -> View | None:
        """The view in real units; None if it is not in the direction that is reported."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scorer (`detectors.stats.scorer`) says of one bucket of a series, before it has learned it.

    usual, error  what was expected at this time, and the mean absolute error of that
    learned       how many buckets it knows, this one included
    newest        the newest values of row ``row``, oldest first, on request
    """

    raw: float
    usual: float
    error: float
    learned: float
    row: int
    newest: Callable[[int], Sequence[float]]


class Watch:
    """Mutable: `step` takes the buckets one by one. ``alarm`` is the alarm that is going on, or that has just been.

    taken, strange  whether the scorer is to learn the newest bucket, and how strange it was
    """

    __slots__ = ("_bucket_ms", "_promised", "_terms", "alarm", "departure", "strange", "tail", "taken")

    def __init__(
        self, terms: Terms, bucket_ms: int, tail: Tail, alarm: Alarm | None, departure: Excursion | Lull
    ) -> None:
        self._terms = terms
        self._promised = terms.promised
        self._bucket_ms = bucket_ms
        self.tail = tail
        self.alarm = alarm
        self.departure = departure
        self.taken = self.strange = True

    def step(self, start_ms: int, value: float, seen: Seen) -> View | None:
        """Take the bucket that began at ``start_ms``; what is outside of the band if there is an alarm."""
        alarm = self.alarm
        least = alarm.interval if alarm is not None and alarm.going_on else self._promised
        by_score, by_distance = self.tail.interval(seen.raw, least), self._departed(value, seen, least)
        interval = min(max(by_score, by_distance), LONGEST_INTERVAL)
        view = self._alarming(seen, interval)
        if alarm is None:
            self._teach(self.tail, seen.raw, by_score, view)
            if seen.learned > self._terms.least_seen:
                self._teach(self.departure.tail, self.departure.sum, by_distance, view)
        self.strange, self.taken = alarm is None, False
        if view is not None:
            known = (
                alarm
                if alarm is not None and alarm.going_on
                else Alarm(self._began_ms(start_ms, seen, view), view.up, 0)
            )
            self.alarm = msgspec.structs.replace(known, interval=max(known.interval, interval), calm=0)
            return view
        if alarm is not None:
            calm = alarm.calm + 1
            self.alarm = msgspec.structs.replace(alarm, calm=calm) if calm < _CALM + _AFTERMATH else None
        self.taken = self.alarm is None or not self.alarm.going_on
        return None

    def _departed(self, value: float, seen: Seen, least: float) -> float:
        """How rarely chance alone takes the series so far from what is usual, in buckets; 0 where it is not known."""
        departure = self.departure
        if seen.learned <= self._terms.least_seen:
            return 0.0
        departure.step(value, seen.usual, seen.error)
        if not departure.sum or self._unknown:
            return 0.0
        return departure.tail.interval(departure.sum, least / _BUDGET) * _BUDGET

    @property
    def _unknown(self) -> int:
        """How many departures must still be seen before their promise can be kept."""
        return max(needed(self._promised) - self.departure.tail.seen, 0)

    def _teach(self, tail: Tail, score: float, interval: float, view: View | None) -> None:
        if view is not None or interval >= self._terms.promised:
            tail.learn_alarm(score, self._terms.promised)
        else:
            tail.learn(score)

    def forget(self) -> None:
        """The scorer learns what is usual anew; how often chance gives a score need not be."""
        self.alarm = None
        self.departure.restart()

    def _alarming(self, seen: Seen, interval: float) -> View | None:
        """What is outside of the band, if that begins an alarm or keeps one going."""
        alarm = self.alarm
        if alarm is not None and alarm.going_on:
            view = self._widest(seen, _WIDTHS)
            return view if view is not None and view.up == alarm.up else None
        if interval < self._promised or self.missing(seen.learned):
            return None
        if alarm is None:
            return self._widest(seen, _WIDTHS)
        view = self._widest(seen, _AFTERMATH_WIDTHS)
        return view if view is not None and view.outside > _AFTERMATH_OUTSIDE else None

    def missing(self, learned: float) -> int:
        """How many more buckets must be learned from before the promise can be kept; the scorer knows ``learned``."""
        lacking = needed(self._promised) - self.tail.seen, self._terms.least_seen - int(learned)
        return max(*lacking, 0)

    def lacking(self, learned: int, record: float) -> int:
        """How many more buckets, about, until there is something that can begin an alarm; 0 if there is.

        Of little that has been seen even the rarest score may come by chance more often than is promised. It suffices
        that a new record by every measure (raw score ``record``) does not, or one bucket as far out as counts.
        """
        missing, reach = self.missing(learned), self._reach(record)
        if missing or reach >= self._promised:
            return missing
        if self._unknown:
            return self._unknown
        longer = min(self._promised / max(reach, 1.0), 1.0 + self._promised / self.tail.seen)
        return math.ceil(self.tail.seen * (longer - 1.0))

    def _reach(self, record: float) -> float:
        """The longest mean time between false alarms, in buckets, that can be told of anything yet."""
        departure = self.departure
        by_distance = 0.0 if self._unknown else departure.tail.interval(departure.furthest) * _BUDGET
        return max(self.tail.interval(record), by_distance)

    def _widest(self, seen: Seen, widths: tuple[int, ...]) -> View | None:
        """The view that is furthest outside of its band; None if none is."""
        bands = [(width, width**_NARROWING) for width in widths]
        if self.departure.buckets:
            width = min(self.departure.buckets, _LOOK_BACK)
            bands.append((width, width**_NARROWING_OF_COUNTS))
        newest = seen.newest(seen.row)
        lately = math.fsum(newest[-_LATELY:]) / min(_LATELY, len(newest)) - seen.usual
        views: list[View] = []
        for width, narrower in bands:
            level = math.fsum(newest[-width:]) / width
            if len(newest) < width or (width > _LATELY and lately / (level - seen.usual or 1.0) < _STILL):
                continue
            view = self._terms.view(level, seen.usual, _BAND * seen.error * narrower, width)
            if view is not None and view.outside > 1.0:
                views.append(view)
        return max(views, key=lambda one: one.outside, default=None)

    def _began_ms(self, start_ms: int, seen: Seen, view: View) -> int:
        """The start of the bucket in which the change began."""
        newest = np.array(seen.newest(seen.row)[-_LOOK_BACK:])
        apart = newest - seen.usual if view.up else seen.usual - newest
        edge = max(seen.error, float(np.mean(np.sort(apart)[-view.buckets :])) / 2)
        return start_ms - (len(newest) - 1 - change_start(apart - edge)) * self._bucket_ms
