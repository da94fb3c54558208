"""The first directory of a TIFF file, which is also how Exif keeps a picture's orientation. (TIFF 6.0, section 2.)"""

import struct
from dataclasses import dataclass

_TAGS = {
    256: "width",
    257: "height",
    258: "bits_per_sample",
    262: "photometric",
    273: "strip_offsets",
    274: "orientation",
    277: "samples_per_pixel",
    279: "strip_byte_counts",
    324: "tile_offsets",
    325: "tile_byte_counts",
    338: "extra_samples",
    339: "sample_format",
}
_BYTE, _SHORT, _LONG = 1, 3, 4
_CODES = {_BYTE: "B", _SHORT: "H", _LONG: "I"}
_WIDTHS = {_BYTE: 1, _SHORT: 2, _LONG: 4}
_MAX_VALUES = 1_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """The numbers of the tags we know; a tag that is absent or lies outside the file has none.

    ``has_another``: whether a further directory follows, that is a further page.
    """

    numbers: dict[str, tuple[int, ...]]
    has_another: bool

    def values(self, name: str) -> tuple[int, ...]:
        return self.numbers.get(name, ())

    def first(self, name: str, default: int) -> int:
        return self.numbers.get(name, (default,))[0]

    def orientation(self) -> int:
        """1 to 8 as in Exif; 1 (upright) when absent or senseless."""
        value = self.first("orientation", 1)
        return value if 1 <= value <= 8 else 1


def read_directory(data: bytes) -> Directory | None:
    """The directory of a classic TIFF; None when the bytes are none or it lies outside them."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return None
    (count,) = struct.unpack_from(order + "H", data, start)
    if start + 2 + 12 * count > len(data):
        return None
    numbers: dict[str, tuple[int, ...]] = {}
    for index in range(count):
        tag, kind, length = struct.unpack_from(order + "HHI", data, start + 2 + 12 * index)
        if tag in _TAGS and kind in _CODES and 0 < length <= _MAX_VALUES:
            values = _values(data, order, kind, length, start + 10 + 12 * index)
            if values:
                numbers[_TAGS[tag]] = values
    end = start + 2 + 12 * count
    return Directory(numbers, has_another=data[end : end + 4].strip(b"\0") != b"")


def _values(data: bytes, order: str, kind: int, length: int, field: int) -> tuple[int, ...]:
    """The entry's numbers: in the entry itself when they fit into four bytes, else where it points."""
    size = _WIDTHS[kind] * length
    position = field if size <= 4 else struct.unpack_from(order + "I", data, field)[0]
    if position + size > len(data):
        return ()
    return struct.unpack_from(f"{order}{length}{_CODES[kind]}", data, position)


def exif_orientation(data: bytes) -> int:
    """The orientation that an Exif block states; 1 when it states none."""
    directory = read_directory(data)
    return 1 if directory is None else directory.orientation()
