"""The taxonomy of what goes wrong with a picture: which rows each reason covers, and which events tell of it.

P paths, F files, I images, T tensors, M models, E events. Rows that have the same cause and the same remedy share a
reason. Standard library only.
"""

from dataclasses import dataclass
from typing import Final

from recognizer.reasons import EventType, InputReason


@dataclass(frozen=True, slots=True)
class Told:
    """An event that carries the reason, the field in which it stands (alone or in a list), and the event's status."""

    event_type: EventType
    field: str
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """``rows`` of the taxonomy, ``told`` where it is told, ``details`` the fields that say more about the case."""

    rows: str
    told: tuple[Told, ...]
    details: tuple[str, ...]


_REFUSED: Final = (Told(EventType.INPUT_ERROR, "reason"),)
_OF_PATH: Final = (*_REFUSED, Told(EventType.INPUT_START, "path_issues"))
_ODD: Final = (Told(EventType.INPUT_SUCCESS, "image_issues"),)
_OF_INPUT: Final = (Told(EventType.PREPROCESS_COMPLETE, "tensor_issues"),)
_WATCHED: Final = (Told(EventType.MODEL_CHECKED, "reason", "error"),)
_LOADED: Final = (Told(EventType.MODEL_LOADED, "reason", "error"),)
_MENDED: Final = tuple(Told(one, "event_issues") for one in EventType)

_CHARACTER: Final = ("path_character", "path_position")
_CLEANED: Final = ("path_cleaned", "path_cleaned_exists", "path_suggested")
_HELD: Final = ("shape", "channels", "dtype", "image_format")
_FIGURES: Final = ("channel_means", "channel_deviations", "tensor_min", "tensor_max", "nan_count")


def _path(rows: str, *details: str) -> Entry:
    return Entry(rows, _OF_PATH, details)


def _file(rows: str) -> Entry:
    return Entry(rows, _REFUSED, ("error", "file_path", "file_size"))


def _refused(rows: str) -> Entry:
    return Entry(rows, _REFUSED, ("error", "file_size"))


def _odd(rows: str) -> Entry:
    return Entry(rows, _ODD, _HELD)


def _model(rows: str, *told: Told) -> Entry:
    return Entry(rows, told or (*_LOADED, *_WATCHED), ("error", "model_fault"))


