"""The sender: the only retry loop of the product. At least once, in order, each channel on its own."""

import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from daemon.clock import Clock
from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Channel, Message
from recognizer.paths import visible

log = logging.getLogger(__name__)

BATCH = 100
"""Rows handed to a channel at a time."""
TIMEOUT_S = 15.0
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 6 * 3_600.0
SHORTEST_DELAY_S = 1.0
LONGEST_BREAK_S = 300.0
"""A channel that is down is probed at least this often, so that its recovery is noticed soon."""
FAILURES_TO_BREAK = 3
"""One failed attempt is the message's own misfortune; so many in a row are the channel's."""
LONGEST_WISH_S = 24 * 3_600.0
"""A receiver's Retry-After is obeyed up to a day."""
GIVE_UP_MS = 72 * 3_600_000
"""A message is tried for at least this long after its first attempt."""

DETAIL_CHARACTERS = 1_000

_OF_THE_CHANNEL = frozenset(
    {
        DeliveryReason.CONNECTION,
        DeliveryReason.TIMEOUT,
        DeliveryReason.TLS,
        DeliveryReason.AUTHENTICATION,
        DeliveryReason.RATE_LIMITED,
        DeliveryReason.REFUSED,
        DeliveryReason.SECRET_UNREADABLE,
    }
)
"""Reasons that would meet the next message just the same: the breaker opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One undelivered message. ``first_try_ms`` is None until the first attempt failed."""

    id: str
    channel: str
    message: Message
    attempts: int
    first_try_ms: int | None


class OutboxRows(Protocol):
    """The durable queue, as the sender sees it. Called from one thread only.

    ``due`` gives rows whose time has come, oldest first, at most ``limit`` of *each* channel, so a channel that is
    down hides no other. A row is not due while an earlier row of the same thread and channel is undelivered (a dead
    row counts as done): "resolved" never overtakes "firing". ``retry`` adds one attempt, sets ``first_try_ms`` to
    ``now_ms`` where it was None, and stores the recipients that did get it in ``Message.delivered``.
    """

    def due(self, now_ms: int, limit: int) -> Sequence[OutboxRow]: ...

    def delivered(self, row_id: str, now_ms: int, detail: str) -> None: ...

    def retry(
        self,
        row_id: str,
        now_ms: int,
        next_ms: int,
        reason: DeliveryReason,
        detail: str,
        delivered_recipients: tuple[str, ...],
    ) -> None: ...

    def dead(
        self, row_id: str, now_ms: int, reason: DeliveryReason, detail: str, delivered_recipients: tuple[str, ...]
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that is given up."""

    row_id: str
    channel: str
    thread: str
    reason: DeliveryReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What happened since the last report. ``reached`` are the channels that accepted something, ``failing`` those at
    which a message was put off since then, and why; ``busy`` those still at work."""

    delivered: int = 0
    reached: tuple[str, ...] = ()
    retried: int = 0
    dead: tuple[DeadLetter, ...] = ()
    busy: tuple[str, ...] = ()
    failing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Attempted:
    """``row`` None: the channel is done with its batch."""

    channel: str
    row: OutboxRow | None = None
    failure: DeliveryError | None = None


@dataclass(slots=True)
class _Breaker:
    """``open_until_s`` is monotonic: a clock that is set back must not keep a channel closed."""

    failures: int = 0
    open_until_s: float = 0.0


@dataclass(slots=True)
class _Tally:
    delivered: int = 0
    retried: int = 0
    reached: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)


