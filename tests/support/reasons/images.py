"""For each reason of a picture's content: real files that have it, a row of the taxonomy each, and what is said."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recognizer.decode import read
from recognizer.decode_worker import DecodeWorkers
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason as Reason
from recognizer.repeats import Repeats, likeness
from tests.support.pictures import colours, encoded, with_orientation

KILLERS = "tests.support.killers:decode"


def photograph(height: int = 200, width: int = 300, seed: int = 7) -> np.ndarray:
    """Colours with the noise of a sensor, as sharp as can be."""
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return (colours(height, width, seed) + noise).clip(0, 255).astype(np.uint8)


PHOTOGRAPH = photograph()
JPEG, PNG = encoded(PHOTOGRAPH, "JPEG", quality=90), encoded(PHOTOGRAPH, "PNG")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(kind: bytes, content: bytes, png: bytes = PNG) -> bytes:
    """The PNG with one more chunk after its first."""
    return png[:33] + chunk(kind, content) + png[33:]


def changed(data: bytes, position: int, instead: bytes) -> bytes:
    return data[:position] + instead + data[position + len(instead) :]


def frames(file_format: str) -> bytes:
    buffer = io.BytesIO()
    pictures = [Image.fromarray(photograph(seed=seed)) for seed in range(3)]
    pictures[0].save(buffer, file_format, save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def pillow(mode: str, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def blurred() -> bytes:
    """Much contrast, and from dark to bright it takes 150 pixels."""
    down, across = np.mgrid[:200, :300] * (2 * np.pi / 300)
    waves = 128 + 60 * np.stack([np.sin(across), np.sin(across) + np.cos(down), np.cos(down)], 2)
    return encoded(waves.astype(np.uint8), "PNG")


def zeroed_sectors() -> bytes:
    """Two sectors in the middle of the scan were never written."""
    data = encoded(photograph(400, 600), "JPEG", quality=90)
    return changed(data, len(data) // 2 & ~511, bytes(1024))


def as_text(data: bytes) -> bytes:
    """Line feeds became CR LF on the way."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


