"""model.json: what a model folder says about itself, as typed data; and the one exception of loading a model.

A folder holds ``model.json``, the weights (any format of `recognizer.formats`) and the labels (one a line).
docs/reference/model-format.md describes every field.
"""

import codecs
import enum
import hashlib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from recognizer.opened import opened_file

MANIFEST_NAME = "model.json"
FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_LABELS_BYTES = 64 * 1024 * 1024


class ModelFault(enum.StrEnum):
    """Why a model can't be used. `recognizer.model_events` maps each to the reason that its event carries."""

    NOT_FOUND = "not_found"
    NOT_A_FOLDER = "not_a_folder"
    EXTRA_MISSING = "extra_missing"
    DEVICE_UNAVAILABLE = "device_unavailable"
    # the folder
    MANIFEST_MISSING = "manifest_missing"
    MANIFEST_INVALID = "manifest_invalid"
    FILE_MISSING = "file_missing"
    FILE_UNREADABLE = "file_unreadable"
    SHA256_DIFFERS = "sha256_differs"
    ARCHITECTURE_MISSING = "architecture_missing"
    ARCHITECTURE_UNKNOWN = "architecture_unknown"
    ARCHITECTURE_PARAMETERS = "architecture_parameters"
    LABELS_INVALID = "labels_invalid"
    # what the file is
    FORMAT_UNKNOWN = "format_unknown"
    PICKLE_REFUSED = "pickle_refused"
    PICKLED_MODULE = "pickled_module"
    NATIVE_CODE_REFUSED = "native_code_refused"
    EXTERNAL_DATA_REFUSED = "external_data_refused"
    # what the weights are
    WEIGHTS_INVALID = "weights_invalid"
    WEIGHTS_EMPTY = "weights_empty"
    WEIGHTS_PARTIAL = "weights_partial"
    WEIGHTS_UNRELATED = "weights_unrelated"
    WEIGHTS_DIFFER = "weights_differ"
    WEIGHTS_NOT_FINITE = "weights_not_finite"
    LABELS_COUNT = "labels_count"
    # how the model behaves
    SIGNATURE_DIFFERS = "signature_differs"
    TRAIN_MODE = "train_mode"
    SCORE_KIND_DIFFERS = "score_kind_differs"
    CHANNEL_ORDER_DIFFERS = "channel_order_differs"
    SCALE_DIFFERS = "scale_differs"
    NORMALIZATION_DIFFERS = "normalization_differs"
    LAYOUT_DIFFERS = "layout_differs"
    RESIZE_DIFFERS = "resize_differs"
    ORIENTATION_DIFFERS = "orientation_differs"
    LABELS_SHIFTED = "labels_shifted"
    CANARY_FAILED = "canary_failed"


