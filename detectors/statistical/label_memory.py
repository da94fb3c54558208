"""What `label_drift` remembers of a series, and the same while it is judged."""

import binascii
import hashlib
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np

from detectors.finding import Reason
from detectors.statistical.learning import LearnedState
from detectors.stats.edetector import NO_STAKES, KeptStake, KeptStakes, Stakes
from detectors.stats.labels import EPSILONS, Excess, Profile

VIEWS = 3
MOST_LABELS = 500
"""So many labels are bet on one by one; rarer ones are known to have been seen, no more."""

_SEEN_BITS = 1 << 17
_SEEN_BYTES = _SEEN_BITS // 8
_SLOT = 5 + len(EPSILONS)
_MOST_TEXT = 100_000
MOST_REFERENCE = 500

_Count = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
LONGEST_LABEL = 100
_Name = Annotated[str, msgspec.Meta(max_length=LONGEST_LABEL)]
_Hash = Annotated[str, msgspec.Meta(max_length=12, pattern="^[0-9a-f]+$")]


class Alarm(msgspec.Struct, frozen=True, array_like=True):
    """A change that is going on: why, which label, since when, its size then and now, and how rare chance makes it."""

    reason: Reason
    label: _Name | None
    name: _Hash | None
    since_ms: int
    usual: _Number
    level: _Number
    chance_days: Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class Novel(msgspec.Struct, frozen=True, array_like=True):
    """A label that had not been seen before: how often it has come since, among how many labels, and its mass then."""

    label: _Name
    name: _Hash
    since_ms: int
    count: _Count
    among: _Count
    unseen: Annotated[float, msgspec.Meta(gt=0, le=1)]


class State(LearnedState, frozen=True, kw_only=True):
    """``slots``, ``seen`` and ``references`` are packed arrays; the rest is as in `Watch`."""

    slots: Annotated[str, msgspec.Meta(max_length=_MOST_TEXT)] = ""
    seen: Annotated[str, msgspec.Meta(max_length=_MOST_TEXT)] = ""
    references: Annotated[str, msgspec.Meta(max_length=_MOST_TEXT)] = ""
    totals: tuple[_Count, _Count, _Count, _Count, _Count] = (0.0, 0.0, 1.0, 0.0, 0.0)
    sums: tuple[KeptStake, ...] = (0.0,) * len(EPSILONS)
    blocks: Annotated[int, msgspec.Meta(ge=0)] = 0
    filling: Annotated[tuple[tuple[_Hash, _Count], ...], msgspec.Meta(max_length=1_000)] = ()
    filling_ms: int | None = None
    filling_others: _Count = 0.0
    stakes: tuple[KeptStakes, ...] = (NO_STAKES,) * VIEWS
    unseen: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    novel: Annotated[tuple[Novel, ...], msgspec.Meta(max_length=20)] = ()
    recent: Annotated[tuple[tuple[int, _Number, _Count], ...], msgspec.Meta(max_length=100)] = ()
    alarm: Alarm | None = None

    def __post_init__(self) -> None:
        if len(self.stakes) != VIEWS or len(self.sums) != len(EPSILONS):
            raise ValueError("a bet is missing")
        slots = _floats(self.slots)
        if self.blocks and (not len(slots) or self.totals[0] <= 0 or (slots[1 :: _SLOT + 1] <= 0).any()):
            raise ValueError("blocks without labels")
        if len(slots) % (_SLOT + 1) or len(_floats(self.references)) % VIEWS:
            raise ValueError("no whole number of rows")
        if not np.isfinite(slots).all() or (slots < 0).any() or not np.isfinite(_floats(self.references)).all():
            raise ValueError("numbers out of range")
        _bitmap(self.seen)


