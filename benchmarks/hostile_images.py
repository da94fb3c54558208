"""Hundreds of broken, odd and hostile pictures through `wumu recognize`: no crash or hang, bounded memory, a line each.

    python -m benchmarks.hostile_images [--count 900] [--decode-workers 2] [--seed 1] [--samples DIR]...

The files are made by what Pillow, OpenCV, torch and NumPy can write, mutated by a seeded fuzzer, and by hand where no
library would write such a thing; broken samples that lie below ``--samples`` are taken along.
"""

import argparse
import io
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.conditions import conditions
from recognizer.train import train

MIB = 1024 * 1024
WALL_SECONDS = 1_200
SAMPLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ico", ".svg")


def _pixels(seed: int, height: int = 96, width: int = 120) -> np.ndarray:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))


def _pillow(mode: str, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_pixels(1)).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def _animated(file_format: str) -> bytes:
    buffer = io.BytesIO()
    first, *rest = [Image.fromarray(_pixels(seed)) for seed in range(4)]
    first.save(buffer, file_format, save_all=True, append_images=rest, duration=50)
    return buffer.getvalue()


def _opencv(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _tensor() -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.from_numpy(_pixels(1)), buffer)
    return buffer.getvalue()


def written() -> dict[str, bytes]:
    """Good files of every kind that the libraries here write; the name ends in the suffix."""
    deep = _pixels(2).astype(np.uint16) * 257
    return {
        "rgb.jpg": _pillow("RGB", "JPEG", quality=85),
        "progressive.jpg": _pillow("RGB", "JPEG", progressive=True),
        "restarts.jpg": _pillow("RGB", "JPEG", restart_marker_blocks=2),
        "optimised.jpg": _pillow("L", "JPEG", optimize=True),
        "cmyk.jpg": _pillow("CMYK", "JPEG"),
        "444.jpg": _pillow("RGB", "JPEG", subsampling=0),
        **{f"{mode}.png": _pillow(mode, "PNG") for mode in ("RGB", "RGBA", "L", "LA", "P", "1")},
        "deep.png": _opencv(".png", deep),
        "interlaced.png": _interlaced(),
        "animated.png": _animated("PNG"),
        **{f"{mode}.gif": _pillow(mode, "GIF") for mode in ("P", "L")},
        "animated.gif": _animated("GIF"),
        **{f"{mode}.bmp": _pillow(mode, "BMP") for mode in ("RGB", "L", "P", "1", "RGBA")},
        **{
            f"{mode}-{packing}.tif": _pillow(mode, "TIFF", compression=packing)
            for mode in ("RGB", "L", "CMYK", "LAB")
            for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
        },
        "one.tif": _pillow("1", "TIFF", compression="group4"),
        "float.tif": _pillow("F", "TIFF"),
        "pages.tif": _animated("TIFF"),
        "deep.tif": _opencv(".tif", deep),
        "lossy.webp": _pillow("RGB", "WEBP"),
        "lossless.webp": _pillow("RGBA", "WEBP", lossless=True),
        "animated.webp": _animated("WEBP"),
        "a.ico": _pillow("RGBA", "ICO"),
        "a.ppm": _pillow("RGB", "PPM"),
        "a.tga": _pillow("RGB", "TGA"),
        "a.pcx": _pillow("RGB", "PCX"),
        "a.hdr": _opencv(".hdr", _pixels(3).astype(np.float32)),
        "a.jp2": _opencv(".jp2", _pixels(3)),
        "tensor.png": _tensor(),
        "array.jpg": _numpy(),
    }


def _numpy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _pixels(1))
    return buffer.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, *, depth: int = 8, colour: int = 2, packed: bytes | None = None, more: bytes = b"",
         interlaced: int = 0) -> bytes:  # fmt: skip
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    data = zlib.compress(bytes(1000)) if packed is None else packed
    return b"\x89PNG\r\n\x1a\n" + header + more + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _interlaced() -> bytes:
    """Adam7 of 8 × 8 grey pixels: seven passes of rows, each with a filter byte."""
    passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    rows = b"".join((b"\0" + bytes(range(width))) * height for width, height in passes)
    return _png(8, 8, colour=0, packed=zlib.compress(rows), interlaced=1)


