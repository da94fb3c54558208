"""Every kind keeps the protocol, and the suite notices kinds that don't."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from detectors.checks import CHECKS, NotConformant, Subject, check_detector
from detectors.evidence import in_order
from detectors.finding import Detection, Finding, Memory
from detectors.frame import Frame, Key
from detectors.matching.count import Count
from detectors.registry import DETECTORS
from tests.detectors.subjects import SUBJECTS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", SUBJECTS)
def test_every_kind_keeps_the_protocol(kind: str, check: str) -> None:
    """Each check on each kind."""
    CHECKS[check](replace(SUBJECTS[kind], seed=3))


@pytest.mark.parametrize("kind", SUBJECTS)
def test_the_worlds_give_every_kind_something_to_find(kind: str) -> None:
    """A suite over worlds in which nothing is found would prove nothing."""
    subject = replace(SUBJECTS[kind], seed=3)
    assert subject.make().detect(subject.world().frame(0, 240), {}).findings


def test_every_registered_kind_is_checked() -> None:
    """A new kind must be added to the subjects."""
    checked: dict[str, type] = {detector.kind: type(detector) for detector in (one.make() for one in SUBJECTS.values())}
    assert checked == DETECTORS


class Flawed(Count):
    """A count that is wrong in one way."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        raise AssertionError("each flaw says what it does")

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.flawed(frame, super().detect(frame, memory))


def _each(change: Callable[[Finding], Finding]) -> Callable[[Detection], Detection]:
    return lambda detection: Detection(tuple(map(change, detection.findings)), detection.memory)


class NotFinite(Flawed):
    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return _each(lambda finding: replace(finding, observed=float("nan")))(detection)


class TooLow(Flawed):
    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return _each(lambda finding: replace(finding, score=0.5))(detection)


class InTheFuture(Flawed):
    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return _each(lambda finding: replace(finding, at_ms=frame.interval.end_ms + 1))(detection)


class Disordered(Flawed):
    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return Detection(detection.findings[::-1], detection.memory)


class Clairvoyant(Flawed):
    """Says nothing in a frame that ends early."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return detection if frame.interval.length_ms > 3_600_000 else Detection((), detection.memory)


class Keeping(Flawed):
    """Keeps something between calls."""

    seen: ClassVar[list[Frame]] = []

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        self.seen.append(frame)
        return detection if len(self.seen) % 3 else Detection((), detection.memory)


class Hoarding(Flawed):
    """Remembers without bound."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        memory = {series.key: {"version": 1, "hoard": "x" * 200_000} for series in frame.series}
        return Detection(detection.findings, memory)


class NotJson(Flawed):
    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return Detection(
            detection.findings, {series.key: {"version": 1, "nan": float("nan")} for series in frame.series}
        )


class Forgetful(Flawed):
    """Remembers nothing, and so reports late events again and again."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return Detection(detection.findings, {})


class Gullible(Flawed):
    """Takes an incomplete frame for an empty world and forgets."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return detection if frame.complete else Detection((), {})


class OnlyTheFirst(Flawed):
    """Judges a key by its place."""

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        first = frame.series[0].key if frame.series else ()
        return Detection(in_order(one for one in detection.findings if one.key == first), detection.memory)


class Trusting(Flawed):
    """Believes what it remembers."""

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        ranges: list[Any] = [start + amount for value in memory.values() for start, amount in value.get("buckets", ())]
        assert all(isinstance(number, float) for number in ranges)
        return super().detect(frame, memory)

    def flawed(self, frame: Frame, detection: Detection) -> Detection:
        return detection


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (NotFinite, "findings_are_well_formed"),
        (TooLow, "findings_are_well_formed"),
        (InTheFuture, "findings_are_well_formed"),
        (Disordered, "findings_are_well_formed"),
        (Clairvoyant, "future_is_unknown"),
        (Clairvoyant, "pieces_equal_the_whole"),
        (Keeping, "same_input_same_output"),
        (Hoarding, "memory_is_small_json"),
        (NotJson, "memory_is_small_json"),
        (Forgetful, "late_events_are_told_once"),
        (Gullible, "nothing_follows_from_incomplete_frames"),
        (OnlyTheFirst, "keys_are_independent"),
        (OnlyTheFirst, "order_of_series_is_irrelevant"),
    ],
)
def test_the_suite_notices_a_flaw(kind: type[Flawed], check: str) -> None:
    """Each flaw is caught by the check that is there for it."""
    subject = Subject(lambda: kind(group_by=("host",), at_least=450), seed=3)
    with pytest.raises(NotConformant):
        CHECKS[check](subject)


def test_the_suite_notices_a_kind_that_chokes_on_its_memory() -> None:
    """A damaged memory must not raise."""
    with pytest.raises((NotConformant, TypeError, ValueError, AssertionError)):
        CHECKS["damaged_memory_is_a_fresh_start"](Subject(lambda: Trusting(group_by=("host",), at_least=450)))


def test_check_detector_names_the_check_and_the_seed() -> None:
    """The message says where to look."""
    with pytest.raises(NotConformant, match=r"findings_are_well_formed \(seed 1\)"):
        check_detector(lambda: TooLow(group_by=("host",), at_least=450))