@dataclass
class Watch:
    """A series while its fresh buckets are judged.

    excess      the bets on single labels; its counts are the usual mix
    seen        one bit per hash of a label that was ever seen
    references  the views of past blocks, one list per view, oldest first
    blocks      how many were learned
    """

    excess: Excess
    seen: bytearray
    references: list[list[float]]
    blocks: int
    filling: dict[str, float]
    filling_ms: int | None
    filling_others: float
    stakes: list[Stakes]
    novel: list[Novel]
    unseen: float
    recent: list[tuple[int, float, float]] = field(default_factory=list)
    alarm: Alarm | None = None
    _profile: Profile | None = None
    _seen_text: str | None = None

    @property
    def profile(self) -> Profile:
        """The usual mix, which stays as it was learned until the next new baseline."""
        if self._profile is None:
            self._profile = self.excess.profile()
        return self._profile

    @classmethod
    def of(cls, state: State) -> "Watch":
        excess = Excess()
        for row in _floats(state.slots).reshape(-1, _SLOT + 1).tolist():
            excess.slots[f"{int(row[0]):x}"] = row[1:]
        excess.total, excess.time, known, excess.floor, excess.weighed = state.totals
        excess.known = max(int(known), 1)
        excess.sums = list(state.sums)
        references = _floats(state.references).reshape(VIEWS, -1).tolist()
        return cls(
            excess,
            bytearray(_bitmap(state.seen)),
            references,
            state.blocks,
            dict(state.filling),
            state.filling_ms,
            state.filling_others,
            list(state.stakes),
            list(state.novel),
            state.unseen,
            list(state.recent),
            state.alarm,
            _seen_text=state.seen,
        )

    def state(self, query: str, judged_ms: int) -> State:
        excess = self.excess
        if self._seen_text is None:
            self._seen_text = binascii.b2a_base64(zlib.compress(bytes(self.seen), 1), newline=False).decode("ascii")
        rows = [(float(int(name, 16)), *slot) for name, slot in excess.slots.items()]
        return State(
            version=1,
            query=query,
            judged_ms=judged_ms,
            slots=_text(rows),
            seen=self._seen_text,
            references=_text(self.references),
            totals=(excess.total, excess.time, float(excess.known), excess.floor, excess.weighed),
            sums=tuple(excess.sums),
            blocks=self.blocks,
            filling=tuple(self.filling.items()),
            filling_ms=self.filling_ms,
            filling_others=self.filling_others,
            stakes=tuple(self.stakes),
            novel=tuple(self.novel),
            unseen=self.unseen,
            recent=tuple(self.recent),
            alarm=self.alarm,
        )

    def notice(self, name: str) -> bool:
        """Whether a label is new; from now on it isn't."""
        place = int(name, 16) % _SEEN_BITS
        bit = 1 << (place % 8)
        known = bool(self.seen[place // 8] & bit)
        if not known:
            self.seen[place // 8] |= bit
            self._seen_text = None
        return not known

    def restart(self) -> None:
        """A new baseline; which labels have ever been seen is kept."""
        self.excess, self._profile = Excess(), None
        self.references = [[] for _ in range(VIEWS)]
        self.blocks = 0
        self.calm()

    def calm(self) -> None:
        """No alarm is going on, and none has nearly come."""
        self.stakes = [NO_STAKES] * VIEWS
        self.excess.lose()
        self.recent, self.alarm, self.novel = [], None, []


def hashed(label: str) -> str:
    """A label's name in the bets: 48 bits, so that long names take no room."""
    return hashlib.blake2s(label.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest().lstrip("0") or "0"


def _text(rows: object) -> str:
    return binascii.b2a_base64(np.array(rows, dtype="<f8").tobytes(), newline=False).decode("ascii")


def _floats(text: str) -> np.ndarray:
    raw = binascii.a2b_base64(text, strict_mode=True)
    if len(raw) % 8:
        raise ValueError("no whole number of numbers")
    return np.frombuffer(raw, "<f8")


@lru_cache(maxsize=16)
def _bitmap(text: str) -> bytes:
    if not text:
        return bytes(_SEEN_BYTES)
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(binascii.a2b_base64(text, strict_mode=True), _SEEN_BYTES)
    except zlib.error as fault:
        raise ValueError("not a compressed bitmap") from fault
    if len(raw) != _SEEN_BYTES:
        raise ValueError("a bitmap of another size")
    return raw