_R: Final = InputReason
TAXONOMY: Final[dict[InputReason, Entry]] = {
    _R.PATH_WRONG_TYPE: _path("P30"),
    _R.PATH_EMPTY: _path("P30"),
    _R.PATH_NUL: _path("P28", *_CHARACTER, *_CLEANED),
    _R.PATH_UNDECODABLE: _path("P1", *_CHARACTER, "path_suggested"),
    _R.PATH_LOSSY: _path("P21", *_CHARACTER, "path_suggested"),
    _R.PATH_INVISIBLE_CHARACTER: _path("P3", *_CHARACTER, *_CLEANED),
    _R.PATH_BIDI_CONTROL: _path("P4", *_CHARACTER, *_CLEANED),
    _R.PATH_CONTROL_CHARACTER: _path("P10, P15", *_CHARACTER, *_CLEANED),
    _R.PATH_UNESCAPED_ESCAPE: _path("P15", *_CHARACTER, *_CLEANED),
    _R.PATH_UNUSUAL_SPACE: _path("P9", *_CHARACTER, *_CLEANED),
    _R.PATH_EDGE_SPACE: _path("P10", *_CHARACTER, *_CLEANED),
    _R.PATH_FULLWIDTH: _path("P5", *_CHARACTER, *_CLEANED),
    _R.PATH_COMPATIBILITY_CHARACTER: _path("P7", *_CHARACTER, *_CLEANED),
    _R.PATH_NOT_NFC: _path("P6", *_CHARACTER, *_CLEANED),
    _R.PATH_HOMOGLYPH: _path("P8", *_CHARACTER, *_CLEANED),
    _R.PATH_QUOTED: _path("P11", *_CHARACTER, *_CLEANED),
    _R.PATH_TRAILING_PUNCTUATION: _path("P12", *_CHARACTER, *_CLEANED),
    _R.PATH_BACKSLASH: _path("P13", *_CHARACTER, *_CLEANED),
    _R.PATH_WINDOWS: _path("P14", "path_suggested"),
    _R.PATH_URL: _path("P16", *_CLEANED),
    _R.PATH_REMOTE_URL: _path("P24"),
    _R.PATH_PERCENT_ENCODED: _path("P17", *_CHARACTER, *_CLEANED),
    _R.PATH_HTML_OR_U_ESCAPE: _path("P19", *_CHARACTER, *_CLEANED),
    _R.PATH_MOJIBAKE: _path("P20", *_CLEANED),
    _R.PATH_NON_ASCII_ON_WINDOWS: _path("P2", *_CHARACTER),
    _R.PATH_NOT_EXPANDED: _path("P25", *_CHARACTER),
    _R.PATH_COMPONENT_TOO_LONG: _path("P26"),
    _R.PATH_TOO_LONG: _path("P27"),
    _R.PATH_PLUS_FOR_SPACE: _path("P18", "path_suggested"),
    _R.PATH_CASE_MISMATCH: _path("P22", "path_suggested"),
    _R.PATH_NEAR_NAME: _path("P23", "path_suggested"),
    _R.PATH_OUTSIDE_ROOTS: _path("P29"),
    _R.FILE_MISSING: _file("F1"),
    _R.FILE_EMPTY: _file("F2"),
    _R.FILE_IS_DIRECTORY: _file("F3"),
    _R.FILE_NOT_REGULAR: _file("F4"),
    _R.FILE_PERMISSION_DENIED: _file("F5"),
    _R.FILE_SYMLINK_BROKEN: _file("F6"),
    _R.FILE_SYMLINK_LOOP: _file("F6"),
    _R.FILE_PARENT_NOT_DIRECTORY: _file("F7"),
    _R.FILE_TOO_LARGE: _file("I10"),
    _R.FILE_IO_ERROR: _file("F8"),
    _R.FILE_STILL_WRITING: _file("F9"),
    _R.IMAGE_NOT_AN_IMAGE: _refused("I1"),
    _R.IMAGE_FORMAT_UNSUPPORTED: _refused("I3"),
    _R.IMAGE_TRUNCATED: _refused("I4, I5"),
    _R.IMAGE_CORRUPT: _refused("I6, I7, I8, I9"),
    _R.IMAGE_TOO_MANY_PIXELS: _refused("I10"),
    _R.IMAGE_WRONG_EXTENSION: _odd("I2"),
    _R.IMAGE_GRAYSCALE: _odd("I18"),
    _R.IMAGE_SIXTEEN_BIT: _odd("I13"),
    _R.IMAGE_TWELVE_BIT: _odd("I14"),
    _R.IMAGE_FLOATING_POINT: _refused("I15"),
    _R.IMAGE_ALPHA: _odd("I16"),
    _R.IMAGE_COLOR_SPACE: _odd("I17"),
    _R.IMAGE_EXIF_ROTATED: _odd("I12"),
    _R.IMAGE_ANIMATED: _odd("I19"),
    _R.IMAGE_TRAILING_DATA: _odd("I20"),
    _R.IMAGE_METADATA_BOMB: _odd("I21"),
    _R.IMAGE_CONSTANT: _odd("I22"),
    _R.IMAGE_BLURRED: _odd("I24"),
    _R.IMAGE_DUPLICATE: _odd("I23"),
    _R.IMAGE_TINY: _odd("I11"),
    _R.IMAGE_DECODER_DIED: _refused("I8, I10"),
    _R.IMAGE_DECODER_STALLED: _refused("I10"),
    _R.TENSOR_NOT_FINITE: Entry("T5", (*_OF_INPUT, *_REFUSED), _FIGURES),
    _R.TENSOR_CHANNEL_ORDER: Entry("T1", (*_WATCHED, *_LOADED), ("signal", "error")),
    _R.TENSOR_NOT_SCALED: Entry("T2, T3", (*_OF_INPUT, *_WATCHED, *_LOADED), _FIGURES),
    _R.TENSOR_NORMALIZATION: Entry("T3", (*_OF_INPUT, *_WATCHED, *_LOADED), _FIGURES),
    _R.TENSOR_CONSTANT: Entry("T4", _OF_INPUT, _FIGURES),
    _R.TENSOR_LAYOUT: Entry("T6", (*_WATCHED, *_LOADED), ("signal", "error")),
    _R.TENSOR_OVERFLOW: Entry("T7", _WATCHED, ("signal", "error")),
    _R.TENSOR_RESIZE: Entry("T8", (*_LOADED, *_WATCHED), ("signal", "error")),
    _R.TENSOR_SIGNATURE: Entry("T9", _LOADED, ("error", "model_fault")),
    _R.TENSOR_CROPPED: Entry("T10", _OF_INPUT, ("kept_share", "scale_ratio")),
    _R.TENSOR_UNUSUAL: Entry("T7", _WATCHED, ("signal", "error")),
    _R.MODEL_OUT_OF_MEMORY: Entry("M4", _REFUSED, ("error", "device", "batch_size")),
    _R.MODEL_DEVICE_LOST: Entry("M4", _REFUSED, ("error", "device")),
    _R.MODEL_DEVICE_FALLBACK: Entry("M4", (Told(EventType.MODEL_LOADED, "reason", "success"), *_LOADED), ("device",)),
    _R.MODEL_OUTPUT_INVALID: Entry("M2", _REFUSED, ("error",)),
    _R.MODEL_SCORE_IS_LOGIT: Entry("M3", (*_LOADED, *_REFUSED), ("error", "model_fault")),
    _R.MODEL_FAILED: Entry("M4", _REFUSED, ("error",)),
    _R.MODEL_REFUSED: _model("M1", *_LOADED),
    _R.MODEL_PARTIAL_LOAD: Entry("M1", _LOADED, ("model_fault", "keys_expected", "keys_loaded")),
    _R.MODEL_LABELS_MISMATCH: Entry("M2", (*_LOADED, *_WATCHED), ("model_fault", "labels_sha256", "logits_dim")),
    _R.MODEL_TRAIN_MODE: _model("M5"),
    _R.MODEL_CANARY_FAILED: _model("M1, M5"),
    _R.EVENT_TIMESTAMP_UNIT: Entry("E1", _MENDED, ("timestamp",)),
    _R.EVENT_LINE_ILLEGAL: Entry("E2", _MENDED, ("event_issues",)),
    _R.EVENT_GAP: Entry("E3", tuple(Told(one, "dropped_before") for one in EventType), ("dropped_before",)),
    _R.UNSPECIFIED: Entry("", _REFUSED, ("error", "path_issues")),
}
"""Every reason. ``dropped_before`` is a number: there the reason is told by its being there."""
