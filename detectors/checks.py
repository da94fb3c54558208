"""`check_detector`: the conformance suite of detector kinds, for our own and for those of plug-in authors.

    from detectors.checks import check_detector
    check_detector(lambda: MyKind(group_by=("host",)))

Every check feeds a detector made-up frames that fit its query and raises `NotConformant` with what went wrong.
`CHECKS` names them, for a test of its own each.
"""

import copy
import itertools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detectors.base import Detector
from detectors.check_worlds import Style, World, make_world
from detectors.evidence import in_order
from detectors.finding import Detection, Finding, Memory
from detectors.frame import Frame, Key

MEMORY_LIMIT_BYTES = 100_000
_BUCKETS = 240
_CPU_LIMIT_S = 60.0
_JUNK: tuple[Any, ...] = (
    *(None, "x", -1, 10**30, math.nan, math.inf),
    *([], [[]], [[None]], {"a": 1}, [[1, 2]], [[-5, 9e99]]),
)


class NotConformant(AssertionError):
    """A detector breaks the protocol of `detectors.base.Detector`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: how to make the detector, and for how many buckets it must stay silent at first."""

    make: Callable[[], Detector]
    silent_buckets: int = 0
    seed: int = 1

    def world(self, style: Style = Style.USUAL, buckets: int = _BUCKETS, keys: int = 3) -> World:
        return make_world(self.make().query(), seed=self.seed, buckets=buckets, keys=keys, style=style)


def check_detector(make: Callable[[], Detector], *, silent_buckets: int = 0, seeds: Sequence[int] = (1, 2)) -> None:
    """Run every check. ``silent_buckets``: for kinds that learn, how many buckets long nothing may be said."""
    for seed in seeds:
        subject = Subject(make, silent_buckets, seed)
        for name, check in CHECKS.items():
            try:
                check(subject)
            except NotConformant as fault:
                raise NotConformant(f"{name} (seed {seed}): {fault}") from fault


def _demand(condition: bool, message: str) -> None:  # noqa: FBT001  # reads like an assertion
    if not condition:
        raise NotConformant(message)


def _run(detector: Detector, frames: Iterable[Frame]) -> tuple[list[Finding], Mapping[Key, Memory]]:
    """Judge frame after frame; the memory is written and read as JSON in between, as the ledger does."""
    memory: Mapping[Key, Memory] = {}
    findings: list[Finding] = []
    for frame in frames:
        detection = detector.detect(frame, memory)
        findings.extend(detection.findings)
        memory = _stored(detection.memory)
    return findings, memory


def _stored(memory: Mapping[Key, Memory]) -> dict[Key, Memory]:
    try:
        return {key: json.loads(json.dumps(value, allow_nan=False)) for key, value in memory.items()}
    except (TypeError, ValueError) as fault:
        raise NotConformant(f"the memory is not JSON: {fault}") from fault


def _chunks(world: World, *cuts: int) -> Iterator[Frame]:
    edges = [0, *cuts, world.buckets]
    return (world.frame(first, last) for first, last in itertools.pairwise(edges) if first < last)


def findings_are_well_formed(subject: Subject) -> None:
    """Reasons of the kind, finite numbers, a score of at least 1, times inside of the frame, in order, one per time."""
    detector, world = subject.make(), subject.world()
    memory: Mapping[Key, Memory] = {}
    for frame in _chunks(world, 60, 61, 150):
        detection = detector.detect(frame, memory)
        _well_formed(detector, frame, detection)
        memory = detection.memory


