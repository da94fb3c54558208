"""What is known of each label, kept as bytes: only what is asked for is unpacked."""

import struct
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from typing import Any

SHARES = 2
"""How many shares are bet on: that a label has gained one of them."""

COUNT, WEIGHT, NEWEST, WINNING, USUAL, STAKES = range(6)
WIDTH = STAKES + SHARES
"""Of one label: its count, its weight, the time of its newest stakes, when they began to win, its count when the
labels were weighed, and the stake for each of `SHARES`. Times count labels."""

Slot = list[float]

_SLOT = struct.Struct(f"<{WIDTH}d")
_NOTHING = bytes(_SLOT.size)


class KeptSlots(MutableMapping[str, Slot]):
    """The slots of many labels; those that were asked for one by one are lists that may be changed in place."""

    __slots__ = ("_held", "_names", "_places", "_rows")

    def __init__(self, names: str = "", rows: bytes = b"") -> None:
        """As `packed` told it."""
        self._names, self._rows = names, bytearray(rows)
        self._places = dict(zip(names.split(), range(0, len(rows), _SLOT.size), strict=True))
        self._held: dict[str, Slot] = {}

    def __getitem__(self, name: str) -> Slot:
        slot: Slot | None = self.get(name)
        if slot is None:
            raise KeyError(name)
        return slot

    def get(self, name: str, default: Any = None) -> Any:
        """Faster than what an error of `__getitem__` would be caught for."""
        held = self._held.get(name)
        if held is None:
            place = self._places.get(name)
            if place is None:
                return default
            held = self._held[name] = list(_SLOT.unpack_from(self._rows, place))
        return held

    def __setitem__(self, name: str, slot: Slot) -> None:
        self._held[name] = slot

    def __delitem__(self, name: str) -> None:
        if self._places:
            self._held = dict(self.items())
            self._names, self._rows, self._places = "", bytearray(), {}
        del self._held[name]

    def __contains__(self, name: object) -> bool:
        return name in self._held or name in self._places

    def __iter__(self) -> Iterator[str]:
        """In the order in which they came."""
        yield from self._places
        yield from [name for name in self._held if name not in self._places]

    def __len__(self) -> int:
        return len(self._places) + sum(1 for name in self._held if name not in self._places)

    @property
    def known(self) -> Mapping[str, int]:
        """The labels that have a slot."""
        self._settle()
        return self._places

    def gathered(self, names: Collection[str]) -> bytes:
        """The slots of these labels one after the other; zeros for one that has none."""
        self._settle()
        size, rows, places = _SLOT.size, self._rows, map(self._places.get, names)
        return b"".join([_NOTHING if place is None else rows[place : place + size] for place in places])

    def scatter(self, names: Collection[str], slots: bytes) -> None:
        """The inverse of `gathered`; each of these labels must have a slot."""
        size, rows, begin = _SLOT.size, self._rows, 0
        for place in map(self._places.__getitem__, names):
            rows[place : place + size] = slots[begin : begin + size]
            begin += size

    def packed(self) -> tuple[str, bytes]:
        """What it can be made of again."""
        self._settle()
        return self._names, bytes(self._rows)

    def _settle(self) -> None:
        """Nothing is held any longer."""
        if not self._held:
            return
        names = [self._names] if self._names else []
        for name, slot in self._held.items():
            place = self._places.get(name)
            if place is None:
                names.append(name)
                self._places[name] = len(self._rows)
                self._rows += _SLOT.pack(*slot)
            else:
                _SLOT.pack_into(self._rows, place, *slot)
        self._names = " ".join(names)
        self._held = {}
