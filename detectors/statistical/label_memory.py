"""What `label_drift` remembers of a series, and the same while it is judged."""

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
import numpy as np

from detectors.finding import Reason
from detectors.memory import Packed
from detectors.statistical.label_rhythm import CELLS
from detectors.statistical.learning import LearnedState
from detectors.stats.edetector import KeptStake, no_bets
from detectors.stats.label_slots import KeptSlots
from detectors.stats.labels import EPSILONS, Excess
from detectors.stats.mixes import VIEWS, Mix
from detectors.stats.record import SETTLE, Record
from detectors.stats.restless import Restless
from detectors.stats.same_time import SameTime
from detectors.stats.series import Floats, Singles

NO_BETS = no_bets(VIEWS)
"""No stakes, one row per view."""

MOST_LABELS = 500
"""So many labels are bet on one by one; rarer ones are known to have been seen, no more."""

_SEEN_BITS = 1 << 17
_SEEN_BYTES = _SEEN_BITS // 8
_MOST_SEEN_BYTES = _SEEN_BYTES + 100
_BLOCK = struct.Struct("<3d")
_VIEWS_SIZE = 4 * VIEWS
MOST_REFERENCE = 500
_MOST_RECENT = 60

_LEAST_CALM = 5
_CALM_SHARE = 2 / 3
_SMOOTHING = 2.0
"""In blocks."""

_Count = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
LONGEST_LABEL = 100
_LONGEST_NAME = 12
_Label = Annotated[str, msgspec.Meta(max_length=LONGEST_LABEL)]
_Name = Annotated[str, msgspec.Meta(max_length=_LONGEST_NAME)]


class Alarm(msgspec.Struct, frozen=True, array_like=True):
    """A change that is going on: why, which label, since when, how large it was and is, and how rare by chance.

    took  how many blocks it was there before it was noticed
    calm  how many of the newest blocks show less than half of it together, and the sum of what they show
    """

    reason: Reason
    label: _Label | None
    name: _Name | None
    since_ms: int
    usual: _Number
    level: _Number
    chance_days: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    took: Annotated[int, msgspec.Meta(ge=1)] = 1
    calm: tuple[_Count, _Number] = (0.0, 0.0)

    def followed(self, shown: float, least: float) -> "Alarm | None":
        """After one more block that shows so much of it; None if it is over: so many blocks as chance does not hide it
        in, most of those it took to be noticed, show less than ``least`` on the mean.

        A moved mix is counted by its effect squared, as that is what chance spreads evenly about what it is.
        """
        squared = self.reason is Reason.LABEL_DRIFT
        size = self.level**2 if squared else self.level - self.usual
        blocks, total = self.calm[0] + 1, self.calm[1] + shown
        if total > blocks * size / 2:
            blocks, total = 0.0, 0.0
        elif blocks >= max(_LEAST_CALM, _CALM_SHARE * self.took) and total < blocks * least:
            return None
        size += (shown - size) / max(_SMOOTHING, self.took / 2)
        level = math.sqrt(max(size, 0.0)) if squared else self.usual + size
        return msgspec.structs.replace(self, level=level, calm=(blocks, total))


class Novel(msgspec.Struct, frozen=True, array_like=True):
    """A label that had not been seen before: how often it has come since, among how many labels, and its mass then."""

    label: _Label
    name: _Name
    since_ms: int
    count: _Count
    among: _Count
    unseen: Annotated[float, msgspec.Meta(gt=0, le=1)]


