"""The pictures of the demo: real files on the disk, most of them good, some with the faults a service really meets."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from recognizer.inspect import Pixels
from recognizer.reasons import InputReason
from recognizer.train import LABELS, draw, load_digits

SIDE = 200
"""Width and height of a digit's picture, pixels."""


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """One path as the service is given it, and what is to be expected.

    label    what it shows, when it shows a digit
    reason   the reason of the input_error it ends in
    issue    what is odd about it though it can be recognised
    about    the same in words, empty for an ordinary picture
    """

    path: str
    label: str | None = None
    reason: InputReason | None = None
    issue: InputReason | None = None
    about: str = ""


def write_pictures(folder: Path, seed: int = 0, count: int = 64) -> list[DemoPicture]:
    """Writes the files below ``folder`` and lists the paths in the order in which the service gets them.

    ``count`` ordinary digits, none of which the model of the same seed was trained on, with the faults between them.
    """
    random = np.random.default_rng(seed)
    for name in ("camera", "upload/客户", "archive"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _, held_out = load_digits(seed)
    chosen = np.arange(count + 6) % len(held_out.classes)
    drawn = [draw(stroke, SIDE, random) for stroke in held_out.strokes[chosen]]
    labels = [LABELS[number] for number in held_out.classes[chosen]]
    ordinary = [_digit(folder, index, drawn[index], labels[index]) for index in range(count)]
    faults = [*_faulty(folder, drawn[count:], labels[count:]), *_photos(folder)]
    half = count // 2
    return ordinary[:half] + faults + ordinary[half:]


def _digit(folder: Path, index: int, pixels: Pixels, label: str) -> DemoPicture:
    place, suffix = (("camera", ".png"), ("upload", ".jpg"), ("upload/客户", ".png"))[index % 3]
    path = folder / place / f"数字_{index:03}{suffix}"
    path.write_bytes(_encode(pixels, suffix))
    return DemoPicture(str(path), label)


def _faulty(folder: Path, drawn: list[Pixels], labels: list[str]) -> list[DemoPicture]:
    """One path a fault, made from the drawn digits; the files of the three zero-width paths are good."""
    upload, camera = folder / "upload", folder / "camera"
    pictures = []
    for name, pixels in zip(("百灵", "布谷", "朱鹮"), drawn, strict=False):
        path = upload / f"{name}.png"
        path.write_bytes(_encode(pixels, ".png"))
        about = "handed over with a zero-width space at the end"
        pictures.append(DemoPicture(f"{path}\u200b", reason=InputReason.PATH_INVISIBLE_CHARACTER, about=about))
    cut, empty = upload / "断点.jpg", upload / "空.png"
    whole = _encode(drawn[3], ".jpg")
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    empty.write_bytes(b"")
    grey, deep = camera / "灰度.png", camera / "十六位.png"
    grey.write_bytes(_encode(drawn[4].mean(axis=2).round().astype(np.uint8), ".png"))
    deep.write_bytes(_encode(drawn[5].astype(np.uint16) * 257, ".png"))
    return [
        *pictures,
        DemoPicture(str(upload / "已删除.jpg"), reason=InputReason.FILE_MISSING, about="the file is gone"),
        DemoPicture(str(cut), reason=InputReason.IMAGE_TRUNCATED, about="the upload broke off"),
        DemoPicture(str(empty), reason=InputReason.FILE_EMPTY, about="the upload never began"),
        DemoPicture(str(grey), labels[4], issue=InputReason.IMAGE_GRAYSCALE, about="grey, not colour"),
        DemoPicture(str(deep), labels[5], issue=InputReason.IMAGE_SIXTEEN_BIT, about="16 bits a channel"),
    ]


def _photos(folder: Path) -> list[DemoPicture]:
    """scikit-learn's two sample photos: far from anything the digit model was trained on."""
    pictures = []
    for name in ("china.jpg", "flower.jpg"):
        path = folder / "archive" / name
        path.write_bytes(resources.files("sklearn.datasets.images").joinpath(name).read_bytes())
        pictures.append(DemoPicture(str(path), about="a photo, far from the training data"))
    return pictures


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    """The bytes of an image file; colours come in as RGB."""
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(suffix, stored)
    if not done:
        raise RuntimeError(f"the picture could not be encoded as {suffix}")
    return bytes(encoded.tobytes())
