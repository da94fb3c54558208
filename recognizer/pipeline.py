"""Pictures in, answers out: decoding in threads ahead of batched inference, one event a stage, one result a picture.

recognizer = Recognizer.load("models/digits")
for result in recognizer.recognize(paths):
    print(result.to_json())
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.crew import Crew, settle
from recognizer.decode import DEFAULT_LIMITS, Decoder, PathInput, decode, read
from recognizer.device.driver import Moments
from recognizer.device.lane import Handle, Judged
from recognizer.device.opening import DEFAULT, LaneSettings, open_lane
from recognizer.emit import Recognition, recognition
from recognizer.emitter import EMITTER
from recognizer.fault import InputFault
from recognizer.infer import Answer
from recognizer.inspect import Limits
from recognizer.manifest import ModelError, ScoreKind
from recognizer.model import Model, load
from recognizer.model_events import check_canary, tell_loaded, tell_refused, tell_shift
from recognizer.path_findings import NOTHING_FOUND, PathFindings
from recognizer.paths import visible
from recognizer.preprocess import Form, channel_conversion, form
from recognizer.reasons import InputReason
from recognizer.repeats import Repeats, likeness
from recognizer.result import Result
from recognizer.sound import is_installed
from recognizer.source import ANY_FILE, Access, as_text
from recognizer.taken import Decoded, Moment, Ready, Received, Refused, Taken
from recognizer.tensor_facts import TensorFacts
from recognizer.tensor_monitor import TensorMonitor

LOW_CONFIDENCE = 0.3
"""Below this score an answer is marked as withheld, unless the caller sets another threshold."""


_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
LEAST_KEPT_SHARE = 0.4
"""A crop that keeps less of a picture's area may have lost what was to be recognised. Of 16:9 it keeps .43."""


_InFlight = tuple[list[Taken], Future[Handle]]


