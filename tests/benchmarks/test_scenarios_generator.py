"""The scenario suite's generator: seeded, realistic, and true to what it says about itself."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scenarios import bulk
from benchmarks.scenarios.fleet import HOSTS, make_fleet
from benchmarks.scenarios.kinds import KINDS
from benchmarks.scenarios.lines import lines_of
from benchmarks.scenarios.traffic import DAY_MS, HOUR_MS, MINUTE_MS, load_at, traffic
from benchmarks.scenarios.truth import Wanted
from benchmarks.scenarios.world import FIRST_MONDAY_MS, Scenario, World, make_scenario, make_world, opened
from daemon.store.base import Sample
from detectors.condition import Always
from detectors.frame import Interval
from recognizer.decode_lines import decode_batch
from recognizer.events import Event, fields

KIND_NAMES = sorted(KINDS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A service with a day's past that nobody judged."""
    return make_world(3, 1, (), tmp_path_factory.mktemp("world"))


def scenario(world: World, kind: str) -> Scenario:
    return make_scenario(world, KINDS[kind], 0)


def events_of(scenario: Scenario) -> list[Event]:
    """What the store would be given, in order of arrival."""
    lines = [line.text for line in lines_of(scenario.pictures, scenario.world.fleet)]
    decoded = decode_batch(lines, now_ms=scenario.end_ms, max_age_ms=DAY_MS, max_future_ms=HOUR_MS)
    assert not decoded.malformed
    assert not decoded.notes
    return decoded.events


def test_there_are_kinds_enough() -> None:
    """The suite promises at least twenty kinds of incident, each with a line that says what happens."""
    assert len(KINDS) >= 20
    assert all(kind.happen.__doc__ for kind in KINDS.values())


def test_the_same_seed_makes_the_same_traffic() -> None:
    """Equal seeds agree in every column; another seed does not."""
    start, end = FIRST_MONDAY_MS, FIRST_MONDAY_MS + HOUR_MS
    one, again, other = (traffic(make_fleet(seed), np.random.default_rng(seed), start, end, "p") for seed in (5, 5, 6))
    assert lines_of(one, make_fleet(5)) == lines_of(again, make_fleet(5))
    assert lines_of(one, make_fleet(5)) != lines_of(other, make_fleet(6))


def test_traffic_follows_the_rhythm_of_a_week() -> None:
    """An average of one, quiet nights, quieter weekends, and as many pictures as that says."""
    hours = FIRST_MONDAY_MS + np.arange(7 * 24, dtype=np.float64) * HOUR_MS
    load = load_at(hours)
    assert load.mean() == pytest.approx(1.0, abs=0.02)
    assert load[2] < 0.6 * load[14]
    assert load[5 * 24 + 14] < 0.7 * load[14]
    pictures = traffic(make_fleet(1), np.random.default_rng(1), FIRST_MONDAY_MS, FIRST_MONDAY_MS + DAY_MS, "p")
    night = pictures.between(FIRST_MONDAY_MS, FIRST_MONDAY_MS + 4 * HOUR_MS).sum()
    noon = pictures.between(FIRST_MONDAY_MS + 12 * HOUR_MS, FIRST_MONDAY_MS + 16 * HOUR_MS).sum()
    assert night < 0.6 * noon


def test_pictures_come_in_bursts_of_similar_ones() -> None:
    """The next picture of a folder has the same label far more often than two at random have."""
    pictures = traffic(make_fleet(1), np.random.default_rng(1), FIRST_MONDAY_MS, FIRST_MONDAY_MS + DAY_MS, "p")
    of_one = pictures.take(pictures.folder == 0)
    together = (of_one.label[1:] == of_one.label[:-1]).mean()
    at_random = (np.bincount(of_one.label) / len(of_one)) @ (np.bincount(of_one.label) / len(of_one))
    assert together > at_random + 0.2


