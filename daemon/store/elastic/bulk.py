"""Events into the cluster: their lines as they are, two requests in flight, a verdict for every single event.

An event's document is its JSON line with ``@timestamp`` in front; its ``_id`` is its event_id, and the operation is
``create``. So a request whose answer was lost may simply be sent again: what is there already says so (409).
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import msgspec

from daemon.errors import StoreUnavailable
from daemon.store.base import Batch
from daemon.store.contract import refused
from daemon.store.elastic.backoff import Backoff
from daemon.store.elastic.client import Answer, Client, Fault, told
from daemon.store.elastic.searches import index_name
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.verdicts import Verdict, judge, way_out
from detectors.duration import DAY_MS
from recognizer.events import Event, Malformed, fields

EXTRA_FIELD = "extra_json"
"""Unknown fields whose names or values Elasticsearch would not take are kept as JSON text under this name."""

_ENCODER = msgspec.json.Encoder()
_MAX_ID_BYTES = 512
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_JUDGED_AS_A_WHOLE = frozenset({400, 413, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events on their way: their numbers in the batch, and their bulk lines by number."""

    payloads: Mapping[int, bytes]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def body(self) -> bytes:
        return b"".join([self.payloads[number] for number in self.numbers])

    def of(self, numbers: Sequence[int]) -> "Chunk":
        return Chunk(self.payloads, numbers)


