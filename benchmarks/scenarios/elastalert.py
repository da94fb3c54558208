"""Rules as ElastAlert 2 has them, over the same traffic: what a careful user would write there.

The semantics are those of its documentation (the types frequency, spike, flatline, percentage_match,
spike_aggregation): windows that slide, one run a minute, fixed numbers. A rule that goes on matching is one alarm, as
with its ``realert``; alarms carry no suspects, as there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenarios.fleet import HOSTS
from benchmarks.scenarios.judge import Alarm
from benchmarks.scenarios.traffic import MINUTE_MS, Floats, Mask, Pictures, joined
from benchmarks.scenarios.world import Scenario

REALERT_MINUTES = 10
"""A rule that matches again within so long after its last match goes on."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Pictures by minute and by the value of a field."""

    field: str
    names: Sequence[str]
    place: NDArray[np.int64]
    minute: NDArray[np.int64]
    minutes: int

    def total(self, weights: Floats | Mask) -> Floats:
        """Sums by value (rows) and minute (columns)."""
        cells = np.bincount(
            self.place * self.minutes + self.minute, np.asarray(weights, float), len(self.names) * self.minutes
        )
        return np.asarray(cells, dtype=np.float64).reshape(len(self.names), self.minutes)


def trailing(totals: Floats, minutes: int) -> Floats:
    """Sums over windows of so many minutes, each named by its last one."""
    padded = np.concatenate([np.zeros((len(totals), minutes)), np.cumsum(totals, axis=1)], axis=1)
    return np.asarray(padded[:, minutes:] - padded[:, :-minutes])


def frequency(events: Floats, num_events: int, timeframe: int) -> Mask:
    """``num_events`` or more within ``timeframe``."""
    return np.asarray(trailing(events, timeframe) >= num_events)


def flatline(events: Floats, threshold: int, timeframe: int) -> Mask:
    """Fewer than ``threshold`` within ``timeframe``, of a key that was seen."""
    seen = np.cumsum(events, axis=1) > 0
    return np.asarray(seen & (trailing(events, timeframe) < threshold))


def percentage_match(matching: Floats, events: Floats, above: float, timeframe: int, min_denominator: int) -> Mask:
    """More than ``above`` percent of the events match."""
    whole = trailing(events, timeframe)
    return np.asarray((whole >= min_denominator) & (100 * trailing(matching, timeframe) > above * whole))


def spike(current: Floats, reference: Floats, height: float, *, up: bool, down: bool) -> Mask:
    """``height`` times as much, or as little, as in the window before."""
    rose, fell = current >= height * reference, reference >= height * current
    return np.asarray((reference > 0) & ((up & rose) | (down & fell)))


def spike_count(events: Floats, height: float, timeframe: int, threshold_ref: int) -> Mask:
    """Of the number of events, both ways, once the earlier window holds ``threshold_ref``."""
    now = trailing(events, timeframe)
    before = _shifted(now, timeframe)
    return np.asarray((before >= threshold_ref) & spike(now, before, height, up=True, down=True))


def spike_mean(sums: Floats, events: Floats, height: float, timeframe: int, *, up: bool) -> Mask:
    """Of the mean of a field, one way, where both windows hold twenty events."""
    count = trailing(events, timeframe)
    mean = trailing(sums, timeframe) / np.maximum(count, 1)
    enough = (count >= 20) & (_shifted(count, timeframe) >= 20)
    return np.asarray(enough & spike(mean, _shifted(mean, timeframe), height, up=up, down=not up))


def _shifted(windows: Floats, minutes: int) -> Floats:
    return np.concatenate([np.zeros((len(windows), minutes)), windows[:, :-minutes]], axis=1)


