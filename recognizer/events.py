"""The contract of an event: one JSON line, one `Event`. Everything else is derived from this file.

The Elasticsearch template, the JSON Schema, the DuckDB table and the docs are made from the annotations
below (`recognizer.mapping`). A field's unit stands in its name or in its description.

Reading lines is `recognizer.decode_lines`: it never raises on bad input but answers with an `Event`, or with a
`Malformed` that says what is wrong and what to do.
"""

import enum
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from recognizer import limits

SCHEMA_VERSION = limits.SCHEMA_VERSION
INT64_MAX = limits.INT64_MAX
MAX_LINE_BYTES = limits.MAX_LINE_BYTES
MAX_STRING_CHARACTERS = limits.MAX_STRING_CHARACTERS

_Int = Annotated[int, msgspec.Meta(ge=-INT64_MAX, le=INT64_MAX)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_STRING_CHARACTERS)]


def _about(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One thing that happened to one picture. Every field but the first two may be missing.

    ``extra`` keeps the fields this contract does not name; it is never a field of the line itself.
    """

    timestamp: Annotated[_Int, _about("when it happened, milliseconds since 1970-01-01 UTC")]
    event_type: Annotated[_Text, _about("the stage: one of EventType")]
    model_name: Annotated[_Text | None, _about("the model that serves the request")] = None
    host: Annotated[_Text | None, _about("the machine that wrote the event")] = None
    pid: Annotated[_Int | None, _about("process id of the writer")] = None
    request_id: Annotated[_Text | None, _about("joins the events of one picture")] = None
    event_id: Annotated[_Text | None, _about("unique name of the event; shipping twice stores once")] = None
    schema_version: Annotated[_Int | None, _about("version of this contract")] = None
    dropped_before: Annotated[_Int | None, _about("events the writer had to drop since its last one")] = None
    truncated_fields: Annotated[list[_Text] | None, _about("fields that were cut to their limit")] = None
    event_issues: Annotated[list[_Text] | None, _about("what had to be mended in the line: InputReason event_*")] = None

    file_path: Annotated[_Text | None, _about("the path as the service was given it")] = None
    file_dir: Annotated[_Text | None, _about("parent folder of file_path; derived when absent")] = None
    file_size: Annotated[_Int | None, _about("size of the file, bytes")] = None
    path_issues: Annotated[list[_Text] | None, _about("what is wrong with the path: InputReason values path_*")] = None
    path_cleaned: Annotated[_Text | None, _about("the path without its faults; only when it differs")] = None
    path_cleaned_exists: Annotated[bool | None, _about("whether a file stood at path_cleaned")] = None
    path_suggested: Annotated[_Text | None, _about("the existing file that was probably meant")] = None
    path_character: Annotated[_Text | None, _about("the code point at fault, for example U+200B")] = None
    path_position: Annotated[_Int | None, _about("which character of the path that is, from 1")] = None
    path_tokens: Annotated[list[_Text] | None, _about("the words of the path in lower case, for `wumu search`")] = None
    path_pinyin: Annotated[list[_Text] | None, _about("how its Chinese words are read, all readings")] = None

    error: Annotated[_Text | None, _about("the error as the library gave it")] = None
    reason: Annotated[_Text | None, _about("why it failed: one of InputReason")] = None

    shape: Annotated[list[_Int] | None, _about("height, width, channels of the decoded picture")] = None
    channels: Annotated[_Int | None, _about("channels of the decoded picture")] = None
    dtype: Annotated[_Text | None, _about("element type of the decoded picture")] = None
    image_format: Annotated[_Text | None, _about("format found by magic bytes")] = None
    image_issues: Annotated[list[_Text] | None, _about("what is odd about the content: InputReason values")] = None

    output_shape: Annotated[list[_Int] | None, _about("shape of the preprocessed tensor")] = None
    duration_ms: Annotated[float | None, _about("how long this stage took, milliseconds")] = None
    resized: Annotated[bool | None, _about("whether the picture was resized")] = None
    normalized: Annotated[bool | None, _about("whether mean and deviation were normalised")] = None
    channel_conversion: Annotated[_Text | None, _about("for example bgr_to_rgb, gray_to_rgb, none")] = None
    scale_ratio: Annotated[float | None, _about("output side divided by input side")] = None
    mean: Annotated[float | None, _about("mean of the preprocessed tensor")] = None
    variance: Annotated[float | None, _about("variance of the preprocessed tensor")] = None
    channel_means: Annotated[list[float] | None, _about("mean of each channel of the tensor")] = None
    channel_deviations: Annotated[list[float] | None, _about("standard deviation of each channel")] = None
    tensor_min: Annotated[float | None, _about("smallest value of the tensor")] = None
    tensor_max: Annotated[float | None, _about("largest value of the tensor")] = None
    nan_count: Annotated[_Int | None, _about("values of the tensor that are NaN or infinite")] = None
    kept_share: Annotated[float | None, _about("share of the picture's area that the crop kept, 0 to 1")] = None
    tensor_issues: Annotated[list[_Text] | None, _about("what is odd about the tensor: InputReason values")] = None

    top1_label: Annotated[_Text | None, _about("the best label")] = None
    top1_score: Annotated[float | None, _about("its score, a probability from 0 to 1")] = None
    top3_labels: Annotated[list[_Text] | None, _about("the three best labels, best first")] = None
    top3_scores: Annotated[list[float] | None, _about("their scores")] = None
    top1_logit: Annotated[float | None, _about("the best label's output before softmax or sigmoid")] = None
    margin: Annotated[float | None, _about("the best score minus the second best")] = None
    entropy: Annotated[float | None, _about("how undecided between the classes the answer is, nats")] = None
    logits_dim: Annotated[_Int | None, _about("number of classes the model answers with")] = None
    device: Annotated[_Text | None, _about("for example cpu, cuda:0")] = None
    device_name: Annotated[_Text | None, _about("what the device's maker calls it")] = None
    batch_size: Annotated[_Int | None, _about("pictures in the batch")] = None
    batch_buckets: Annotated[list[_Int] | None, _about("sizes that batches are padded to; else the largest")] = None
    precision: Annotated[_Text | None, _about("numbers the network calculates with, for example bfloat16")] = None
    memory_format: Annotated[_Text | None, _about("how a batch lies in memory: contiguous, channels_last")] = None
    execution_mode: Annotated[_Text | None, _about("how the network is started: eager, graph, compiled")] = None

    model_format: Annotated[_Text | None, _about("format of the model file, found by its content")] = None
    model_fault: Annotated[_Text | None, _about("why the model was refused: one of ModelFault")] = None
    weights_sha256: Annotated[_Text | None, _about("SHA-256 of the weights file")] = None
    labels_sha256: Annotated[_Text | None, _about("SHA-256 of the labels file")] = None
    keys_expected: Annotated[_Int | None, _about("tensors that the network has")] = None
    keys_loaded: Annotated[_Int | None, _about("tensors that the weights file gave it")] = None
    duplicate_labels: Annotated[_Int | None, _about("labels that stand for more than one output")] = None
    signal: Annotated[_Text | None, _about("the figure of the inputs that moved")] = None

    http_status: Annotated[_Int | None, _about("status code of the answer")] = None
    response_size: Annotated[_Int | None, _about("size of the answer, bytes")] = None
    status: Annotated[_Text | None, _about("the service's own word: success, error…")] = None
    low_confidence_filtered: Annotated[bool | None, _about("whether the answer was withheld for a low score")] = None
    trace_id: Annotated[_Text | None, _about("the distributed trace of the request, W3C Trace Context")] = None
    span_id: Annotated[_Text | None, _about("the caller's span in that trace")] = None
    client_ip: Annotated[_Text | None, _about("address of the caller")] = None

    extra: dict[str, Any] = {}


FIELD_NAMES: tuple[str, ...] = tuple(name for name in Event.__struct_fields__ if name != "extra")


def fields(event: Event) -> dict[str, Any]:
    """The event as a plain mapping: the fields that are set, then the unknown ones."""
    known = {name: value for name in FIELD_NAMES if (value := getattr(event, name)) is not None}
    return known | event.extra


class MalformedReason(enum.StrEnum):
    """Why a line was put aside instead of stored."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_UTF8 = "not_utf8"
    LINE_TOO_LONG = "line_too_long"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    TIMESTAMP_FUTURE = "timestamp_future"
    TIMESTAMP_PAST = "timestamp_past"
    REFUSED_BY_STORE = "refused_by_store"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no event. ``detail`` names the field and the value, ``hint`` what to do about it."""

    line: bytes
    reason: MalformedReason
    detail: str
    hint: str


class Note(enum.StrEnum):
    """What had to be mended so that a line could be kept. The value was understood; its writer should be told."""

    TIMESTAMP_SECONDS = "timestamp_seconds"
    TIMESTAMP_MICROSECONDS = "timestamp_microseconds"
    TIMESTAMP_NANOSECONDS = "timestamp_nanoseconds"
    TIMESTAMP_TEXT = "timestamp_text"
    UNKNOWN_FIELD = "unknown_field"
    RENAMED_FIELD = "renamed_field"
    DUPLICATE_KEY = "duplicate_key"
    NUMBER_AS_TEXT = "number_as_text"
    TEXT_AS_NUMBER = "text_as_number"
    TEXT_AS_OBJECT = "text_as_object"
    INTEGER_AS_FLOAT = "integer_as_float"
    BOOLEAN_AS_NUMBER = "boolean_as_number"
    SCALAR_AS_LIST = "scalar_as_list"
    NOT_FINITE = "not_finite"
    LONE_SURROGATE = "lone_surrogate"
    NUL_CHARACTER = "nul_character"
    BYTE_ORDER_MARK = "byte_order_mark"
    TEXT_CUT = "text_cut"
    NESTED_TOO_DEEP = "nested_too_deep"
    UNKNOWN_REASON = "unknown_reason"


NOTE_HINTS: dict[Note, str] = {
    Note.TIMESTAMP_SECONDS: "timestamp was in seconds, now times 1000; write time.time_ns() // 1_000_000",
    Note.TIMESTAMP_MICROSECONDS: "timestamp was in microseconds and was divided by 1000; write milliseconds",
    Note.TIMESTAMP_NANOSECONDS: "timestamp was in nanoseconds and was divided by 1,000,000; write milliseconds",
    Note.TIMESTAMP_TEXT: "timestamp was a date as text (UTC where it named no zone); write integer milliseconds",
    Note.UNKNOWN_FIELD: "a field that the contract does not name was kept, but no rule can ask for it",
    Note.RENAMED_FIELD: "a field's name could not be stored and was changed; use letters, digits and underscores",
    Note.DUPLICATE_KEY: "a key stood twice in one line; the last value was taken",
    Note.NUMBER_AS_TEXT: "a number was written in quotes; write it without",
    Note.TEXT_AS_NUMBER: "a text field held a number or a truth value; write it in quotes",
    Note.TEXT_AS_OBJECT: "a text field held a list or an object, which was kept as JSON text; write text",
    Note.INTEGER_AS_FLOAT: "an integer was written with a decimal point; write it without",
    Note.BOOLEAN_AS_NUMBER: "a truth value was written as 0, 1 or text; write true or false",
    Note.SCALAR_AS_LIST: "a list field held a single value; write it in brackets",
    Note.NOT_FINITE: "NaN, Infinity or a number beyond a double was left out; JSON has none of them: write null",
    Note.LONE_SURROGATE: "text held half a surrogate pair (often an undecodable file name) and is shown as ‹U+DC80›",
    Note.NUL_CHARACTER: "NUL characters were found in the line; those in text are shown as ‹U+0000›",
    Note.BYTE_ORDER_MARK: "a byte order mark was removed from the start of the line; write UTF-8 without one",
    Note.TEXT_CUT: "a text was longer than 8191 characters and was cut; truncated_fields names it",
    Note.NESTED_TOO_DEEP: "a field nested deeper than 20 levels and was cut there; truncated_fields names it",
    Note.UNKNOWN_REASON: "reason was no known word: it is now unspecified and the word stands in reason_given",
}
"""What was done and what to do about it, one line each: said once by the daemon, not once a line."""