class State(LearnedState, frozen=True, kw_only=True):
    """``slots`` are those of ``names`` (joined by blanks), ``stakes`` and ``recent`` as in `Watch`, packed.

    ``settled``, ``newest`` and ``skipped`` are the views of past blocks (`Record`), ``rhythm`` and ``now`` what the
    time of day tells (`SameTime`), ``known`` the labels that were ever seen. What does not vouch for itself is vouched
    for by a checksum. ``totals`` are the other numbers of `Excess`; ``mix`` is the usual one, once it is learned.

    Version 3 had the views as ``references``, view by view, the labels as ``seen`` and the rhythm as ``same_time``.
    """

    version: Literal[3, 4] = 4
    names: Annotated[str, msgspec.Meta(max_length=(MOST_LABELS + 1) * (_LONGEST_NAME + 1))] = ""
    slots: bytes = b""
    known: Packed = Packed()
    settled: Packed = Packed()
    newest: Annotated[bytes, msgspec.Meta(max_length=SETTLE * _VIEWS_SIZE)] = b""
    skipped: Annotated[int, msgspec.Meta(ge=0)] = 0
    totals: tuple[_Count, _Count, _Count, _Count, _Count] = (0.0, 0.0, 1.0, 0.0, 0.0)
    sums: Annotated[tuple[KeptStake, ...], msgspec.Meta(min_length=len(EPSILONS), max_length=len(EPSILONS))] = (
        0.0,
    ) * len(EPSILONS)
    mix: Mix | None = None
    blocks: Annotated[int, msgspec.Meta(ge=0)] = 0
    filling: Annotated[dict[_Name, _Count], msgspec.Meta(max_length=MOST_LABELS)] = msgspec.field(default_factory=dict)
    filling_ms: int | None = None
    filling_others: _Count = 0.0
    stakes: bytes = b""
    unseen: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    novel: Annotated[tuple[Novel, ...], msgspec.Meta(max_length=20)] = ()
    recent: Annotated[bytes, msgspec.Meta(max_length=_MOST_RECENT * _BLOCK.size)] = b""
    alarm: Alarm | None = None

    rhythm: Packed = Packed()
    now: bytes = b""
    spread: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 1.0
    restless: bytes = b""
    checksum: int = 0

    references: Annotated[bytes, msgspec.Meta(max_length=VIEWS * MOST_REFERENCE * 4)] = b""
    seen: Annotated[bytes, msgspec.Meta(max_length=_MOST_SEEN_BYTES)] = b""
    same_time: bytes = b""

    def check(self) -> None:
        if self.checksum != self.vouched():
            raise ValueError("damaged numbers")
        if self.blocks and (not self.slots or self.totals[0] <= 0):
            raise ValueError("blocks without labels")
        Record.check(_VIEWS_SIZE, self.settled, self.newest, self.skipped)

    def vouched(self) -> int:
        """The checksum of what is packed."""
        old = (self.seen, self.references, self.stakes, self.recent, self.same_time)
        return _checksum(self.names, self.slots, *old, self.newest, self.now, self.restless)

    @property
    def record(self) -> Record:
        """The views of past blocks."""
        if not self.references:
            return Record(_VIEWS_SIZE, self.settled, self.newest, self.skipped)
        by_view = np.frombuffer(self.references, "<f4").reshape(VIEWS, -1)
        return Record(_VIEWS_SIZE, Packed(by_view.T.tobytes()))

    @property
    def rhythm_of_day(self) -> SameTime:
        """What the time of day tells."""
        return SameTime.of_row(CELLS, self.same_time) if self.same_time else SameTime(CELLS, self.rhythm, self.now)