class _Worker:
    """One channel's thread. It only talks to the receiver; what came out is recorded by the sender's caller."""

    def __init__(self, channel: Channel, results: "queue.SimpleQueue[_Attempted]", timeout_s: float) -> None:
        self.busy = False
        self._channel = channel
        self._results = results
        self._timeout_s = timeout_s
        self._batches: queue.SimpleQueue[Sequence[OutboxRow]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        # a channel that ignores its time limit must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name=f"send-{channel.name}", daemon=True)
        self._thread.start()

    def hand_over(self, batch: Sequence[OutboxRow]) -> None:
        self.busy = True
        self._batches.put(batch)

    def stop(self) -> None:
        self._stopping.set()
        self._batches.put(())

    def join(self, wait_s: float) -> None:
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for row in self._batches.get():
                if self._stopping.is_set():
                    break
                failure = _attempt(self._channel, row.message, self._timeout_s)
                self._results.put(_Attempted(self._channel.name, row, failure))
                if failure is not None and failure.reason in _OF_THE_CHANNEL:
                    break  # the next message would meet the same; it stays due and untouched
            self._results.put(_Attempted(self._channel.name))


def _attempt(channel: Channel, message: Message, timeout_s: float) -> DeliveryError | None:
    try:
        channel.send(message, timeout_s)
    except DeliveryError as error:
        return error
    except Exception as error:  # a fault in one channel must neither lose the message nor stop the others
        log.exception("channel %s failed in an unforeseen way on message %s", channel.name, message.id)
        detail = f"{type(error).__name__}: {visible(str(error), 200)}"
        return DeliveryError(detail, reason=DeliveryReason.UNEXPECTED, retryable=True)
    return None


class Sender:
    """Delivers what is due. The only place that retries.

    - Each channel has a thread of its own: one that hangs delays no other.
    - Full jitter: the n-th retry comes after a random time up to 5 s x 2^n, at most 6 h, for at least 72 h; a
      receiver's Retry-After is obeyed. Then, or on a failure for good, the message is a dead letter.
    - Three failures in a row that are the channel's (no connection, wrong password...), or its wish to be left
      alone, open its breaker: nothing else is tried until one probing message went through.
    - At least once: a delivery is recorded after it succeeded; a repeated message has the same id.

    The random delays depend on ``random``, the message and the attempt alone, not on the order of threads.
    Call ``send_due`` from one thread; only that thread touches ``rows``.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        rows: OutboxRows,
        *,
        clock: Clock,
        random: random.Random,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._salt = random.getrandbits(64)
        self._results: queue.SimpleQueue[_Attempted] = queue.SimpleQueue()
        self._unrecorded: deque[_Attempted] = deque()
        self._workers = {name: _Worker(channel, self._results, timeout_s) for name, channel in channels.items()}
        self._breakers = {name: _Breaker() for name in channels}
        self._tally = _Tally()

    def send_due(self, now_ms: int, wait_s: float = 1.0) -> SendReport:
        """Send what is due and record what came of it; waits at most ``wait_s`` for the receivers.

        A channel that takes longer works on, and its outcomes are recorded by the next call. Raises LedgerError when
        an outcome can't be recorded; nothing more is handed out until it is, or it would be sent again every time.
        """
        end = time.monotonic() + wait_s
        self._record_finished()
        while self._hand_over(now_ms):
            self._record_until(end)
            if time.monotonic() >= end:
                break
        tally, self._tally = self._tally, _Tally()
        return SendReport(
            delivered=tally.delivered,
            reached=tuple(sorted(tally.reached)),
            retried=tally.retried,
            dead=tuple(tally.dead),
            busy=tuple(name for name, worker in self._workers.items() if worker.busy),
            failing=tally.failing,
        )

    def close(self, wait_s: float = 5.0) -> None:
        """Stop after the attempts under way, wait for them at most ``wait_s`` and record what they brought."""
        end = time.monotonic() + wait_s
        for worker in self._workers.values():
            worker.stop()
        for worker in self._workers.values():
            worker.join(max(0.0, end - time.monotonic()))
        self._record_finished()

    def _hand_over(self, now_ms: int) -> bool:
        """Give the idle channels their due rows; whether there was anything to give."""
        batches: dict[str, list[OutboxRow]] = {}
        for row in self._rows.due(now_ms, BATCH):
            batches.setdefault(row.channel, []).append(row)
        handed = False
        for name, batch in batches.items():
            worker, breaker = self._workers.get(name), self._breakers.get(name)
            if worker is None or breaker is None:
                handed = True
                for row in batch:
                    self._bury(row, _no_such_channel(name))
            elif not worker.busy and breaker.open_until_s <= self._clock.monotonic():
                handed = True
                worker.hand_over(batch[:1] if breaker.failures >= FAILURES_TO_BREAK else batch)
        return handed

    def _record_finished(self) -> None:
        while not self._results.empty():
            self._unrecorded.append(self._results.get())
        while self._unrecorded:
            self._record(self._unrecorded[0])
            self._unrecorded.popleft()

    def _record_until(self, end: float) -> None:
        """Record outcomes as they come until every channel is idle or time is up."""
        while any(worker.busy for worker in self._workers.values()):
            try:
                self._unrecorded.append(self._results.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                return
            self._record_finished()

    def _record(self, attempted: _Attempted) -> None:
        row, failure, now_ms = attempted.row, attempted.failure, self._clock.now_ms()
        if row is None:
            self._workers[attempted.channel].busy = False
            return
        if failure is None:
            self._rows.delivered(row.id, now_ms, "accepted by the receiver")
            self._tally.delivered += 1
            self._tally.reached.add(row.channel)
            self._tally.failing.pop(row.channel, None)
        elif not failure.retryable or (row.first_try_ms is not None and now_ms - row.first_try_ms >= GIVE_UP_MS):
            self._bury(row, failure)
        else:
            next_ms = now_ms + round(self._delay_s(row, row.attempts, failure, LONGEST_DELAY_S) * 1_000)
            self._rows.retry(row.id, now_ms, next_ms, failure.reason, _explained(failure), failure.delivered)
            self._tally.retried += 1
            self._tally.failing[row.channel] = _explained(failure)
        self._move_breaker(row, failure)

    def _bury(self, row: OutboxRow, failure: DeliveryError) -> None:
        detail = _explained(failure)
        self._rows.dead(row.id, self._clock.now_ms(), failure.reason, detail, failure.delivered)
        self._tally.dead.append(
            DeadLetter(
                row_id=row.id, channel=row.channel, thread=row.message.thread, reason=failure.reason, detail=detail
            )
        )

    def _move_breaker(self, row: OutboxRow, failure: DeliveryError | None) -> None:
        breaker = self._breakers[row.channel]
        if failure is None or failure.reason not in _OF_THE_CHANNEL:
            self._breakers[row.channel] = _Breaker()
            return
        breaker.failures += 1
        if breaker.failures >= FAILURES_TO_BREAK or failure.after_s is not None:
            delay_s = self._delay_s(row, breaker.failures - FAILURES_TO_BREAK, failure, LONGEST_BREAK_S)
            breaker.open_until_s = self._clock.monotonic() + delay_s

    def _delay_s(self, row: OutboxRow, attempts: int, failure: DeliveryError, longest_s: float) -> float:
        """Full jitter below a doubling ceiling, and never before the receiver wants to hear again."""
        ceiling_s = min(longest_s, FIRST_DELAY_S * 2 ** max(0, min(attempts, 32)))
        jitter = random.Random(f"{self._salt}/{row.id}/{attempts}")  # noqa: S311  # spreads load, guards nothing
        delay_s = jitter.uniform(SHORTEST_DELAY_S, ceiling_s)
        return max(delay_s, min(failure.after_s or 0.0, LONGEST_WISH_S))


def _no_such_channel(name: str) -> DeliveryError:
    return DeliveryError(
        f"no channel is called {name!r} any more",
        reason=DeliveryReason.GONE,
        retryable=False,
        hint="name it under channels: in alerts.yaml again, then: wumu alerts --retry",
    )


def _explained(failure: DeliveryError) -> str:
    """One visible line: half a character in a receiver's words could not be recorded."""
    return visible(f"{failure}; {failure.hint}" if failure.hint else str(failure), DETAIL_CHARACTERS)
