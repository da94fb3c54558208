"""Both kinds of drift: series together as each alone, memory written in part as if written anew."""

import numpy as np
import pytest

from detectors.memory import Packed
from detectors.stats import blocks, same_time
from detectors.stats.labels import Excess
from detectors.stats.record import SETTLE, Record
from detectors.stats.same_time import SameTime

HALF_HOUR_MS = 1_800_000


def test_packed_bytes_are_written_as_they_were_read() -> None:
    """The very text, though nothing was decoded; nothing at all is an empty text."""
    text = Packed(b"some bytes").text
    read = Packed.of(text)
    assert read.text is text
    assert read.data == b"some bytes"
    assert Packed.of("").data == b""
    assert Packed().text == ""


@pytest.mark.parametrize("place", [0, 7, 8, -1])
def test_damage_to_packed_bytes_is_noticed(place: int) -> None:
    """In the checksum or behind it."""
    text = Packed(bytes(range(250))).text
    changed = text[:place] + ("0" if text[place] != "0" else "1") + (text[place + 1 :] if place != -1 else "")
    with pytest.raises(ValueError, match="damaged"):
        Packed.of(changed)


def test_rows_are_the_same_whether_they_are_kept_after_each_or_never() -> None:
    """Over three times as many as settle at once, the oldest forgotten on the way; few are written each time."""
    rows = [number.to_bytes(4, "big") for number in range(3 * SETTLE + 7)]
    kept, whole = Record(4, Packed()), Record(4, Packed())
    for number, row in enumerate(rows):
        for record in (kept, whole):
            if number >= 100:
                record.forget(1)
            record.append(row)
        settled, newest, skipped = kept.kept()
        assert len(newest) < 4 * SETTLE
        Record.check(4, settled, newest, skipped)
        kept = Record(4, Packed.of(settled.text), newest, skipped)
        expected = b"".join(rows[max(number - 99, 0) : number + 1])
        assert bytes(kept.rows) == bytes(whole.rows) == expected
        assert len(kept) == len(expected) // 4


def test_rows_of_another_size_are_noticed() -> None:
    with pytest.raises(ValueError, match="another size"):
        Record.check(4, Packed(b"12345"), b"", 0)
    with pytest.raises(ValueError, match="another size"):
        Record.check(4, Packed(b"1234"), b"", 2)


def test_the_rhythms_of_series_are_learned_together_as_alone() -> None:
    """Ten series with gaps of their own over three days, an anomaly in some, packed again and again."""
    random = np.random.default_rng(5)
    together = [SameTime(3) for _ in range(10)]
    alone = [SameTime(3) for _ in range(10)]
    for step in range(3 * 48 * 3):
        at_ms = 400_000 * HALF_HOUR_MS + step * HALF_HOUR_MS // 3
        there = np.flatnonzero(random.random(10) < 0.7).tolist()
        values = random.normal(0, 1, (10, 3)) + np.sin(step / 23)
        learns = random.random(10) < 0.9
        same_time.observe([(together[one], at_ms, values[one].tolist(), bool(learns[one])) for one in there])
        for one in there:
            same_time.observe([(alone[one], at_ms, values[one].tolist(), bool(learns[one]))])
        alone = [SameTime(3, *one.kept()) for one in alone]
    for (learned, now), (learned_alone, now_alone) in zip(
        [one.kept() for one in together], [one.kept() for one in alone], strict=True
    ):
        assert learned.data == learned_alone.data != b""
        assert now == now_alone


def test_blocks_are_ranked_together_as_alone() -> None:
    """Histories of different lengths, with noise of every sort: that of their size, that of their own, both, none."""
    random = np.random.default_rng(6)
    histories, fits = [], []
    for number in range(12):
        block = np.zeros(40 + 7 * number, blocks.LAYOUT)
        block["bucket"] = np.arange(len(block))
        block["events"] = random.choice([20, 21, 200], len(block)) if number % 2 else 50
        for view in blocks.VIEWS:
            own = 0.5 if number % 3 == 0 else 0.0
            noise = random.normal(0, 1, len(block)) / np.sqrt(block["events"]) + random.normal(0, own, len(block))
            block[view] = np.round(noise, 1) * (number % 5 != 4)
        if number % 4 == 3:
            block["log"][random.random(len(block)) < 0.5] = np.nan
        histories.append(block)
        fits.append(np.frombuffer(blocks.fitted(block)).reshape(len(blocks.VIEWS), 3))
    assert {(bool(a), bool(b)) for a, b in np.concatenate(fits)[:, 1:]} >= {(True, False), (True, True), (False, False)}
    together = blocks.ranked(histories, np.array(fits))
    alone = [blocks.ranked([history], fit[None]) for history, fit in zip(histories, fits, strict=True)]
    for told, each in zip(together, zip(*alone, strict=True), strict=True):
        assert (told == np.concatenate(each)).all()


def test_a_label_of_a_stream_is_bet_on_as_a_block_of_one() -> None:
    """Frequent and rare labels, new ones, one that is stuck for a while: the same stakes but for rounding."""
    random = np.random.default_rng(7)
    one, other = Excess(), Excess()
    for excess in (one, other):
        for label in "aaaaaaaabbbbccd":
            excess.learn(label)
        excess.weigh()
    for step in range(3_000):
        label = "d" if 1_000 < step < 1_300 and step % 2 else random.choice(list("aaaabbcdefgh"))
        told = one.met(label)
        other.bet([(label, 1.0)], 1.0)
        assert told == one.evidence == pytest.approx(other.evidence, rel=1e-9)
    assert one.slots.keys() == other.slots.keys()
    for label, slot in one.slots.items():
        assert slot == pytest.approx(other.slots[label], rel=1e-9), label