@dataclass(slots=True)
class Outcome:
    """What became of a batch's events; ``refused`` by their number in the batch.

    ``suspects`` were refused as a request of their own: by their own fault, or by somebody on the way who refuses all.
    """

    stored: int = 0
    duplicates: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    suspects: dict[int, str] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether Elasticsearch itself judged any of the events."""
        return bool(self.stored or self.duplicates or self.refused)

    def add(self, other: "Outcome") -> None:
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.refused |= other.refused


class _WriteRefused(StoreUnavailable):
    """Somebody has to repair something first: trying again at once is of no use."""


class _ItemError(msgspec.Struct):
    type: str = ""
    reason: str | None = None
    caused_by: "_ItemError | None" = None

    def text(self) -> str:
        cause = f": {self.caused_by.text()}" if self.caused_by is not None else ""
        return told(f"{self.reason or self.type}{cause}")


class _ItemAnswer(msgspec.Struct):
    status: int = 0
    error: _ItemError | None = None


class _Operation(msgspec.Struct):
    create: _ItemAnswer


class _BulkAnswer(msgspec.Struct):
    items: list[_Operation] = []
    errors: bool = True


class BulkWriter:
    """Sends batches. `write` may be called from several threads."""

    def __init__(self, client: Client, settings: ElasticSettings, backoff: Backoff) -> None:
        self._client = client
        self._settings = settings
        self._backoff = backoff
        self._workers = ThreadPoolExecutor(settings.connections, thread_name_prefix="elasticsearch-bulk")
        self._proof = b""
        refresh = "&refresh=true" if settings.refresh_on_append else ""
        paths = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
        self._target = f"/_bulk?filter_path={paths}{refresh}"

    def write(self, batch: Batch) -> Outcome:
        """Stores the events. Raises StoreUnavailable when some could not be stored for now; then the whole batch
        may be given again, and what was stored will be told as duplicates."""
        total = Outcome()
        chunks = _chunks(batch, self._settings, self._lines_each(len(batch.lines)), total)
        tasks = [self._workers.submit(self._deliver, chunk) for chunk in chunks]
        wait(tasks, return_when=FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        wait(tasks)  # nothing of this batch is under way any more when the caller hears of a fault
        try:
            for outcome in [task.result() for task in tasks if not task.cancelled()]:
                total.add(outcome)
        finally:
            tasks.clear()  # a fault would hold this frame, and the frame by its tasks the fault: the batch with both
        return total

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _lines_each(self, lines: int) -> int:
        """How many lines one request gets: all, or so many that every connection has as many requests to send."""
        if lines <= self._settings.bulk_lines:
            return self._settings.bulk_lines
        rounds = math.ceil(lines / (self._settings.bulk_lines * self._settings.connections))
        return math.ceil(lines / (rounds * self._settings.connections))

    def _deliver(self, chunk: Chunk) -> Outcome:
        """One chunk, tried again with growing pauses while the cluster is busy."""
        outcome = Outcome()
        fault = StoreUnavailable("the store is being closed")
        for attempt in range(self._settings.attempts):
            if self._backoff.stopped:
                break
            try:
                left, fault = self._attempt(chunk, outcome)
                chunk, fault = self._settle(left, fault, outcome)
            except _WriteRefused:
                raise
            except StoreUnavailable as error:
                fault = error
            if not chunk:
                return outcome
            if attempt + 1 < self._settings.attempts:
                self._backoff.pause(attempt)
        try:
            raise fault
        finally:
            del fault  # it holds this frame: were it held by it in turn, an outage would pile up batches

    def _attempt(self, chunk: Chunk, outcome: Outcome) -> tuple[Chunk, StoreUnavailable]:
        """Sends the events once. Answers with those to send again and why."""
        answer = self._client.request("POST", self._target, chunk.body(), lines=True, accept=_JUDGED_AS_A_WHOLE)
        if answer.ok:
            return self._judge(chunk, answer, outcome)
        fault = Fault.of(answer.body)
        busy = StoreUnavailable(
            f"Elasticsearch does not take the events now ({answer.status}): {fault.reason}",
            hint="they are sent again; if this stays, look at the health of the cluster",
        )
        if answer.status not in {400, 413}:
            return chunk, busy
        if len(chunk) > 1:
            return self._halves(chunk, outcome)
        if answer.status == 413 or fault.type:
            outcome.suspects[chunk.numbers[0]] = f"{answer.status} {fault.type}: {fault.reason}"
            return chunk.of(()), busy
        return chunk, busy

    def _halves(self, chunk: Chunk, outcome: Outcome) -> tuple[Chunk, StoreUnavailable]:
        """A request that was refused whole is sent in halves, so that one bad line does not take others along."""
        middle = len(chunk) // 2
        left, fault = self._attempt(chunk.of(chunk.numbers[:middle]), outcome)
        right, right_fault = self._attempt(chunk.of(chunk.numbers[middle:]), outcome)
        return chunk.of([*left.numbers, *right.numbers]), fault if left else right_fault

    def _settle(self, left: Chunk, fault: StoreUnavailable, outcome: Outcome) -> tuple[Chunk, StoreUnavailable]:
        """Gives up the suspects once something else got through; until then the fault need not be in the lines."""
        suspects, outcome.suspects = outcome.suspects, {}
        if not suspects:
            return left, fault
        if outcome.reached or self._way_is_open():
            outcome.refused |= suspects
            return left, fault
        return left.of(sorted([*left.numbers, *suspects])), StoreUnavailable(
            f"Elasticsearch refuses every event of a request: {next(iter(suspects.values()))}",
            hint="see what stands between wumu and the cluster; wumu keeps its place in the log",
        )

    def _way_is_open(self) -> bool:
        """Whether an event that is stored already still gets through; where there is none yet, nothing proves it."""
        if not self._proof:
            return False
        return self._client.request("POST", self._target, self._proof, lines=True, accept=_JUDGED_AS_A_WHOLE).ok

    def _judge(self, chunk: Chunk, answer: Answer, outcome: Outcome) -> tuple[Chunk, StoreUnavailable]:
        told = answer.read(_BulkAnswer)
        if len(told.items) != len(chunk):
            raise StoreUnavailable(
                f"{answer.node} tells of {len(told.items)} of {len(chunk)} events",
                hint="something between here and Elasticsearch cuts answers; the events are sent again",
            )
        busy = StoreUnavailable("Elasticsearch is busy", hint="the events are sent again")
        if not told.errors:
            outcome.stored += len(chunk)
            self._proof = chunk.payloads[chunk.numbers[0]]
            return chunk.of(()), busy
        again: list[int] = []
        own = Outcome()
        for number, operation in zip(chunk.numbers, told.items, strict=True):
            status, error = operation.create.status, operation.create.error or _ItemError()
            match judge(status, error.type, error.text()):
                case Verdict.STORED:
                    own.stored += 1
                case Verdict.DUPLICATE:
                    own.duplicates += 1
                case Verdict.POISON:
                    own.refused[number] = f"{status} {error.type}: {error.text()}"
                case Verdict.RETRY:
                    again.append(number)
                    busy = StoreUnavailable(
                        f"Elasticsearch is too busy for the events ({status} {error.type}): {error.text()}",
                        hint="they are sent again; if this stays, look at the load and the disks of the cluster",
                    )
                case Verdict.OPERATOR:
                    raise _WriteRefused(
                        f"Elasticsearch refuses to write ({status} {error.type}): {error.text()}",
                        hint=way_out(error.type, error.text()),
                    )
        outcome.add(own)
        return chunk.of(again), busy


def document_id(event_id: str) -> str:
    """The ``_id`` of an event: its event_id, or a hash of it where that is empty or longer than 512 bytes."""
    if 0 < len(event_id) <= _MAX_ID_BYTES // 4:  # of four bytes each they fit: no need to count
        return event_id
    raw = event_id.encode("utf-8", "surrogatepass")
    return event_id if 0 < len(raw) <= _MAX_ID_BYTES else "blake2b-" + hashlib.blake2b(raw, digest_size=24).hexdigest()


def refused_lines(batch: Batch, outcome: Outcome) -> tuple[Malformed, ...]:
    """The lines the store will never take, with its own words."""
    return tuple(refused(batch.lines[number], text) for number, text in sorted(outcome.refused.items()))


def _chunks(batch: Batch, settings: ElasticSettings, most_lines: int, outcome: Outcome) -> Iterator[Chunk]:
    """The events as chunks, each as soon as it is complete; what has no place in any index is refused at once."""
    heads: dict[int, bytes] = {}
    payloads: dict[int, bytes] = {}
    size = 0
    for number, (event, line) in enumerate(zip(batch.events, batch.lines, strict=True)):
        day = event.timestamp // DAY_MS
        if day not in heads:
            try:
                name = index_name(settings.prefix, event.timestamp)
            except OverflowError as error:
                outcome.refused[number] = str(error)
                continue
            heads[day] = b'{"create":{"_index":"' + name.encode() + b'","_id":'
        identity = _ENCODER.encode(document_id(event.event_id or ""))
        text = line if not event.extra else _storable(event, line)
        payload = b'%b%b}}\n{"@timestamp":%d,%b\n' % (heads[day], identity, event.timestamp, text[1:])
        if payloads and (len(payloads) >= most_lines or size + len(payload) > settings.bulk_bytes):
            yield Chunk(payloads, tuple(payloads))
            payloads, size = {}, 0
        payloads[number] = payload
        size += len(payload)
    if payloads:
        yield Chunk(payloads, tuple(payloads))


def _storable(event: Event, line: bytes) -> bytes:
    """The line, unless its unknown fields have names or depths that Elasticsearch refuses: then these become a text."""
    if all(_is_plain(name, value) for name, value in event.extra.items()):
        return line
    known = {name: value for name, value in fields(event).items() if name not in event.extra}
    return msgspec.json.encode({**known, EXTRA_FIELD: msgspec.json.encode(event.extra).decode()})


def _is_plain(name: str, value: object) -> bool:
    return name != EXTRA_FIELD and _PLAIN_NAME.fullmatch(name) is not None and not isinstance(value, (dict, list))
