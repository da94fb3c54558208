"""Pictures as the lines that an instrumented service writes, with the time at which each reaches the store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from types import SimpleNamespace

from benchmarks.scenarios.fleet import HOSTS, Fleet
from benchmarks.scenarios.traffic import Pictures
from recognizer.reasons import PATH_REASONS

ERRORS = {
    "file_missing": "[Errno 2] No such file or directory",
    "file_permission_denied": "[Errno 13] Permission denied",
    "image_truncated": "image file is truncated",
    "image_not_an_image": "cannot identify image file",
    "path_invisible_character": "cv2.imread returned None",
    "model_out_of_memory": "CUDA out of memory",
}
"""Errors as the libraries word them."""


Writer = Callable[[float, str, str], tuple[int, str]]
"""Makes an event of how long after the picture's beginning it happens, its type, and its own fields."""


@dataclass(frozen=True, slots=True)
class Line:
    """``arrives_ms`` is when the store can have it, true time."""

    arrives_ms: int
    text: bytes


def lines_of(pictures: Pictures, fleet: Fleet) -> list[Line]:
    """All lines in the order in which they arrive."""
    names = [column.name for column in fields(pictures)]
    columns = [getattr(pictures, name).tolist() for name in names]
    lines: list[Line] = []
    for values in zip(*columns, strict=True):
        picture = SimpleNamespace(**dict(zip(names, values, strict=True)))
        for after_ms, text in _events(picture, fleet):
            line = Line(picture.at_ms + after_ms + picture.late_ms, text.encode())
            lines.append(line)
            if picture.again_ms:
                lines.append(Line(line.arrives_ms + picture.again_ms, line.text))
    lines.sort(key=lambda line: line.arrives_ms)
    return lines


def _events(picture: SimpleNamespace, fleet: Fleet) -> Iterator[tuple[int, str]]:
    """The picture's events: how long after its beginning, and the line."""
    folder = fleet.folders[picture.folder]
    path = f"{folder.path}/{picture.name}.jpg"
    begin_ms = picture.at_ms + picture.clock_ms
    common = (
        f'"model_name":"{fleet.models[picture.model].name}","host":"{HOSTS[picture.host]}","pid":{4000 + picture.host},'
        f'"request_id":"r-{picture.name}","schema_version":1,"file_path":"{path}{picture.suffix}",'
        f'"file_dir":"{folder.path}"'
    )

    def event(after_ms: float, kind: str, rest: str) -> tuple[int, str]:
        later_ms = int(after_ms)
        head = f'"timestamp":{begin_ms + later_ms},"event_type":"{kind}","event_id":"{kind}-{picture.name}"'
        return later_ms, f"{{{head},{common}{rest}}}"

    issues = (
        f',"path_issues":["{picture.reason}"],"path_cleaned":"{path}","path_cleaned_exists":true'
        if picture.reason in PATH_REASONS
        else ""
    )
    yield event(0, "input_start", f'{issues},"file_size":{picture.height * picture.width // 8}')
    if picture.hangs:
        return
    if picture.reason:
        yield event(2, "input_error", f'{issues},"error":"{ERRORS[picture.reason]}","reason":"{picture.reason}"')
        return
    yield from _read(picture, fleet, event)


def _read(picture: SimpleNamespace, fleet: Fleet, event: Writer) -> Iterator[tuple[int, str]]:
    """The events of a picture that could be read."""
    grey = ',"image_issues":["image_grayscale"]' if picture.channels == 1 else ""
    yield event(
        3,
        "input_success",
        f',"shape":[{picture.height},{picture.width},{picture.channels}],"channels":{picture.channels},'
        f'"dtype":"{picture.dtype}","image_format":"jpeg"{grey}',
    )
    prepared_ms = 3 + picture.preprocess_ms
    yield event(
        prepared_ms,
        "preprocess_complete",
        f',"output_shape":[1,3,224,224],"duration_ms":{picture.preprocess_ms:.3f},"resized":true,"normalized":true,'
        f'"channel_conversion":"{picture.conversion}","scale_ratio":{224 / picture.height:.4f},'
        f'"mean":{picture.mean:.5f},"variance":{picture.variance:.5f}',
    )
    done_ms = prepared_ms + picture.inference_ms
    if picture.failure:
        yield event(done_ms, "input_error", f',"error":"{ERRORS[picture.failure]}","reason":"{picture.failure}"')
    else:
        yield event(done_ms, "inference_complete", _answer(picture, fleet))
    status = 500 if picture.failure else picture.http_status
    yield event(
        done_ms + 1,
        "business_output",
        f',"http_status":{status},"response_size":512,"status":"{"success" if status < 400 else "error"}",'
        f'"low_confidence_filtered":{"true" if picture.score < 0.3 else "false"},'
        f'"client_ip":"{fleet.folders[picture.folder].client_ip}"',
    )


def _answer(picture: SimpleNamespace, fleet: Fleet) -> str:
    labels = fleet.models[picture.model].labels
    best = [labels[(picture.label + step) % len(labels)] for step in range(3)]
    rest = 1 - picture.score
    return (
        f',"duration_ms":{picture.inference_ms:.3f},"top1_label":"{best[0]}","top1_score":{picture.score:.6f},'
        f'"top3_labels":["{best[0]}","{best[1]}","{best[2]}"],'
        f'"top3_scores":[{picture.score:.6f},{rest * 0.6:.6f},{rest * 0.3:.6f}],'
        f'"logits_dim":{len(labels)},"device":"{picture.device}","batch_size":{picture.batch_size}'
    )