@dataclass(slots=True)
class Watch:
    """A series while its fresh buckets are judged.

    excess      the bets on single labels; its counts are the usual mix
    seen        one bit per hash of a label that was ever seen, compressed
    record      the views of past blocks
    same_time   the shares of `CELLS` that the labels are dealt to, by the time of day
    restless    how far these wander by themselves
    spread      how many times the variance of independent labels they have
    blocks      how many were learned
    recent      start, effect and time of the newest blocks, packed
    """

    excess: Excess[KeptSlots]
    seen: Packed
    record: Record
    mix: Mix | None
    blocks: int
    filling: dict[str, float]
    filling_ms: int | None
    filling_others: float
    stakes: bytes
    novel: list[Novel]
    unseen: float
    recent: bytes
    alarm: Alarm | None
    same_time: SameTime
    restless: Restless
    spread: float
    _bits: bytearray | None = None
    _noticed: bool = False

    @property
    def usual_mix(self) -> Mix:
        """The usual mix, which stays as it was learned until the next new baseline."""
        if self.mix is None:
            self.mix = self.excess.mix()
        return self.mix

    @classmethod
    def of(cls, state: State) -> "Watch":
        excess = Excess(KeptSlots(state.names, state.slots))
        excess.total, excess.time, known, excess.floor, excess.weighed = state.totals
        excess.known = max(int(known), 1)
        excess.sums = list(state.sums)
        return cls(
            excess,
            Packed(state.seen) if state.seen else state.known,
            state.record,
            state.mix,
            state.blocks,
            dict(state.filling),
            state.filling_ms,
            state.filling_others,
            state.stakes or NO_BETS,
            list(state.novel),
            state.unseen,
            state.recent,
            state.alarm,
            state.rhythm_of_day,
            Restless(CELLS, state.restless),
            state.spread,
        )

    def state(self, query: str, judged_ms: int) -> State:
        excess = self.excess
        names, slots = excess.slots.packed()
        if self._noticed and self._bits is not None:
            self.seen = Packed(zlib.compress(self._bits, 1))
        settled, newest, skipped = self.record.kept()
        rhythm, now = self.same_time.kept()
        restless = self.restless.kept()
        return State(
            query=query,
            judged_ms=judged_ms,
            names=names,
            slots=slots,
            known=self.seen,
            settled=settled,
            newest=newest,
            skipped=skipped,
            totals=(excess.total, excess.time, float(excess.known), excess.floor, excess.weighed),
            sums=tuple(excess.sums),
            mix=self.mix,
            blocks=self.blocks,
            filling=self.filling,
            filling_ms=self.filling_ms,
            filling_others=self.filling_others,
            stakes=self.stakes,
            novel=tuple(self.novel),
            unseen=self.unseen,
            recent=self.recent,
            alarm=self.alarm,
            rhythm=rhythm,
            spread=self.spread,
            now=now,
            restless=restless,
            checksum=_checksum(names, slots, self.stakes, self.recent, newest, now, restless),
        )

    def notice(self, name: str) -> bool:
        """Whether a label is new; from now on it isn't."""
        if name in self.excess.slots or name in self.filling:
            return False
        if self._bits is None:
            bits = zlib.decompress(self.seen.data) if self.seen.data else bytes(_SEEN_BYTES)
            self._bits = bytearray(bits)
        place = int(name, 16) % _SEEN_BITS
        bit = 1 << (place % 8)
        known = bool(self._bits[place // 8] & bit)
        if not known:
            self._bits[place // 8] |= bit
            self._noticed = True
        return not known

    @property
    def references(self) -> Singles:
        """The views of past blocks, one row per view, oldest first."""
        return np.frombuffer(self.record.rows, "<f4").reshape(-1, VIEWS).T

    def refer(self, views: bytes) -> None:
        """Remember the views of one more block; the oldest are forgotten."""
        if len(self.record) == MOST_REFERENCE:
            self.record.forget(1)
        self.record.append(views)

    def recently(self, start_ms: int, effect: float, time: float) -> None:
        """Remember one more block's start, effect and time; the oldest are forgotten."""
        self.recent = (self.recent + _BLOCK.pack(start_ms, effect, time))[-_MOST_RECENT * _BLOCK.size :]

    @property
    def newest(self) -> Floats:
        """Start, effect and time of the newest blocks, one row per block."""
        return _numbers(self.recent).reshape(-1, 3)

    def restart(self) -> None:
        """A new baseline; which labels have ever been seen is kept."""
        self.excess, self.mix = Excess(KeptSlots()), None
        self.record.replace(b"")
        self.blocks = 0
        self.calm()

    def calm(self) -> None:
        """No alarm is going on, and none has nearly come."""
        self.stakes = NO_BETS
        self.excess.lose()
        self.recent, self.alarm, self.novel = b"", None, []


@lru_cache(maxsize=1 << 15)
def hashed(label: str) -> str:
    """A label's name in the bets: 48 bits, so that long names take no room."""
    return hashlib.blake2s(label.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest().lstrip("0") or "0"


def _numbers(data: bytes) -> Floats:
    return np.frombuffer(data, "<f8")


def _checksum(names: str, *packed: bytes) -> int:
    return zlib.crc32(b"".join((names.encode(), *packed)))