class ModelError(Exception):
    """A model that can't be used: ``code`` says which fault, the message what happened, ``hint`` what to do."""

    def __init__(self, code: ModelFault, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Resize(enum.StrEnum):
    """How a picture comes to the size of the input.

    stretch   both sides to the input's, whatever the proportions
    fit       the long side to the input's, the rest filled with ``fill``
    crop      the short side to ``short_side``, then the middle is cut out
    """

    STRETCH = "stretch"
    FIT = "fit"
    CROP = "crop"


class ChannelOrder(enum.StrEnum):
    """The order in which the network takes the colours."""

    RGB = "rgb"
    BGR = "bgr"


class Interpolation(enum.StrEnum):
    """How pixels between pixels are found, in the words of every imaging library."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    NEAREST = "nearest"


class ScoreKind(enum.StrEnum):
    """What the network's outputs are, and so how they become scores.

    softmax       one class is right: scores from 0 to 1 that add up to 1
    sigmoid       each class on its own: scores from 0 to 1
    probability   the network ends in a softmax or sigmoid of its own: the outputs are the scores
    logit         outputs that no training made comparable with a probability: no score is told, top1_logit is
    """

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    PROBABILITY = "probability"
    LOGIT = "logit"


_Side = Annotated[int, msgspec.Meta(ge=1, le=2048)]  # the trial run at loading takes what these two ask for
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}$")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Preprocessing as data. ``mean`` and ``deviation``: per channel in ``channel_order``, of values from 0 to 1."""

    height: _Side
    width: _Side
    resize: Resize = Resize.STRETCH
    short_side: _Side | None = None
    interpolation: Interpolation = Interpolation.BILINEAR
    antialias: bool = True
    fill: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    channel_order: ChannelOrder = ChannelOrder.RGB
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[_Positive, _Positive, _Positive] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        crops = self.resize is Resize.CROP
        if crops != (self.short_side is not None):
            raise ValueError("short_side belongs to resize: crop, and only to it")
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError("short_side must not be smaller than height or width")
        if self.interpolation is Interpolation.NEAREST and self.antialias:
            raise ValueError("interpolation: nearest has no antialias: say antialias: false")


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network: a name of `recognizer.network.ARCHITECTURES` and its parameters."""

    name: str
    parameters: dict[str, Any] = {}


class CheckedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of the folder and the SHA-256 of its bytes."""

    file: _FileName
    sha256: _Sha256


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A picture of the folder with the answer it must give: a wrong preprocessing stops the start, not the service.

    ``outputs`` are the indices of the largest outputs and ``logits`` their values, largest first; ``samples`` are
    values of the network's input at regular places. With them the fault is named, not only found.
    """

    file: _FileName
    label: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    tolerance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    outputs: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    logits: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.outputs) != len(self.logits):
            raise ValueError("outputs and logits belong together, one for one")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of model.json.

    ``architecture`` is needed where the file holds weights alone; a graph brings its own. ``parts`` are further files
    that the weights refer to (external data of ONNX).
    """

    format_version: Annotated[int, msgspec.Meta(ge=FORMAT_VERSION, le=FORMAT_VERSION)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    architecture: Architecture | None = None
    weights: CheckedFile
    parts: tuple[CheckedFile, ...] = ()
    labels: CheckedFile
    preprocessing: Preprocessing
    score: ScoreKind
    canary: Canary | None = None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model folder; `ModelError` that names the field when it is not as described."""
    data = read_part(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES)
    try:
        # Windows' editors put a byte order mark before UTF-8; it says nothing about the model.
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            ModelFault.MANIFEST_INVALID,
            f"{folder / MANIFEST_NAME}: {error}",
            hint="compare it with docs/reference/model-format.md, or write the folder anew with recognizer.train",
        ) from error


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, as it stands in model.json; `ModelError` for one that could not be read again."""
    try:
        data = msgspec.json.encode(manifest)
        msgspec.json.decode(data, type=Manifest)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        message = f"no {MANIFEST_NAME} can be written so: {error}"
        raise ModelError(ModelFault.MANIFEST_INVALID, message, hint="see docs/reference/model-format.md") from error
    return msgspec.json.format(data, indent=2) + b"\n"


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal, as model.json and the model_loaded event write it."""
    return hashlib.sha256(data).hexdigest()


def read_part(folder: Path, name: str, limit_bytes: int | None = None) -> bytes:
    """The bytes of one file of the folder."""
    path = folder / name
    try:
        with opened_file(path) as opened:
            size, message = opened.status.st_size, None
            if opened.fault is not None:
                message = f"{path} is no regular file"
            elif limit_bytes is not None and size > limit_bytes:
                message = f"{path} has {size} bytes, more than {limit_bytes}"
            if message is not None:
                raise ModelError(ModelFault.FILE_UNREADABLE, message, hint="check that it is the right file")
            with open(opened.handle, "rb", closefd=False) as stream:
                return stream.read()
    except FileNotFoundError as error:
        code = ModelFault.MANIFEST_MISSING if name == MANIFEST_NAME else ModelFault.FILE_MISSING
        raise ModelError(code, f"{path} is missing", hint="copy the whole model folder again") from error
    except OSError as error:
        message = f"{path} can't be read: {error.strerror}"
        raise ModelError(ModelFault.FILE_UNREADABLE, message, hint="check its owner and permissions") from error


def read_checked(folder: Path, part: CheckedFile, limit_bytes: int | None = None) -> bytes:
    """The bytes of a file whose SHA-256 is as the manifest says: what is checked is what is used."""
    data = read_part(folder, part.file, limit_bytes)
    found = sha256_of(data)
    if found != part.sha256:
        raise ModelError(
            ModelFault.SHA256_DIFFERS,
            f"{folder / part.file} has SHA-256 {found[:12]}…, {MANIFEST_NAME} says {part.sha256[:12]}…",
            hint="the file was changed or cut: copy the whole model folder again",
        )
    return data