def play(scenario: Scenario) -> list[Alarm]:
    """The alarms after the world's past, in order of time."""
    world = scenario.world
    pictures = joined(world.lead, scenario.pictures)
    begin_ms = int(pictures.at_ms[0]) // MINUTE_MS * MINUTE_MS
    minutes = (scenario.end_ms - begin_ms) // MINUTE_MS + 1
    alarms: list[Alarm] = []
    for name, about, groups, matches in _rules(pictures, scenario, begin_ms, minutes):
        for place, minute in _begun(matches, (world.now_ms - begin_ms) // MINUTE_MS):
            key = {groups.field: groups.names[place]}
            known_ms = begin_ms + (minute + 1) * MINUTE_MS
            alarms.append(Alarm(rule=name, key=key, known_ms=known_ms, about=frozenset({about})))
    return sorted(alarms, key=lambda alarm: (alarm.known_ms, alarm.rule))


def _begun(matches: Mask, first: int) -> Iterator[tuple[int, int]]:
    """Where rows begin to match, from minute ``first`` on."""
    for place, row in enumerate(matches):
        last = -REALERT_MINUTES - 1
        for minute in (np.flatnonzero(row[first:]) + first).tolist():
            if minute - last > REALERT_MINUTES:
                yield place, minute
            last = minute


def _rules(
    pictures: Pictures, scenario: Scenario, begin_ms: int, minutes: int
) -> Iterator[tuple[str, str, Groups, Mask]]:
    """The same questions that the shipped rules ask, as far as ElastAlert can ask them; each with what it is about."""
    fleet = scenario.world.fleet
    # events are kept under the times that their hosts wrote
    minute = np.clip((pictures.at_ms + pictures.clock_ms - begin_ms) // MINUTE_MS, 0, minutes - 1)
    hosts = Groups("host", HOSTS, pictures.host, minute, minutes)
    models = Groups("model_name", [one.name for one in fleet.models], pictures.model, minute, minutes)
    folders = Groups("file_dir", [one.path for one in fleet.folders], pictures.folder, minute, minutes)
    unread = pictures.reason != ""
    answered = ~unread & ~pictures.hangs & (pictures.failure == "")
    broken = np.char.startswith(pictures.reason.astype(str), "image_")
    bad_path = np.char.startswith(pictures.reason.astype(str), "path_")
    failed = (pictures.http_status >= 500) | (pictures.failure != "")
    everything = np.ones(len(pictures))
    yield "path-errors", "reason", folders, frequency(folders.total(bad_path), 3, 10)
    yield "unreadable-images", "reason", folders, frequency(folders.total(broken), 10, 10)
    yield (
        "errors-by-directory",
        "event_type",
        folders,
        percentage_match(folders.total(unread), folders.total(everything), 20, 10, 30),
    )
    yield "model-failures", "reason", hosts, frequency(hosts.total(pictures.failure != ""), 3, 5)
    yield "http-errors", "http_status", hosts, percentage_match(hosts.total(failed), hosts.total(everything), 5, 5, 40)
    low = models.total(answered & (pictures.score < 0.3))
    yield "low-scores", "top1_score", models, percentage_match(low, models.total(answered), 30, 10, 50)
    yield "silent-host", "event_type", hosts, flatline(hosts.total(everything), 1, 15)
    yield "traffic", "event_type", hosts, spike_count(hosts.total(everything), 3, 10, 30)
    inference = np.where(answered, pictures.inference_ms, 0)
    yield (
        "slow-inference",
        "duration_ms",
        hosts,
        spike_mean(hosts.total(inference), hosts.total(answered), 1.5, 10, up=True),
    )
    preprocess = np.where(unread | pictures.hangs, 0, pictures.preprocess_ms)
    yield (
        "slow-preprocessing",
        "duration_ms",
        hosts,
        spike_mean(hosts.total(preprocess), hosts.total(~unread), 1.5, 10, up=True),
    )
    score = np.where(answered, pictures.score, 0)
    yield "confidence", "top1_score", models, spike_mean(models.total(score), models.total(answered), 1.2, 10, up=False)
