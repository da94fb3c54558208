"""What `label_drift` remembers: bounded whatever the number of labels, unpacked as it is needed, never trusted."""

import json
from dataclasses import replace

import pytest

from detectors.base import Stage
from detectors.checks import MEMORY_LIMIT_BYTES
from detectors.frame import Counts, Series
from detectors.memory import recall, remember
from detectors.statistical.label_drift import LabelDrift
from detectors.statistical.label_memory import MOST_LABELS, State, Watch, hashed
from detectors.stats.label_slots import KeptSlots
from tests.detectors.noise import MINUTE_MS, T0_MS, frame

MINUTES = 1_181
FREQUENT = 440


def busy(new_per_minute: int) -> Series:
    """A model with a few hundred frequent labels, and new ones in every minute."""
    frequent = [(f"frequent label {number}", 3) for number in range(FREQUENT)]
    tallies = tuple(
        Counts((*frequent, *((f"label {minute * new_per_minute + number}", 1) for number in range(new_per_minute))))
        for minute in range(MINUTES)
    )
    starts = tuple(T0_MS + minute * MINUTE_MS for minute in range(MINUTES))
    total = float(FREQUENT * 3 + new_per_minute)
    return Series((("model_name", "a"),), starts, {"count": (total,) * MINUTES, "labels": tallies})


@pytest.mark.slow
def test_twenty_thousand_labels_fit() -> None:
    """All reference blocks, all slots, half a block of hundreds of labels, and 20,000 labels that were seen."""
    series = busy(17)
    detector = LabelDrift(top=1_000, at_least_events=2_000, min_change=5, min_share=0.9)
    memory = detector.detect(frame(MINUTES, series), {}).memory[series.key]
    state = recall(memory, State)
    assert state is not None
    assert 17 * MINUTES > 20_000
    assert len(state.names.split()) == MOST_LABELS
    assert len(state.filling) > FREQUENT
    assert state.blocks >= 580
    assert len(json.dumps(memory)) <= MEMORY_LIMIT_BYTES
    assert detector.progress(memory).stage is Stage.JUDGING


@pytest.mark.parametrize(("labels", "least_share"), [(20_000, 0.8), (200_000, 0.15)])
def test_the_more_labels_were_seen_the_more_new_ones_pass_for_known(labels: int, least_share: float) -> None:
    """Never the other way round, and the room does not grow: beyond 20,000 labels news is missed, not made up."""
    watch = Watch.of(State(query="", judged_ms=0))
    names = [hashed(f"label {number}") for number in range(labels)]
    for name in names:
        watch.notice(name)
    state = watch.state("", 0)
    assert len(json.dumps(remember(state)["known"])) < 23_000
    again = Watch.of(state)
    assert not any(again.notice(name) for name in names)
    unknown = [again.notice(hashed(f"another label {number}")) for number in range(1_000)]
    assert sum(unknown) / len(unknown) > least_share


def test_slots_are_kept_as_they_are_used() -> None:
    """Read, changed, new and forgotten ones, over two rounds of packing."""
    slots = KeptSlots("", b"")
    for number, name in enumerate("abcd"):
        slots[name] = [float(number + 1)] * 7
    slots = KeptSlots(*slots.packed())
    slots["b"][0] = 9.0
    slots["e"] = [5.0] * 7
    del slots["c"]
    again = KeptSlots(*slots.packed())
    assert {name: slot[0] for name, slot in again.items()} == {"a": 1.0, "b": 9.0, "d": 4.0, "e": 5.0}
    assert (len(again), "c" in again, again.get("c")) == (4, False, None)


def test_damage_is_a_fresh_start() -> None:
    """A byte of the bitmap, of past blocks, of the rhythm; a row too few, a number that is none."""
    made = busy(3)
    part = replace(
        made,
        bucket_start_ms=made.bucket_start_ms[:150],
        values={name: column[:150] for name, column in made.values.items()},
    )
    detector = LabelDrift()
    memory = dict(detector.detect(frame(150, part), {}).memory[made.key])
    assert detector.progress(memory).seen > 0
    nan = remember(State(query="", judged_ms=0, recent=b"\0\0\0\0\0\0\xf8\x7f" * 3))["recent"]
    for name, value in (
        ("known", "AAAA" + memory["known"][4:]),
        ("settled", memory["settled"][:-4]),
        ("rhythm", memory["rhythm"][:100] + "x" + memory["rhythm"][101:]),
        ("newest", memory["newest"][:-16]),
        ("skipped", 1_000),
        ("names", memory["names"].rpartition(" ")[0]),
        ("recent", nan),
        ("stakes", memory["stakes"][:8]),
        ("version", 1),
    ):
        assert detector.progress({**memory, name: value}).seen == 0, name
