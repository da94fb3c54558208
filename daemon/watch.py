"""What is wrong with wumu itself, and when to say so: told once when it lasts and once when it is over.

What was told is kept in the ledger (`Ledger.say`, `Ledger.troubles`): a watch that begins with it goes on where the one
before it was killed. A trouble that was not told yet begins to last anew.
"""

import enum
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self


class Trouble(enum.StrEnum):
    """The faults of the alerting itself that are worth a message."""

    STORE_UNAVAILABLE = "store_unavailable"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    INGEST_STALLED = "ingest_stalled"
    RULE_FAILING = "rule_failing"
    CHANNEL_FAILING = "channel_failing"
    MESSAGE_UNDELIVERABLE = "message_undeliverable"


PATIENCE_MS = {
    Trouble.STORE_UNAVAILABLE: 300_000,
    Trouble.LEDGER_UNAVAILABLE: 60_000,
    Trouble.INGEST_STALLED: 300_000,
    Trouble.RULE_FAILING: 300_000,
    Trouble.CHANNEL_FAILING: 300_000,
    Trouble.MESSAGE_UNDELIVERABLE: 0,
}
"""How long a trouble must last before it is told, milliseconds."""
OF_A_CHANNEL = frozenset({Trouble.CHANNEL_FAILING, Trouble.MESSAGE_UNDELIVERABLE})
"""``name`` is a channel's then. They are over once something reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One thing to tell about ourselves. ``name`` is what it is about: a rule, a channel, or nothing."""

    trouble: Trouble
    name: str
    detail: str
    since_ms: int
    over: bool


@dataclass(slots=True)
class _Open:
    since_ms: int
    detail: str
    told: bool = False


@dataclass(slots=True)
class Watch:
    """Fed with what is seen, from any thread; asked what to tell."""

    _open: dict[tuple[Trouble, str], _Open] = field(default_factory=dict)
    _over: list[Word] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def resumed(cls, told: Iterable[Word]) -> Self:
        """A watch that knows what was told before a restart."""
        return cls({(word.trouble, word.name): _Open(word.since_ms, word.detail, told=True) for word in told})

    def seen(self, trouble: Trouble, name: str, detail: str, now_ms: int) -> None:
        """It is so now. An empty ``detail`` says that it is not, or no longer."""
        key = (trouble, name)
        with self._lock:
            if detail:
                self._open.setdefault(key, _Open(now_ms, detail)).detail = detail
                return
            ended = self._open.pop(key, None)
            if ended is not None and ended.told:
                self._over.append(_word(key, ended, over=True))

    def words(self, now_ms: int) -> tuple[Word, ...]:
        """What is to be told now; each is given until it was `said`."""
        with self._lock:
            lasting = [
                _word(key, entry, over=False)
                for key, entry in self._open.items()
                if not entry.told and now_ms - entry.since_ms >= PATIENCE_MS[key[0]]
            ]
            return (*self._over, *lasting)

    def said(self, word: Word) -> None:
        """The word is in the outbox and need not be given again."""
        with self._lock:
            entry = self._open.get((word.trouble, word.name))
            if word.over:
                self._over.remove(word)
            elif entry is not None and entry.since_ms == word.since_ms:
                entry.told = True
            else:  # it ended in the meantime
                self._over.append(replace(word, over=True))

    def names(self, trouble: Trouble) -> tuple[str, ...]:
        """What is troubled so now."""
        with self._lock:
            return tuple(name for kind, name in self._open if kind is trouble)

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong now, for `wumu doctor` and the status line."""
        with self._lock:
            return {f"{trouble} {name}".strip(): entry.detail for (trouble, name), entry in self._open.items()}


def _word(key: tuple[Trouble, str], entry: _Open, *, over: bool) -> Word:
    trouble, name = key
    return Word(trouble=trouble, name=name, detail=entry.detail, since_ms=entry.since_ms, over=over)
