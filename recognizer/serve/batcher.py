"""Dynamic batching: pictures that come one by one are asked together, none waits longer than agreed.

Threads decode; one thread gathers what is decoded into batches and asks the network.
"""

import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Any, Final

from recognizer.decode import Decoder
from recognizer.manifest import ModelError
from recognizer.pipeline import Recognizer
from recognizer.result import Result
from recognizer.serve.metrics import Metrics
from recognizer.serve.settings import Settings
from recognizer.taken import Received, Taken

_Answer = Future[tuple[Taken, Result]]
_STOP: Final = None


class Busy(Exception):
    """As many pictures as may wait are waiting. ``retry_after`` seconds is a fair time to come back."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many pictures are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class Unavailable(Exception):
    """The model no longer answers as it should, or its device is gone: the service has to be started anew."""


class Batcher:
    """Between many requests and one recognizer. `close` answers what was taken, then ends its threads.

    ``decoder``: `recognizer.decode_worker.DecodeWorkers.decode` decodes in processes of their own.
    """

    def __init__(
        self, recognizer: Recognizer, settings: Settings, metrics: Metrics, decoder: Decoder | None = None
    ) -> None:
        self._recognizer, self._settings, self._metrics, self._decoder = recognizer, settings, metrics, decoder
        self._ready: queue.SimpleQueue[tuple[Taken, _Answer] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
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
    def alive(self) -> bool:
        """Whether pictures are still taken and asked."""
        return self._thread.is_alive() and not self._closed and self._fault is None and not self._recognizer.lost

    def enter(self) -> None:
        """A place for one picture, held until `submit` has its answer, or `leave`.

        Raises `Busy` when too many wait or the service is ending, `Unavailable` when the model has failed its canary or
        its device is gone.
        """
        with self._lock:
            if self._fault is not None:
                raise Unavailable(str(self._fault))
            if self._recognizer.lost:
                raise Unavailable("the device is gone; the service has to be started anew")
            if self._closed or self._waiting >= self._settings.max_waiting:
                raise Busy(max(1, min(60, round(self._waiting * self._seconds_a_picture))))
            self._waiting += 1

    def leave(self, _answer: object = None) -> None:
        """Give the place back."""
        with self._lock:
            self._waiting -= 1

    def submit(self, path: str, data: bytes | None, carried: Mapping[str, Any]) -> _Answer:
        """One picture, by its bytes or its path, in the place that was entered; it is left with the answer."""
        answer: _Answer = Future()
        answer.add_done_callback(self.leave)
        try:
            self._pool.submit(self._take, answer, path, data, carried)
        except RuntimeError:  # closed while the picture came in
            answer.set_exception(Unavailable("the service is ending"))
        return answer

    def close(self) -> None:
        """Take no more, answer what was taken, and end."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=True)
        self._ready.put(_STOP)
        self._thread.join()

    def _take(self, answer: _Answer, path: str, data: bytes | None, carried: Mapping[str, Any]) -> None:
        try:
            self._ready.put((self._recognizer.take(path, Received(data, carried), self._decoder), answer))
        except Exception as fault:  # noqa: BLE001 - whatever it is, the request that waits for it must hear of it
            _fail(answer, fault)

    def _run(self) -> None:
        while (first := self._ready.get()) is not _STOP:
            batch, stop = self._gather(first)
            began = time.monotonic()
            self._answer(batch)
            spent = (time.monotonic() - began) / len(batch)
            self._seconds_a_picture += (spent - self._seconds_a_picture) / 8
            if stop:
                return

    def _gather(self, first: tuple[Taken, _Answer]) -> tuple[list[tuple[Taken, _Answer]], bool]:
        """The first and what else comes within the agreed time; whether the end came too."""
        batch = [first]
        until = time.monotonic() + self._settings.max_wait_ms / 1_000
        while len(batch) < self._settings.max_batch:
            try:
                more = self._ready.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return batch, False
            if more is _STOP:
                return batch, True
            batch.append(more)
        return batch, False

    def _answer(self, batch: list[tuple[Taken, _Answer]]) -> None:
        self._metrics.batch(len(batch))
        try:
            results = self._recognizer.answer([taken for taken, _ in batch])
        except Exception as fault:  # noqa: BLE001 - whatever it is, every request of the batch must hear of it
            if isinstance(fault, ModelError):
                self._fault = fault
            for _, answer in batch:
                _fail(answer, fault)
            return
        for (taken, answer), result in zip(batch, results, strict=True):
            try:
                answer.set_result((taken, result))
            except InvalidStateError:  # its caller went away
                continue


def _fail(answer: _Answer, fault: Exception) -> None:
    try:
        answer.set_exception(fault)
    except InvalidStateError:  # its caller went away, and with him the question
        return