class Recognizer:
    """A loaded model and how pictures come to it. Safe to share between threads."""

    def __init__(
        self,
        model: Model,
        *,
        limits: Limits = DEFAULT_LIMITS,
        low_confidence: float = LOW_CONFIDENCE,
        canary_minutes: float | None = None,
        access: Access = ANY_FILE,
        searchable: bool | None = None,
        lane: LaneSettings = DEFAULT,
    ) -> None:
        """``canary_minutes``: how often the canary is asked again while pictures come, or never.

        ``access``: which files may be read, and whether the file that was meant is read in place of a faulty path.
        ``searchable``: whether events carry the words of the path for `wumu search`; by default where pypinyin is.
        ``lane``: how the network is run on its device; `ModelError` when it does not fit there.
        """
        self._access = access
        self._searchable = is_installed() if searchable is None else searchable
        self._lane = open_lane(model, lane)
        self._model = self._lane.model
        self._monitor = TensorMonitor(model.manifest.preprocessing)
        self._repeats = Repeats()
        self._crew = Crew()
        self._scored = model.manifest.score is not ScoreKind.LOGIT
        self._canary_seconds = None if canary_minutes is None else 60 * canary_minutes
        self._canary_asked_at = time.monotonic()
        self._limits = limits
        self._low_confidence = low_confidence
        self._device = str(model.device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        limits: Limits = DEFAULT_LIMITS,
        low_confidence: float = LOW_CONFIDENCE,
        canary_minutes: float | None = None,
        access: Access = ANY_FILE,
        searchable: bool | None = None,
        lane: LaneSettings = DEFAULT,
    ) -> "Recognizer":
        """The recognizer with the model at ``path`` (see `recognizer.model.load`), and a model_loaded event.

        Raises `recognizer.manifest.ModelError`, which says what is wrong; so does `recognize` when the canary, asked
        every ``canary_minutes``, is no longer answered as recorded: no answer is better than a wrong one.
        """
        started = time.perf_counter()
        try:
            recognizer = cls(
                load(path, device),
                limits=limits,
                low_confidence=low_confidence,
                canary_minutes=canary_minutes,
                access=access,
                searchable=searchable,
                lane=lane,
            )
        except ModelError as error:
            tell_refused(path, error)
            raise
        tell_loaded(recognizer._lane, (time.perf_counter() - started) * 1_000, auto=device == "auto")
        return recognizer

    @property
    def lost(self) -> bool:
        """Whether the device is gone: nothing is recognised any more, the process has to be started anew."""
        return self._lane.lost

    @property
    def model_name(self) -> str:
        """The name in model.json; it stands in every event."""
        return self._model.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label the model can answer with, in the order of its outputs."""
        return self._model.labels

    def recognize(
        self,
        paths: Iterable[PathInput],
        *,
        batch_size: int = 32,
        workers: int | None = None,
        decoder: Decoder | None = None,
    ) -> Iterator[Result]:
        """One result for each path, in their order, whatever happens to it; paths are taken as results are asked for.

        Of ``batch_size`` pictures asked together one bad one fails alone. Up to two batches less one are read ahead by
        ``workers`` threads (as many as the machine has processors), while the network has another one; a batch of 1
        answers before it reads on.
        ``decoder``: `recognizer.decode_worker.DecodeWorkers.decode` decodes in processes of their own.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        ahead = 2 * batch_size - 1
        told: _InFlight | None = None
        asked: _InFlight | None = None
        source = iter(paths)
        waiting: deque[Future[Taken]] = deque()
        pool = self._crew.pool("wumu-decode", workers or os.cpu_count() or 1)
        network = self._crew.pool("wumu-network", 1)
        try:
            while True:
                begun = self._begin(list(itertools.islice(source, ahead - len(waiting))))
                waiting.extend(pool.submit(self._prepare, path, events, decoder) for path, events in begun)
                batch = [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
                asked = (batch, network.submit(self._ask, batch)) if batch else None
                if told is not None:  # its events are built while the device works on the next batch
                    yield from self._tell(*told)
                if asked is not None and batch_size == 1:
                    yield from self._tell(*asked)
                    asked = None
                elif asked is None:
                    break
                told = asked
        finally:
            settle(waiting)
            settle(future for _, future in filter(None, (told, asked)))

    def _ask_canary(self) -> None:
        if self._canary_seconds is not None and time.monotonic() - self._canary_asked_at >= self._canary_seconds:
            self._canary_asked_at = time.monotonic()
            check_canary(self._model)

    def take(self, path: PathInput, received: Received, decoder: Decoder | None = None) -> Taken:
        """One picture for a later `answer`: read and prepared. The caller's thread does the work; it never raises.

        Where ``received`` brings the picture itself, ``path`` is only its name. ``decoder``: as in `recognize`.
        """
        events = self._events(path, received.carried.get("request_id"))
        events.carried |= received.carried
        events.input_start(**({} if received.data is None else {"file_size": len(received.data)}))
        return self._prepare(path, events, decoder, received)

    def answer(self, batch: list[Taken]) -> list[Result]:
        """The results of what was taken, asked together, in their order; raises only what the canary raises.

        The events are written but for business_output, which is the caller's: ``one.events.business_output(…)``.
        """
        asked: Future[Handle] = Future()
        asked.set_result(self._ask(batch))
        return self._tell(batch, asked)

    def is_withheld(self, result: Result) -> bool:
        """Whether the low-confidence filter keeps this answer back."""
        return self._is_low(result.scores)

    def _events(self, path: object, request_id: str | None = None) -> Recognition:
        return recognition(path, model_name=self.model_name, request_id=request_id, searchable=self._searchable)

    def _begin(self, paths: list[PathInput]) -> list[tuple[PathInput, Recognition]]:
        """Tells that these are taken, in one write, before any is read: a picture that kills the process is known.

        Their other events follow for a whole batch at once, with the time at which they happened.
        """
        told: list[dict[str, Any]] = []
        begun = []
        for path in paths:
            events = self._events(path)
            events.later = told
            events.input_start()
            begun.append((path, events))
        EMITTER.emit_all(told)
        return begun

    def _prepare(
        self, path: object, events: Recognition, decoder: Decoder | None, received: Received | None = None
    ) -> Taken:
        """From the path to the network's input, in a worker thread."""
        name = as_text(path)
        return Taken(name, events, self._outcome(path, name, decoder, received), served=received is not None)

    def _outcome(self, path: object, name: str, decoder: Decoder | None, received: Received | None) -> Ready | Refused:
        decoded = None
        started = time.perf_counter()
        try:
            if received is not None and received.data is not None:
                picture = (decoder or decode)(received.data, name, self._limits, PathFindings.seen(name).issues)
            else:
                # read() itself refuses what is no path
                picture = read(path, self._limits, self._access, decoder)  # type: ignore[arg-type]
            alike = likeness(picture)
            # dozens of pictures wait for their batch: what the device has no use for is not kept meanwhile
            decoded = Decoded(replace(picture, pixels=_NO_PIXELS), alike, Moment.since(started))
            started = time.perf_counter()
            staged = self._lane.stage(picture.pixels)
            prepared = form(*picture.pixels.shape[:2], self._model.manifest.preprocessing)
            return Ready(decoded, prepared, staged, Moment.since(started))
        except InputFault as fault:
            refused = fault.bare()
        except Exception as error:  # noqa: BLE001  # a decoder's own fault must not end the others' batch
            refused = _unforeseen(error)
        return Refused(decoded, refused, Moment.since(started))

    def _ask(self, batch: list[Taken]) -> Handle:
        """Asks the network about those of the batch that came so far."""
        self._ask_canary()
        return self._lane.submit([one.outcome.staged for one in batch if isinstance(one.outcome, Ready)])

    def _tell(self, batch: list[Taken], asked: "Future[Handle]") -> list[Result]:
        """Tells and answers for all of a batch, the moment the network has answered."""
        judged = iter(asked.result().result())
        events: list[dict[str, Any]] = []
        results = []
        for one in map(self._marked, batch):
            one.events.later = events
            self._tell_decoded(one)
            if isinstance(one.outcome, Ready):
                results.append(self._told(one, one.outcome, next(judged)))
            else:
                results.append(self._failed(one, one.outcome.fault, one.outcome.at))
            one.events.later = None
        EMITTER.emit_all(events)
        return results

    def _marked(self, one: Taken) -> Taken:
        """With IMAGE_DUPLICATE where it is one: asked in the order of the input, however the threads were done."""
        decoded = one.outcome.decoded
        if decoded is None or not self._repeats.came_before(decoded.likeness, one.path):
            return one
        picture = replace(decoded.picture, issues=(*decoded.picture.issues, InputReason.IMAGE_DUPLICATE))
        return replace(one, outcome=replace(one.outcome, decoded=replace(decoded, picture=picture)))

    def _told(self, one: Taken, ready: Ready, judged: Judged) -> Result:
        """The result of a picture that the network was asked about, after its events."""
        if judged.facts is not None:
            self._tell_prepared(one.events, ready, judged.facts, judged.moments)
        answer, inferred = judged.answer, Moment.of_answer(judged.moments)
        if isinstance(answer, InputFault):
            return self._failed(one, answer, inferred)
        self._tell_answer(one, answer, inferred)
        if judged.facts is not None:
            shift = self._monitor.observe(judged.facts, answer.scores[0], answer.entropy, answer.logit)
            if shift is not None:
                tell_shift(self._model, shift)
        return self._result(one, labels=answer.labels, scores=answer.scores)

    def _failed(self, one: Taken, fault: InputFault, at: Moment) -> Result:
        one.events.input_error(fault, timestamp=at.timestamp, duration_ms=at.duration_ms)
        return self._result(one, fault=fault)

    def _tell_decoded(self, one: Taken) -> None:
        decoded = one.outcome.decoded
        if decoded is None:
            return
        picture = decoded.picture
        one.events.input_success(
            timestamp=decoded.at.timestamp,
            duration_ms=decoded.at.duration_ms,
            shape=picture.shape,
            channels=picture.shape[2],
            dtype=picture.dtype,
            image_format=picture.format,
            **({"image_issues": picture.issues} if picture.issues else {}),
            **({"path_suggested": picture.repaired} if picture.repaired is not None else {}),
        )

    def _tell_prepared(self, events: Recognition, ready: Ready, facts: TensorFacts, moments: Moments) -> None:
        done, preprocessing = ready.form, self._model.manifest.preprocessing
        events.preprocess_complete(
            timestamp=round(moments.prepared_at),
            # the picture's own part, done by its thread, and that of its batch on the device
            duration_ms=round(ready.at.duration_ms + moments.prepare_ms, 3),
            output_shape=done.output_shape,
            resized=done.resized,
            normalized=done.normalized,
            channel_conversion=channel_conversion(ready.decoded.picture.conversion, preprocessing),
            scale_ratio=done.scale_ratio,
            mean=facts.mean,
            variance=facts.variance,
            channel_means=facts.channel_means,
            channel_deviations=facts.channel_deviations,
            tensor_min=facts.minimum,
            tensor_max=facts.maximum,
            nan_count=facts.bad_values,
            kept_share=done.kept_share,
            **({"tensor_issues": issues} if (issues := self._tensor_issues(done, facts)) else {}),
        )

    def _tensor_issues(self, done: Form, facts: TensorFacts) -> list[str]:
        issues = [] if (wrong := self._monitor.impossible(facts)) is None else [wrong.value]
        return [*issues, InputReason.TENSOR_CROPPED.value] if done.kept_share < LEAST_KEPT_SHARE else issues

    def _tell_answer(self, one: Taken, answer: Answer, inferred: Moment) -> None:
        one.events.inference_complete(
            answer.labels,
            answer.scores if self._scored else None,
            top1_logit=answer.logit,
            margin=answer.margin,
            entropy=answer.entropy,
            timestamp=inferred.timestamp,
            duration_ms=round(answer.duration_ms, 3),
            logits_dim=answer.logits_dim,
            device=self._device,
            batch_size=answer.batch_size,
        )
        if not one.served:
            one.events.business_output(status="success", low_confidence_filtered=self._is_low(answer.scores))

    def _is_low(self, scores: tuple[float, ...]) -> bool:
        return self._scored and bool(scores) and scores[0] < self._low_confidence

    def _result(
        self,
        one: Taken,
        *,
        labels: tuple[str, ...] = (),
        scores: tuple[float, ...] = (),
        fault: InputFault | None = None,
    ) -> Result:
        decoded = one.outcome.decoded
        picture = None if decoded is None else decoded.picture
        found = NOTHING_FOUND if fault is None else fault.path
        return Result(
            file_path=one.path,
            request_id=one.events.request_id,
            model_name=self.model_name,
            labels=labels,
            scores=scores,
            reason=None if fault is None else fault.reason,
            message="" if fault is None else fault.message,
            image_issues=() if picture is None else picture.issues,
            path_issues=found.issues if picture is None else picture.path_issues,
            path_cleaned=found.cleaned,
            path_cleaned_exists=found.cleaned_exists,
            path_suggested=found.suggested if picture is None else picture.repaired,
            shape=None if picture is None else picture.shape,
            image_format=None if picture is None else picture.format,
        )


def _unforeseen(error: Exception) -> InputFault:
    full = isinstance(error, MemoryError)
    reason = InputReason.IMAGE_TOO_MANY_PIXELS if full else InputReason.UNSPECIFIED
    return InputFault(reason, visible(f"{type(error).__name__}: {error}"))