def _well_formed(detector: Detector, frame: Frame, detection: Detection) -> None:
    for finding in detection.findings:
        who = f"the finding about {finding.key} at {finding.at_ms}"
        _demand(finding.reason in detector.reasons, f"{who} has a reason the kind does not declare: {finding.reason}")
        _demand(math.isfinite(finding.observed), f"{who} observed {finding.observed}")
        _demand(1 <= finding.score < math.inf, f"{who} has score {finding.score}; at least 1 is needed to fire")
        _demand(bool(finding.unit), f"{who} has no unit")
        _demand(frame.interval.start_ms < finding.at_ms <= frame.interval.end_ms, f"{who} lies outside of its frame")
        _demand(finding.since_ms <= finding.at_ms, f"{who} began at {finding.since_ms}, after it was found")
        _demand(finding.evidence.interval.length_ms >= 0, f"{who} has evidence that ends before it starts")
        _demand(tuple(name for name, _ in finding.key) == detector.group_by, f"{who} has a key of other fields")
        bounds = (finding.expected.low, finding.expected.high)
        _demand(all(bound is None or math.isfinite(bound) for bound in bounds), f"{who} expected {bounds}")
        _json(finding.details, f"the details of {who}")
    _demand(detection.findings == in_order(detection.findings), "the findings are not in the order of time and key")
    names = [(finding.key, finding.at_ms) for finding in detection.findings]
    _demand(len(names) == len(set(names)), "two findings are about one key at one time")


