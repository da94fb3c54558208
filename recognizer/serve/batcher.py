"""Dynamic batching: pictures that come one by one are asked together, none waits longer than agreed.

Threads decode; one thread asks the network about what is decoded. Requests wait in the event loop, to which a whole
batch is handed back at once: whoever enters, leaves and counts does so there, and needs no lock.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from recognizer.decode import Decoder
from recognizer.manifest import ModelError
from recognizer.pipeline import Recognizer
from recognizer.result import Result
from recognizer.serve.gathering import Gathering
from recognizer.serve.metrics import Metrics
from recognizer.serve.settings import Settings
from recognizer.taken import Received, Taken

Outcome = Result | Exception
"""What became of a picture; an exception is a fault of the service, for a picture's own fault is a result."""


class Busy(Exception):
    """As many pictures as may wait are waiting. ``retry_after`` seconds is a fair time to come back."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many pictures are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class Unavailable(Exception):
    """The model no longer answers as it should, or its device is gone: the service has to be started anew."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A picture by its bytes, or by its path alone; ``carried`` are fields for its events."""

    path: str
    data: bytes | None
    carried: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return 0 if self.data is None else len(self.data)


@dataclass(frozen=True, slots=True)
class _Order:
    """Room for a picture, by its bytes, and the answer that somebody waits for."""

    answer: "asyncio.Future[Outcome]"
    size: int


class Batcher:
    """Between many requests and one recognizer; to be used in one event loop.

    ``decoder``: `recognizer.decode_worker.DecodeWorkers.decode` decodes in processes of their own.
    """

    def __init__(
        self, recognizer: Recognizer, settings: Settings, metrics: Metrics, decoder: Decoder | None = None
    ) -> None:
        self._recognizer, self._settings, self._metrics, self._decoder = recognizer, settings, metrics, decoder
        self._gathering: Gathering[tuple[Taken, _Order]] = Gathering(settings.max_batch, settings.max_wait_ms / 1_000)
        self._waiting = self._bytes = 0
        self._closed = False
        self._fault: ModelError | None = None
        self._seconds_a_picture = 0.01
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="wumu-decode")
        self._thread = threading.Thread(target=self._run, name="wumu-network", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that wait or are worked on."""
        return self._waiting

    @property
    def held_bytes(self) -> int:
        """What these hold, and the bodies that are coming in."""
        return self._bytes

    @property
    def alive(self) -> bool:
        """Whether pictures are still taken and asked."""
        return self._thread.is_alive() and not self._closed and self._fault is None and not self._recognizer.lost

    @contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Room for a request while its body comes in. What it gives takes room for so many more bytes.

        Both raise `Busy` when too many wait, or hold too much, or the service is ending, and `Unavailable` when the
        model has failed its canary or its device is gone.
        """
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            self._enter(0, size)
            held += size

        self._enter(1, 0)
        try:
            yield hold
        finally:
            self._leave(1, held)

    def submit(self, pictures: Sequence[Asked]) -> list["asyncio.Future[Outcome]"]:
        """Their answers to be; all of them are taken or none. Raises what `room` raises."""
        self._enter(len(pictures), sum(one.size for one in pictures))
        loop = asyncio.get_running_loop()
        self._gathering.expect(len(pictures))
        answers = []
        for one in pictures:
            order = _Order(loop.create_future(), one.size)
            self._pool.submit(self._take, one, order)
            answers.append(order.answer)
        return answers

    def _enter(self, pictures: int, size: int) -> None:
        if self._fault is not None:
            raise Unavailable(str(self._fault))
        if self._recognizer.lost:
            raise Unavailable("the device is gone; the service has to be started anew")
        if (
            self._closed
            or self._waiting + pictures > self._settings.max_waiting
            or self._bytes + size > self._settings.max_waiting_bytes
        ):
            raise Busy(max(1, min(60, round(self._waiting * self._seconds_a_picture))))
        self._waiting += pictures
        self._bytes += size

    def _leave(self, pictures: int, size: int) -> None:
        self._waiting -= pictures
        self._bytes -= size

    async def close(self) -> None:
        """Take no more, answer what was taken, and end the threads."""
        self._closed = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._pool.shutdown(wait=True)
        self._gathering.end()
        self._thread.join()

    def _take(self, one: Asked, order: _Order) -> None:
        try:
            taken = self._recognizer.take(one.path, Received(one.data, one.carried), self._decoder)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the request that waits for it must hear of it
            self._gathering.miss()
            self._deliver([order], [fault])
        else:
            self._gathering.put((taken, order))

    def _run(self) -> None:
        while batch := self._gathering.take():
            began = time.monotonic()
            self._metrics.batch(len(batch))
            self._deliver([order for _, order in batch], self._outcomes([taken for taken, _ in batch]))
            spent = (time.monotonic() - began) / len(batch)
            self._seconds_a_picture += (spent - self._seconds_a_picture) / 8

    def _outcomes(self, batch: list[Taken]) -> Sequence[Outcome]:
        try:
            return self._recognizer.answer(batch)
        except Exception as fault:  # noqa: BLE001 - whatever it is, every request of the batch must hear of it
            if isinstance(fault, ModelError):
                self._fault = fault
            return [fault] * len(batch)

    def _deliver(self, orders: list[_Order], outcomes: Sequence[Outcome]) -> None:
        """To the event loop, all at once: it is woken once."""
        with suppress(RuntimeError):  # the loop was closed by force: nobody waits any more
            orders[0].answer.get_loop().call_soon_threadsafe(self._answered, orders, outcomes)

    def _answered(self, orders: list[_Order], outcomes: Sequence[Outcome]) -> None:
        for order, outcome in zip(orders, outcomes, strict=True):
            self._leave(1, order.size)
            if not order.answer.done():  # else whoever asked has given up
                order.answer.set_result(outcome)
