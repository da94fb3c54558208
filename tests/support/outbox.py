"""An outbox in memory that keeps `OutboxRows` to the letter, and channels that do as they are told."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message, Occasion
from daemon.notify.outbox import OutboxRow


@dataclass
class Entry:
    row: OutboxRow
    next_ms: int
    state: str = "pending"
    reason: DeliveryReason | None = None
    detail: str = ""


@dataclass
class MemoryOutbox:
    """``entries`` in the order of their coming. ``fail_after`` makes the n-th record of an outcome fail, as a crash."""

    entries: list[Entry] = field(default_factory=list)
    fail_after: int | None = None

    def post(self, row_id: str, channel: str, thread: str, now_ms: int = 0) -> None:
        message = Message(
            id=row_id, thread=thread, occasion=Occasion.FIRING, created_at_ms=now_ms, subject="s", text="t", html=""
        )
        row = OutboxRow(id=row_id, channel=channel, message=message, attempts=0, first_try_ms=None)
        self.entries.append(Entry(row, now_ms))

    def state(self, row_id: str) -> str:
        return self._entry(row_id).state

    def entry(self, row_id: str) -> Entry:
        return self._entry(row_id)

    def due(self, now_ms: int, limit: int) -> Sequence[OutboxRow]:
        rows: list[OutboxRow] = []
        waiting: set[tuple[str, str]] = set()
        count: dict[str, int] = {}
        for entry in self.entries:
            row = entry.row
            place = (row.channel, row.message.thread)
            if entry.state != "pending" or place in waiting:
                continue
            waiting.add(place)
            if entry.next_ms <= now_ms and count.get(row.channel, 0) < limit:
                count[row.channel] = count.get(row.channel, 0) + 1
                rows.append(row)
        return rows

    def delivered(self, row_id: str, now_ms: int, detail: str) -> None:
        self._crash()
        self._entry(row_id).state = "delivered"

    def retry(
        self,
        row_id: str,
        now_ms: int,
        next_ms: int,
        reason: DeliveryReason,
        detail: str,
        delivered_recipients: tuple[str, ...],
    ) -> None:
        self._crash()
        entry = self._entry(row_id)
        message = replace(entry.row.message, delivered=delivered_recipients or entry.row.message.delivered)
        first = now_ms if entry.row.first_try_ms is None else entry.row.first_try_ms
        entry.row = replace(entry.row, attempts=entry.row.attempts + 1, first_try_ms=first, message=message)
        entry.next_ms, entry.reason, entry.detail = next_ms, reason, detail

    def dead(
        self, row_id: str, now_ms: int, reason: DeliveryReason, detail: str, delivered_recipients: tuple[str, ...]
    ) -> None:
        self._crash()
        entry = self._entry(row_id)
        entry.state, entry.reason, entry.detail = "dead", reason, detail

    def _entry(self, row_id: str) -> Entry:
        return next(entry for entry in self.entries if entry.row.id == row_id)

    def _crash(self) -> None:
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise ConnectionAbortedError("the process died here")


class ScriptedChannel:
    """A channel whose n-th attempt raises the n-th outcome; None and whatever comes after are successes."""

    def __init__(self, name: str, *outcomes: Exception | None) -> None:
        self.name = name
        self.sent: list[str] = []
        self.tried: list[str] = []
        self._outcomes = list(outcomes)

    def send(self, message: Message, timeout_s: float) -> None:
        self.tried.append(message.id)
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome is not None:
            raise outcome
        self.sent.append(message.id)


class HangingChannel:
    """A channel that ignores its time limit until ``release`` is set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entered = threading.Event()
        self.release = threading.Event()

    def send(self, message: Message, timeout_s: float) -> None:
        self.entered.set()
        self.release.wait()


def refusal(reason: DeliveryReason, *, retryable: bool = True, after_s: float | None = None) -> DeliveryError:
    return DeliveryError(f"no: {reason}", reason=reason, retryable=retryable, after_s=after_s)


def always(make: Callable[[], DeliveryError], times: int = 1_000) -> list[DeliveryError]:
    return [make() for _ in range(times)]