def _json(value: Any, what: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise NotConformant(f"{what} are not JSON: {fault}") from fault


def arguments_are_unchanged(subject: Subject) -> None:
    """Neither frame nor memory is written to."""
    detector, world = subject.make(), subject.world()
    _, memory = _run(detector, [world.frame(0, 150)])
    frame = world.frame(150, _BUCKETS)
    frame_before, memory_before = copy.deepcopy(frame), copy.deepcopy(memory)
    detector.detect(frame, memory)
    _demand(frame == frame_before, "the frame was changed")
    _demand(memory == memory_before, "the memory that was passed in was changed")


def same_input_same_output(subject: Subject) -> None:
    """Two detectors made alike agree, and neither keeps anything between calls."""
    world = subject.world()
    one, other = subject.make(), subject.make()
    _run(one, _chunks(world, 100))
    _demand(_run(one, _chunks(world, 100)) == _run(other, _chunks(world, 100)), "the same frames were judged otherwise")


def order_of_series_is_irrelevant(subject: Subject) -> None:
    """Series reversed, same findings and memory."""
    frame = subject.world().frame(0, _BUCKETS)
    reversed_frame = replace(frame, series=frame.series[::-1])
    _demand(_run(subject.make(), [frame]) == _run(subject.make(), [reversed_frame]), "the order of series matters")


def keys_are_independent(subject: Subject) -> None:
    """What is found about a key does not depend on the others being there."""
    frame = subject.world().frame(0, _BUCKETS)
    together, _ = _run(subject.make(), [frame])
    for series in frame.series:
        alone, _ = _run(subject.make(), [replace(frame, series=(series,))])
        mine = [finding for finding in together if finding.key == series.key]
        _demand(mine == [one for one in alone if one.key == series.key], f"{series.key} is judged by the other keys")


def future_is_unknown(subject: Subject) -> None:
    """A frame that ends earlier gives the same findings up to its end."""
    world = subject.world()
    whole, _ = _run(subject.make(), [world.frame(0, _BUCKETS)])
    for last in (1, 100, 150, 170):
        part, _ = _run(subject.make(), [world.frame(0, last)])
        end_ms = world.start_ms(last)
        _demand(part == [one for one in whole if one.at_ms <= end_ms], f"what comes after bucket {last} has an effect")


def pieces_equal_the_whole(subject: Subject) -> None:
    """Any way of cutting an interval gives the same findings."""
    world = subject.world()
    whole, _ = _run(subject.make(), [world.frame(0, _BUCKETS)])
    for cuts in ((120,), (1, 2, 3), (150, 151, 160), tuple(range(7, _BUCKETS, 7)), tuple(range(1, _BUCKETS))):
        pieces, _ = _run(subject.make(), _chunks(world, *cuts))
        _demand(pieces == whole, f"cut in {len(cuts) + 1} pieces it finds {len(pieces)}, in one {len(whole)}")


def memory_is_small_json(subject: Subject) -> None:
    """Strict JSON with a version, and bounded however long it goes on."""
    world = subject.world(buckets=2_000, keys=2)
    memory: Mapping[Key, Memory] = {}
    for frame in _chunks(world, *range(100, 2_000, 100)):
        memory = _stored(subject.make().detect(frame, memory).memory)
        for key, value in memory.items():
            _demand(type(value.get("version")) is int, f"the memory of {key} has no version")
            size = len(json.dumps(value))
            _demand(size <= MEMORY_LIMIT_BYTES, f"the memory of {key} has {size:,} bytes after {frame.interval}")


def damaged_memory_is_a_fresh_start(subject: Subject) -> None:
    """No exception, whatever is in it; another version is read as nothing."""
    world = subject.world()
    _, memory = _run(subject.make(), [world.frame(0, 150)])
    frame = world.frame(150, 170)
    fresh = subject.make().detect(frame, {})
    for layout in ({}, {"version": 999}):
        unknown: dict[Key, Memory] = dict.fromkeys(memory, layout)
        _demand(subject.make().detect(frame, unknown).findings == fresh.findings, f"{layout} is not a fresh start")
    for key, value in memory.items():
        for damaged in _damaged(value):
            detector = subject.make()
            _well_formed(detector, frame, detector.detect(frame, {**memory, key: damaged}))


def _damaged(value: Memory) -> Iterator[Memory]:
    for name in value:
        yield {other: kept for other, kept in value.items() if other != name}
        for junk in _JUNK:
            yield {**value, name: junk}


def nothing_follows_from_incomplete_frames(subject: Subject) -> None:
    """Nothing is found in an incomplete frame without series, and no key is forgotten over it."""
    world = subject.world()
    for warm in (0, 100, 165):
        _, memory = _run(subject.make(), [world.frame(0, warm)] if warm else [])
        empty = replace(world.frame(warm, warm + 20, complete=False), series=())
        detection = subject.make().detect(empty, memory)
        _demand(detection.findings == (), "an incomplete frame without series led to findings")
        _demand(set(memory) <= set(detection.memory), "a key was forgotten over an incomplete frame")


def empty_frames_are_fine(subject: Subject) -> None:
    """No series, no buckets, nothing fresh: no exception, and nothing about a past that was judged."""
    world = subject.world()
    for warm in (0, 165):
        _, memory = _run(subject.make(), [world.frame(0, warm)] if warm else [])
        quiet = replace(world.frame(warm, warm + 5), series=())
        detector = subject.make()
        _well_formed(detector, quiet, detector.detect(quiet, memory))
        judged = replace(world.frame(warm, warm + 1), fresh_from_ms=world.start_ms(warm + 1))
        _well_formed(detector, judged, detector.detect(judged, memory))


def strange_values_are_survived(subject: Subject) -> None:
    """Missing, NaN, huge, negative and constant values: no exception, no warning, well-formed findings."""
    for style in Style:
        world = subject.world(style)
        detector = subject.make()
        memory: Mapping[Key, Memory] = {}
        for frame in _chunks(world, 100, 170):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                detection = detector.detect(frame, memory)
            _well_formed(detector, frame, detection)
            memory = _stored(detection.memory)


def keys_come_and_go(subject: Subject) -> None:
    """A key that appears late or pauses does not disturb the others."""
    world = subject.world()
    key = max(world.cells, key=repr)
    pausing = world.without(key, range(100, 200))
    if len(world.cells) > 1:
        pausing = pausing.without(key, range(-10_000, 60))
    whole, _ = _run(subject.make(), [pausing.frame(0, _BUCKETS)])
    pieces, _ = _run(subject.make(), _chunks(pausing, 50, 90, 130, 210))
    _demand(pieces == whole, "pieces differ from the whole where a key comes and goes")
    others = [one for one in _run(subject.make(), [world.frame(0, _BUCKETS)])[0] if one.key != key]
    _demand([one for one in whole if one.key != key] == others, f"the pause of {key} changed what is found elsewhere")


def late_events_are_told_once(subject: Subject) -> None:
    """Buckets that fill up after they were judged: nothing is reported twice."""
    world = subject.world()
    key = min(world.cells, key=repr)
    detector = subject.make()
    memory: Mapping[Key, Memory] = {}
    told: set[tuple[Key, int, int]] = set()
    for number in range(130, 190):
        late = world.without(key, range(number - 3, number)) if number % 2 else world
        detection = detector.detect(late.frame(number - 1, number), memory)
        names = {(finding.key, finding.at_ms, finding.since_ms) for finding in detection.findings}
        _demand(not told & names, f"reported twice: {sorted(told & names, key=repr)}")
        told |= names
        memory = _stored(detection.memory)


def open_buckets_grow(subject: Subject) -> None:
    """For kinds that judge the open bucket: looking more often finds the same keys, and nothing in the future."""
    detector, world = subject.make(), subject.world()
    if not world.query.partial:
        return
    calm, _ = _run(subject.make(), [world.frame(0, 190)])
    memory: Mapping[Key, Memory] = {}
    found: list[Finding] = []
    for number in range(190):
        for open_ms in (world.query.bucket_ms // 2, 0):
            frame = world.frame(number, number + 1, open_ms=open_ms)
            detection = detector.detect(frame, memory)
            _well_formed(detector, frame, detection)
            found.extend(detection.findings)
            memory = _stored(detection.memory)
    _demand({one.key for one in calm} == {one.key for one in found}, "open buckets were judged otherwise")


def silent_until_it_has_learned(subject: Subject) -> None:
    """A kind that learns says nothing at first, and nothing at all about a constant or a calm series."""
    if not subject.silent_buckets:
        return
    findings, _ = _run(subject.make(), [subject.world(buckets=10).frame(0, 10)])
    _demand(not findings, "it spoke before it had learned anything")
    world = subject.world(buckets=max(_BUCKETS, 2 * subject.silent_buckets))
    bad_first = replace(world, cells={key: _shifted(cells, subject, world) for key, cells in world.cells.items()})
    findings, _ = _run(subject.make(), [bad_first.frame(0, subject.silent_buckets)])
    _demand(not findings, "it spoke before it had learned enough")
    for style in (Style.CONSTANT, Style.CALM):
        findings, _ = _run(subject.make(), [subject.world(style).frame(0, _BUCKETS)])
        _demand(not findings, f"a {style} series was reported")


def _shifted(cells: Mapping[int, Any], subject: Subject, world: World) -> dict[int, Any]:
    """The bad stretch moved to where the detector must still be silent."""
    offset = world.buckets * 6 // 10 - subject.silent_buckets // 2
    return {index - offset: row for index, row in cells.items()} | {
        index: row for index, row in cells.items() if index < subject.silent_buckets // 2
    }


def cost_is_bounded(subject: Subject) -> None:
    """Half a day of minutes of five keys takes less than a minute of CPU time: a guard against runaways."""
    world = subject.world(buckets=720, keys=5)
    frame = world.frame(0, 720)
    before = time.process_time()
    subject.make().detect(frame, {})
    spent_s = time.process_time() - before
    _demand(spent_s < _CPU_LIMIT_S, f"720 buckets of 5 keys took {spent_s:.0f} s of CPU time")


Check = Callable[[Subject], None]

CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        findings_are_well_formed,
        arguments_are_unchanged,
        same_input_same_output,
        order_of_series_is_irrelevant,
        keys_are_independent,
        future_is_unknown,
        pieces_equal_the_whole,
        memory_is_small_json,
        damaged_memory_is_a_fresh_start,
        nothing_follows_from_incomplete_frames,
        empty_frames_are_fine,
        strange_values_are_survived,
        keys_come_and_go,
        late_events_are_told_once,
        open_buckets_grow,
        silent_until_it_has_learned,
        cost_is_bounded,
    )
}
"""Every check by name. Each takes a `Subject` and raises `NotConformant`."""
