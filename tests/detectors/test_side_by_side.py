"""Both kinds of drift: series together as each alone, memory written in part as if written anew."""

import numpy as np
import pytest

from detectors.memory import Packed
from detectors.statistical.label_rhythm import CELLS, roots, spread
from detectors.stats import blocks, same_time
from detectors.stats.label_slots import KeptSlots
from detectors.stats.labels import MOST_GAIN, Excess, bet, gathered
from detectors.stats.mixes import VIEWS, Alone, Beside, Mix, Past
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


def test_bytes_that_were_vouched_for_once_vouch_for_no_others() -> None:
    """Read twice, then damaged."""
    text = Packed(b"some other bytes").text
    assert Packed.of(text).data == Packed.of(text).data == b"some other bytes"
    with pytest.raises(ValueError, match="damaged"):
        Packed.of(text[:-4] + "AAAA")


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
    one, other = Excess(dict[str, list[float]]()), Excess(KeptSlots())
    for excess in (one, other):
        for label in "aaaaaaaabbbbccd":
            excess.learn(label)
        excess.weigh()
    for step in range(3_000):
        label = "d" if 1_000 < step < 1_300 and step % 2 else random.choice(list("aaaabbcdefgh"))
        told = one.met(label)
        bet_on(other, {label: 1.0})
        assert told == one.evidence == pytest.approx(other.evidence, rel=1e-9)
    assert one.slots.keys() == other.slots.keys()
    for label, slot in one.slots.items():
        assert slot == pytest.approx(other.slots[label], rel=1e-9), label


def bet_on(excess: Excess[KeptSlots], *blocks: dict[str, float]) -> None:
    """One block after the other of a single series."""
    for block in blocks:
        excess.meet(block)
        bet(
            [excess],
            [block],
            gathered([excess], [block]),
            np.array(list(block.values())),
            np.array([sum(block.values())]),
            np.array([MOST_GAIN]),
        )


def test_labels_of_series_are_bet_on_together_as_alone() -> None:
    """Seven series of different lengths, with new labels, one of them with a label that is stuck: to the last digit."""
    random = np.random.default_rng(8)
    together, alone = ([Excess(KeptSlots()) for _ in range(7)] for _ in range(2))
    for excess in (*together, *alone):
        for number in range(12):
            excess.learn(f"label{number}", 40.0 - number)
        excess.weigh()
    for step in range(60):
        blocks = [
            {f"label{label}": float(random.integers(1, 9)) for label in random.choice(14, 3 + number, replace=False)}
            for number in range(7)
        ]
        blocks[2]["label3"] = 20.0 if step > 30 else 1.0
        for excess, block, single in zip(together, blocks, alone, strict=True):
            excess.meet(block)
            bet_on(single, block)
        bet(
            together,
            blocks,
            gathered(together, blocks),
            np.array([amount for block in blocks for amount in block.values()]),
            np.array([sum(block.values()) for block in blocks]),
            np.full(7, MOST_GAIN),
        )
    for excess, single in zip(together, alone, strict=True):
        assert excess.slots.packed() == single.slots.packed()
        assert (excess.sums, excess.time, excess.total) == (single.sums, single.time, single.total)
    assert together[2].evidence > 1_000 * together[0].evidence


def test_blocks_of_labels_are_viewed_together_as_alone() -> None:
    """Mixes of one to thirty labels, blocks with new labels and with some that are not told apart; some have no past,
    some a short one, one all there is room for."""
    random = np.random.default_rng(9)
    cases, usual, pasts = [], [], []
    for number in range(9):
        counts = {f"l{label}": float(random.integers(1, 90)) for label in range(1 + number * 4)}
        names = [*counts, "new", "newer"]
        block = {name: float(random.integers(1, 9)) for name in random.permutation(names)[: 1 + number * 3].tolist()}
        cases.append((Mix.of(counts, 3.0 * (number % 2)), block, float(number % 3)))
        usual.append(np.array([counts.get(name, 0.0) for name in block]))
        pasts.append(random.normal(20, 5, (0, 3, 40, 41)[number % 4] * VIEWS).astype(np.float32).tobytes())
    beside, past = Beside(cases), Past(pasts)
    spreads = past.spreads(beside.freedom)
    views = beside.standardised(np.concatenate(usual))
    newest = np.round(views).astype(np.float32)
    after = past.spreads(beside.freedom, newest[2], 41)
    below, equal = past.ranks(newest)
    effects = beside.effects(spreads)
    for number, case in enumerate(cases):
        one, before = Beside([case]), Past([pasts[number]])
        assert one.standardised(usual[number])[:, 0].tolist() == views[:, number].tolist()
        assert one.effects(before.spreads(one.freedom)).tolist() == [effects[number]]
        single = newest[:, number : number + 1]
        assert before.spreads(one.freedom, single[2], 41).tolist() == [after[number]]
        assert [ranks[:, 0].tolist() for ranks in before.ranks(single)] == [
            below[:, number].tolist(),
            equal[:, number].tolist(),
        ]
        rows = np.frombuffer(pasts[number], np.float32).reshape(-1, VIEWS)
        known = [*rows[-40:, 2].tolist(), float(single[2, 0])]
        assert after[number] == pytest.approx(max(np.median(known) / max(float(one.freedom[0]), 1.0), 1.0), rel=1e-6)
        assert below[:, number].tolist() == (rows < single.T).sum(axis=0).tolist()


@pytest.mark.parametrize("kinds", [1, 7, 60])
def test_a_block_of_a_stream_is_viewed_as_among_many(kinds: int) -> None:
    """In plain Python and in numpy, with labels that the mix does not know."""
    random = np.random.default_rng(kinds)
    usual = {f"l{label}": float(random.integers(1, 90)) for label in range(kinds)}
    mix = Mix.of(usual)
    alone = Alone(mix, usual)
    for size in (1, 5, 60):
        block = {f"l{label}": float(random.integers(1, 9)) for label in random.permutation(kinds + 3)[:size].tolist()}
        views = Beside([(mix, block, 0.0)]).views(np.array([usual.get(label, 0.0) for label in block]))
        assert alone.views(block) == pytest.approx(views[:, 0].tolist(), rel=1e-12)


def test_mixes_and_their_noise_are_told_together_as_alone() -> None:
    """Series that have seen nothing, a little, much; cells without labels."""
    random = np.random.default_rng(10)
    several = [SameTime(CELLS) for _ in range(6)]
    blocks: list[tuple[dict[str, float], float]] = []
    for number, one in enumerate(several):
        for _ in range(number):
            same_time.observe([(one, HALF_HOUR_MS, random.random(CELLS).tolist(), True)])
        amounts = {f"a{label:x}": float(random.integers(1, 30)) for label in random.choice(256, 2 + 5 * number)}
        blocks.append((amounts, sum(amounts.values()) + 3.0))
    mixes = roots(blocks)
    cases = [(1.0 + number / 4, one, blocks[number][1]) for number, one in enumerate(several)]
    learned = spread(cases, mixes)
    assert learned[0] == 1.0
    assert any(learned[number] != case[0] for number, case in enumerate(cases))
    for number, case in enumerate(cases):
        assert roots([blocks[number]]).tolist() == [mixes[number].tolist()]
        assert spread([case], mixes[number : number + 1]) == [learned[number]]
        amounts, total = blocks[number]
        assert (np.square(mixes[number]).sum() * total) == pytest.approx(sum(amounts.values()))