def test_durations_have_a_heavy_tail_and_labels_a_long_one() -> None:
    """The slowest in a thousand take many times as long as usual; many labels are rare."""
    pictures = traffic(make_fleet(1), np.random.default_rng(1), FIRST_MONDAY_MS, FIRST_MONDAY_MS + DAY_MS, "p")
    shelf = pictures.take(pictures.model == 0)
    assert np.quantile(shelf.inference_ms, 0.999) > 3 * np.median(shelf.inference_ms)
    counts = np.bincount(shelf.label, minlength=120)
    assert (counts > 0).sum() > 60
    assert np.median(counts) < 0.2 * counts.max()


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_an_incident_happens_in_its_own_time_and_nowhere_else(world: World, kind: str) -> None:
    """Before its start and after its end everything is as on any other day."""
    told = scenario(world, kind)
    truth = told.truth
    assert world.now_ms < truth.start_ms < truth.end_ms < told.end_ms
    outside = told.pictures.take(~told.pictures.between(truth.start_ms, truth.end_ms))
    assert set(outside.http_status) <= {200, 500}
    assert set(outside.device) == {"cuda:0"}
    assert set(outside.channels) == {3}
    assert set(outside.suffix) == {""}
    assert not outside.hangs.any()
    for column in (outside.clock_ms, outside.late_ms, outside.again_ms):
        assert not column.any()
    assert (outside.mean > -1.5).all()


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_the_truth_names_causes_that_are_there(world: World, kind: str) -> None:
    """Somebody is told of incidents that have a cause, and of no others; every cause occurs in the traffic."""
    told = scenario(world, kind)
    assert bool(told.truth.causes) is (told.truth.wanted is Wanted.YES)
    assert told.truth.changed
    assert all(value in told.truth.touched[name] for name, value in told.truth.causes)
    named = {
        "host": set(HOSTS),
        "model_name": {model.name for model in world.fleet.models},
        "file_dir": {folder.path for folder in world.fleet.folders},
    }
    for name, value in told.truth.causes:
        assert value in named.get(name, {value})


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_the_same_draw_is_the_same_scenario(world: World, kind: str) -> None:
    """Made twice it is equal; the next draw is another."""
    one, again, other = (make_scenario(world, KINDS[kind], draw) for draw in (0, 0, 1))
    assert one.truth == again.truth
    assert np.array_equal(one.pictures.score, again.pictures.score)
    assert one.truth.start_ms != other.truth.start_ms


def test_the_file_holds_what_the_lines_say(world: World, tmp_path: Path) -> None:
    """Written at once or line by line: the same events, field by field, whatever a picture suffers."""
    for kind in ("paths_from_a_chat", "queue_stuck", "out_of_memory", "grey_pictures"):
        told = scenario(world, kind)
        start_ms = told.truth.start_ms
        few = told.pictures.take(told.pictures.between(start_ms, start_ms + 5 * MINUTE_MS))
        path = tmp_path / f"{kind}.duckdb"
        bulk.write(path, few, world.fleet)
        with opened(path) as store:
            (written,) = store.sample([Sample(Always(), Interval(start_ms, told.end_ms), limit=10_000)])
        decoded = decode_batch(
            [line.text for line in lines_of(few, world.fleet)],
            now_ms=told.end_ms,
            max_age_ms=DAY_MS,
            max_future_ms=HOUR_MS,
        )
        assert len(written) == len(decoded.events) > 100
        by_id = {event.event_id: event for event in written}
        for event in decoded.events:
            one, other = fields(by_id[event.event_id]), fields(event)
            assert one.keys() == other.keys()
            assert all(one[name] == pytest.approx(value, abs=2e-5) for name, value in other.items())


def test_what_is_shipped_twice_comes_again_under_the_same_names(world: World) -> None:
    """Each line of the incident arrives a second time, later."""
    told = scenario(world, "shipped_twice")
    names = [event.event_id for event in events_of(told)]
    assert len(names) > 1.5 * len(set(names))


def test_a_clock_that_is_off_shifts_what_its_host_writes(world: World) -> None:
    """Its events arrive in time and say an hour before."""
    told = scenario(world, "clock_off_by_an_hour")
    (_, host), *_ = told.truth.causes
    early = [event for event in events_of(told) if event.timestamp < world.now_ms]
    assert early
    assert {event.host for event in early} == {host}


def test_a_silent_host_writes_nothing(world: World) -> None:
    """From the start of the incident to its end."""
    told = scenario(world, "host_silent")
    (_, host), *_ = told.truth.causes
    silent = told.pictures.between(told.truth.start_ms, told.truth.end_ms)
    assert HOSTS.index(host) not in set(told.pictures.host[silent])
    assert HOSTS.index(host) in set(told.pictures.host[~silent])