def _flat(width: int, height: int) -> bytes:
    """A real picture of one colour: kilobytes that unpack to what the header says."""
    packer, row = zlib.compressobj(9), bytes(1 + width * 3)
    return _png(width, height, packed=b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


def crafted() -> Iterator[tuple[str, bytes]]:
    """What no library writes: bombs, lies and other kinds of files under the names of pictures."""
    jpeg, bmp, gif = _pillow("RGB", "JPEG"), _pillow("RGB", "BMP"), _pillow("P", "GIF")
    frame = jpeg.index(b"\xff\xc0")
    for width, height in ((0, 9), (9, 0), (1, 65535), (65535, 65535), (60_000, 1), (2**31 - 1, 2**31 - 1), (2**31, 1)):
        yield f"claims-{width}x{height}.png", _png(width, height)
        yield f"claims-{width}x{height}.bmp", bmp[:18] + struct.pack("<II", width, height) + bmp[26:]
        small = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
        yield f"claims-{width}x{height}.jpg", jpeg[: frame + 5] + small + jpeg[frame + 9 :]
        yield f"claims-{width}x{height}.gif", gif[:6] + struct.pack("<HH", width & 0xFFFF, height & 0xFFFF) + gif[10:]
    for depth, colour in itertools.product((0, 1, 3, 16, 255), (0, 1, 3, 6, 7)):
        yield f"depth-{depth}-colour-{colour}.png", _png(20, 20, depth=depth, colour=colour)
    bomb = zlib.compress(bytes(200 * MIB), 9)
    yield "zTXt-bomb.png", _png(20, 20, packed=zlib.compress(bytes(61 * 20)), more=_chunk(b"zTXt", b"k\0\0" + bomb))
    yield "iCCP-bomb.png", _png(20, 20, packed=zlib.compress(bytes(61 * 20)), more=_chunk(b"iCCP", b"k\0\0" + bomb))
    yield "IDAT-bomb.png", _png(20, 20, packed=bomb)
    yield "wide.png", _flat(6_000, 6_000)
    yield "square.png", _flat(7_900, 7_900)
    yield "line.png", _flat(20_000, 1)
    scan = jpeg.index(b"\xff\xda")
    yield "tables.jpg", jpeg[:2] + b"\xff\xfe\0\x02" * 50_000 + jpeg[2:]
    yield "scans.jpg", jpeg[:-2] + jpeg[scan:-2] * 300 + b"\xff\xd9"
    yield "circle.tif", b"II*\0" + struct.pack("<IH", 8, 0) + struct.pack("<I", 8)
    yield "count.tif", b"II*\0" + struct.pack("<IHHHII", 8, 1, 273, 4, 2**32 - 1, 8) + bytes(4)
    yield (
        "huge-canvas.webp",
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02" + b"\xff" * 9,
    )
    yield from _FOREIGN.items()


_FOREIGN = {
    "page.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
    "error.png": b'{"error":"not found"}',
    "base64.jpg": b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBD",
    "empty.png": b"",
    "zeros.jpg": bytes(5000),
    "one.jpg": b"\xff",
    "soi.jpg": b"\xff\xd8\xff",
    "a.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "a.avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    "a.svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "laughs.svg": b"<!DOCTYPE svg [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><svg>&b;</svg>",
    "a.psd": b"8BPS\0\x01" + bytes(20),
    "pickle.png": b"\x80\x02cos\nsystem\n(S'true'\ntR.",
    "gzip.png": b"\x1f\x8b\x08" + bytes(30),
    "zip.jpg": b"PK\x03\x04" + bytes(30),
}

Change = Callable[[bytes, random.Random], bytes]


def _cut(data: bytes, one: random.Random) -> bytes:
    return data[: one.randrange(len(data))]


def _flip(data: bytes, one: random.Random, within: int | None = None) -> bytes:
    changed = bytearray(data)
    for _ in range(one.choice((1, 1, 2, 8))):
        changed[one.randrange(min(len(data), within or len(data)))] ^= 1 << one.randrange(8)
    return bytes(changed)


def _number(data: bytes, one: random.Random) -> bytes:
    """An edge of a number's range somewhere in the head: that is where sizes and offsets stand."""
    at = one.randrange(max(1, min(len(data), 80)))
    edge = one.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x01"))
    return data[:at] + edge + data[at + 4 :]


def _gap(data: bytes, one: random.Random) -> bytes:
    at, size = one.randrange(len(data)), one.choice((1, 16, 512, 2048))
    return data[:at] + bytes(size) + data[at + size :]


def _doubled(data: bytes, one: random.Random) -> bytes:
    low, high = sorted(one.randrange(len(data)) for _ in range(2))
    return data[:high] + data[low:]


def _turned(data: bytes, one: random.Random) -> bytes:
    at = one.randrange(len(data))
    return data[:16] + data[at:] + data[16:at]


CHANGES: tuple[Change, ...] = (
    _cut,
    _cut,
    _flip,
    lambda data, one: _flip(data, one, 64),
    _number,
    _number,
    _gap,
    _doubled,
    _turned,
    lambda data, one: data + one.randbytes(one.choice((1, 100, 5000))),
    lambda data, _: data.replace(b"\n", b"\r\n"),
    lambda data, one: one.randbytes(8) + data[8:],
)


def build(folder: Path, count: int, seed: int = 1, samples: tuple[Path, ...] = ()) -> int:
    """Fills the folder with at least ``count`` names of pictures; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    one = random.Random(seed)
    good = written()
    for name, data in (*good.items(), *crafted()):
        (folder / name).write_bytes(data)
    found = sorted(path for place in samples for path in place.rglob("*") if path.suffix.lower() in SAMPLE_SUFFIXES)
    for number, path in enumerate(found):
        data = path.read_bytes()
        (folder / f"sample-{number:04}{path.suffix}").write_bytes(data)
        if data:
            (folder / f"sample-{number:04}-changed{path.suffix}").write_bytes(one.choice(CHANGES)(data, one))
    _odd_names(folder, good["rgb.jpg"])
    kinds = list(good.items())
    for number in range(count):
        name, data = kinds[number % len(kinds)]
        for _ in range(one.choice((1, 1, 1, 2))):
            data = one.choice(CHANGES)(data, one) or data
        suffix = Path(name).suffix if one.random() < 0.9 else one.choice((".jpg", ".png", ".webp"))
        (folder / f"{number:05}-{name}{suffix}").write_bytes(data)
    return len(list(folder.iterdir()))


def _odd_names(folder: Path, jpeg: bytes) -> None:
    """Names that break terminals, logs and programs, and files that are none."""
    names = (
        "line\nfeed.jpg", "\x1b[2J.jpg", "\u202egpj.exe.jpg", "zero\u200bwidth.jpg", "-rf.jpg", "$(reboot).jpg",
        "百灵.jpg", "%00.jpg", "a\\b.jpg", "quote'\".jpg", " .jpg", "\ufeffbom.jpg", "x" * 250 + ".jpg",
    )  # fmt: skip
    for name in (*map(os.fsencode, names), b"\xb0\xd9\xc1\xe9.jpg", b"\xed\xa0\xbd.jpg", b"\xff\xfe.jpg"):
        with open(os.fsencode(folder) + b"/" + name, "wb") as stream:
            stream.write(jpeg)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "gone.jpg").symlink_to("nothing")
    (folder / "random.jpg").symlink_to("/dev/urandom")
    (folder / "folder.jpg").mkdir()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run over a folder came to; ``growth_mib`` is the peak of memory beyond that of one good picture."""

    pictures: int
    lines: int
    returncode: int
    seconds: float
    growth_mib: float
    reasons: dict[str, int]
    stderr: str


def run(model: Path, folder: Path, workers: int = 0) -> Outcome:
    """`wumu recognize` over the folder in a process of its own, the list on its standard input."""
    names = sorted(os.fsencode(folder) + b"/" + name for name in os.listdir(os.fsencode(folder)))
    good = os.fsencode(folder) + b"/rgb.jpg"
    base, _, _ = _recognize(model, [good] * 64, workers)
    started = time.monotonic()
    peak, done, output = _recognize(model, names, workers)
    lines = [json.loads(line) for line in output.splitlines()]
    reasons = Counter(str(line.get("reason", "recognised")) for line in lines)
    return Outcome(
        pictures=len(names),
        lines=len(lines),
        returncode=done.returncode,
        seconds=round(time.monotonic() - started, 1),
        growth_mib=round((peak - base) / 1024, 1),
        reasons=dict(reasons.most_common()),
        stderr=done.stderr.decode(errors="replace")[-2_000:],
    )


def _recognize(model: Path, names: list[bytes], workers: int) -> tuple[int, subprocess.CompletedProcess[bytes], bytes]:
    """Peak memory in KiB (of the process and of its largest child), how it ended, its lines."""
    script = (
        "import atexit, resource, sys\n"
        "from daemon.cli.main import main\n"
        "rusage = lambda who: resource.getrusage(who).ru_maxrss\n"
        "told = lambda: open(sys.argv[1], 'w').write("
        "str(rusage(resource.RUSAGE_SELF) + rusage(resource.RUSAGE_CHILDREN)))\n"
        "atexit.register(told)\n"
        "main(sys.argv[2:], prog_name='wumu')\n"
    )
    with tempfile.TemporaryDirectory() as place:
        peak = Path(place) / "peak"
        options = ["--model", str(model), "--json", "--device", "cpu", "--decode-workers", str(workers), "-0", "-"]
        command = [sys.executable, "-c", script, str(peak), "recognize", *options]
        done = subprocess.run(
            command, input=b"\0".join(names) + b"\0", capture_output=True, check=False, timeout=WALL_SECONDS
        )
        return int(peak.read_text()) if peak.exists() else 0, done, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=900, help="mutated files beside the others")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--decode-workers", type=int, default=0)
    parser.add_argument("--samples", type=Path, action="append", default=[], help="folders with further pictures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "hostile"
        build(folder, given.count, given.seed, tuple(given.samples))
        model = Path(place) / "digits"
        train(model, seed=0)
        found = run(model, folder, given.decode_workers)
    told = {name: getattr(found, name) for name in Outcome.__slots__}
    print(json.dumps({**told, **conditions("opencv-python-headless", "pillow", "torch")}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