DEEP = np.linspace(0, 65535, 200 * 300).reshape(200, 300).astype(np.uint16)
TRANSPARENT = np.dstack([PHOTOGRAPH, PHOTOGRAPH[..., 0]])
HUGE = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
BOMB = b"text\0\0" + zlib.compress(bytes(2_000_000))
FILES: dict[Reason, dict[str, bytes]] = {
    Reason.IMAGE_NOT_AN_IMAGE: {"I1 page.jpg": b"<!DOCTYPE html><html>404", "I1 zeros.png": bytes(4096)},
    Reason.IMAGE_FORMAT_UNSUPPORTED: {"I3 a.heic": b"\0\0\0\x18ftypheic", "I3 a.svg": b"<svg xmlns='x'/>"},
    Reason.IMAGE_TRUNCATED: {
        "I4 a.jpg": JPEG[: len(JPEG) // 2],
        "I4 with an end.jpg": JPEG[: len(JPEG) // 2] + b"\xff\xd9",
        "I4 an end in the middle.jpg": changed(JPEG, len(JPEG) // 2, b"\xff\xd9"),
        "I5 a.png": PNG[:-12],
        "I5 half.png": PNG[: len(PNG) // 2],
    },
    Reason.IMAGE_CORRUPT: {
        "I6 a marker in the scan.jpg": changed(JPEG, len(JPEG) // 2, b"\xff\xe0\0\0") + b"tail",
        "I7 lost sectors.jpg": zeroed_sectors(),
        "I8 checksum.png": changed(PNG, len(PNG) // 2, bytes([PNG[len(PNG) // 2] ^ 1])),
        "I9 as text.jpg": as_text(encoded(photograph(400, 600), "JPEG", quality=95)),
    },
    Reason.IMAGE_TOO_MANY_PIXELS: {"I10 a.png": PNG[:8] + chunk(b"IHDR", HUGE) + PNG[33:]},
    Reason.IMAGE_WRONG_EXTENSION: {"I2 a.jpg": PNG},
    Reason.IMAGE_GRAYSCALE: {
        "I18 grey.png": pillow("L", "PNG"),
        "I18 one bit.png": pillow("1", "PNG"),
        "I18 palette.gif": pillow("L", "GIF"),
        "I18 stored as colour.jpg": encoded(np.dstack([PHOTOGRAPH[..., 0]] * 3), "JPEG"),
    },
    Reason.IMAGE_SIXTEEN_BIT: {"I13 a.png": encoded(DEEP, "PNG"), "I13 a.tif": encoded(DEEP, "TIFF")},
    Reason.IMAGE_TWELVE_BIT: {"I14 a.png": encoded(DEEP >> 4, "PNG"), "I14 a.tif": encoded(DEEP >> 4, "TIFF")},
    Reason.IMAGE_FLOATING_POINT: {"I15 a.tif": encoded((DEEP / 65535).astype(np.float32), "TIFF")},
    Reason.IMAGE_ALPHA: {"I16 a.png": pillow("RGBA", "PNG"), "I16 a.webp": encoded(TRANSPARENT, "WEBP")},
    Reason.IMAGE_COLOR_SPACE: {"I17 a.jpg": pillow("CMYK", "JPEG"), "I17 a.tif": pillow("CMYK", "TIFF")},
    Reason.IMAGE_EXIF_ROTATED: {"I12 a.jpg": with_orientation(PHOTOGRAPH, "JPEG", 6)},
    Reason.IMAGE_ANIMATED: {f"I19 a.{kind.lower()}": frames(kind) for kind in ("GIF", "WEBP", "PNG", "TIFF")},
    Reason.IMAGE_TRAILING_DATA: {
        "I20 zip.jpg": JPEG + b"PK\x03\x04hidden",
        "I20 two.jpg": JPEG + JPEG,
        "I20 a.png": PNG + b"<?php",
        "I20 a.gif": pillow("P", "GIF") + b"tail;",
        "I20 a.webp": encoded(PHOTOGRAPH, "WEBP") + b"tail",
    },
    Reason.IMAGE_METADATA_BOMB: {
        "I21 zTXt.png": with_chunk(b"zTXt", BOMB),
        "I21 iTXt.png": with_chunk(b"iTXt", b"text\0\1\0en\0text\0" + zlib.compress(bytes(2_000_000))),
    },
    Reason.IMAGE_CONSTANT: {"I22 black.png": encoded(np.zeros((40, 40, 3), np.uint8), "PNG")},
    Reason.IMAGE_BLURRED: {"I24 a.png": blurred()},
    Reason.IMAGE_TINY: {
        "I11 dot.png": encoded(photograph(1, 1), "PNG"),
        "I11 line.png": encoded(photograph(2, 2000), "PNG"),
    },
}


def found_in(path: Path) -> list[str]:
    """What is told of a real file."""
    try:
        return list(read(path).issues)
    except InputFault as fault:
        return [fault.reason]


def _each_file(reason: Reason) -> Callable[[Path], Iterable[str]]:
    def case(folder: Path) -> list[str]:
        for name, data in FILES[reason].items():
            (folder / name).write_bytes(data)
        found = {name: found_in(folder / name) for name in FILES[reason]}
        assert {name for name, reasons in found.items() if reason not in reasons} == set(), found
        return [one for reasons in found.values() for one in reasons]

    return case


def _duplicate(folder: Path) -> list[str]:
    """A frozen camera: the same frame, encoded anew, under the next name."""
    seen = Repeats()
    (folder / "000001.png").write_bytes(PNG)
    (folder / "000002.png").write_bytes(encoded(PHOTOGRAPH, "PNG", compress_level=1))
    pictures = {path.name: read(path) for path in sorted(folder.iterdir())}
    return [Reason.IMAGE_DUPLICATE for name, one in pictures.items() if seen.came_before(likeness(one), name)]


def _killed_by(data: bytes, seconds: float) -> Callable[[Path], Iterable[str]]:
    def case(_: Path) -> list[str]:
        with DecodeWorkers(decoder=KILLERS, time_limit_seconds=seconds) as workers:
            try:
                return list(workers.decode(data, "a.png", Limits()).issues)
            except InputFault as fault:
                return [fault.reason]

    return case


CASES: dict[Reason, Callable[[Path], Iterable[str]]] = {
    **{reason: _each_file(reason) for reason in FILES},
    Reason.IMAGE_DUPLICATE: _duplicate,
    Reason.IMAGE_DECODER_DIED: _killed_by(b"SEGFAULT", 30.0),
    Reason.IMAGE_DECODER_STALLED: _killed_by(b"STALL", 0.5),
}
