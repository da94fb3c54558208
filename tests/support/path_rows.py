"""The taxonomy of paths and files on real files: a folder of them, and a path with its primary reason for each row."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason as Reason
from recognizer.source import Access
from tests.support.pictures import colours, encoded

PNG = encoded(colours(), "PNG")
FILES = ("百灵.png", "豈.png", "Photo.PNG", "my photo.png", "hoopoe bird.png", "bai.png", "café.png")

ROWS: list[tuple[str, object, Reason]] = [
    ("P1 half a character", "{folder}/\ud83d.png", Reason.PATH_UNDECODABLE),
    ("P1 bytes of GBK", "{folder}/\udcb0\udcd9\udcc1\udce9.png", Reason.PATH_UNDECODABLE),
    ("P3 zero-width space", "{folder}/百灵.png\u200b", Reason.PATH_INVISIBLE_CHARACTER),
    ("P3 tag characters", "{folder}/bai\U000e0041.png", Reason.PATH_INVISIBLE_CHARACTER),
    ("P3 Hangul filler", "{folder}/\u3164bai.png", Reason.PATH_INVISIBLE_CHARACTER),
    ("P4 right-to-left override", "{folder}/\u202ebai.png", Reason.PATH_BIDI_CONTROL),
    ("P5 full width", "{folder}/ｂａｉ．png", Reason.PATH_FULLWIDTH),
    ("P6 decomposed", "{folder}/cafe\u0301.png", Reason.PATH_NOT_NFC),
    ("P7 compatibility ideograph", "{folder}/\uf900.png", Reason.PATH_COMPATIBILITY_CHARACTER),
    ("P8 Cyrillic letter", "{folder}/b\u0430i.png", Reason.PATH_HOMOGLYPH),
    ("P9 ideographic space", "{folder}/my\u3000photo.png", Reason.PATH_UNUSUAL_SPACE),
    ("P10 line read with its end", "{folder}/bai.png\r\n", Reason.PATH_EDGE_SPACE),
    ("P11 quotes", '"{folder}/bai.png"', Reason.PATH_QUOTED),
    ("P12 comma", "{folder}/bai.png，", Reason.PATH_TRAILING_PUNCTUATION),
    ("P13 backslash", "图片\\百灵.png", Reason.PATH_BACKSLASH),
    ("P14 drive", "C:\\图片\\百灵.png", Reason.PATH_WINDOWS),
    ("P14 share", "\\\\nas\\图片\\百灵.png", Reason.PATH_WINDOWS),
    ("P15 escape resolved", "C:\test\bailing", Reason.PATH_UNESCAPED_ESCAPE),
    ("P16 file URL", "file://{folder}/%E7%99%BE%E7%81%B5.png", Reason.PATH_URL),
    ("P17 percent", "{folder}/%E7%99%BE%E7%81%B5.png", Reason.PATH_PERCENT_ENCODED),
    ("P17 percent twice", "{folder}/%25E7%2599%25BE.png", Reason.PATH_PERCENT_ENCODED),
    ("P18 plus", "{folder}/my+photo.png", Reason.PATH_PLUS_FOR_SPACE),
    ("P19 HTML", "{folder}/&#30334;&#28789;.png", Reason.PATH_HTML_OR_U_ESCAPE),
    ("P19 backslash u", "{folder}/\\u767e\\u7075.png", Reason.PATH_HTML_OR_U_ESCAPE),
    ("P20 UTF-8 read as GBK", "{folder}/鐧剧伒.png", Reason.PATH_MOJIBAKE),
    ("P20 UTF-8 read as Latin-1", "{folder}/ç\x99¾ç\x81µ.png", Reason.PATH_MOJIBAKE),
    ("P20 GBK read as Latin-1", "{folder}/°ÙÁé.png", Reason.PATH_MOJIBAKE),
    ("P21 replacement character", "{folder}/\ufffd\ufffd.png", Reason.PATH_LOSSY),
    ("P21 question marks", "{folder}/??.png", Reason.PATH_LOSSY),
    ("P22 case", "{folder}/photo.png", Reason.PATH_CASE_MISMATCH),
    ("P23 typing error", "{folder}/hoopoe brid.png", Reason.PATH_NEAR_NAME),
    ("P24 http", "https://host/bai.png", Reason.PATH_REMOTE_URL),
    ("P24 s3", "s3://bucket/bai.png", Reason.PATH_REMOTE_URL),
    ("P24 data", "data:image/png;base64,iVBORw0KGgo=", Reason.PATH_REMOTE_URL),
    ("P25 tilde", "~/no such folder/bai.png", Reason.PATH_NOT_EXPANDED),
    ("P25 variable", "$HOME/bai.png", Reason.PATH_NOT_EXPANDED),
    ("P26 86 characters", "{folder}/" + "百" * 86, Reason.PATH_COMPONENT_TOO_LONG),
    ("P27 4,096 bytes", "{folder}" + "/abcdefg" * 600, Reason.PATH_TOO_LONG),
    ("P28 NUL", "{folder}/bai.png\0", Reason.PATH_NUL),
    ("P29 dots", "{folder}/../secret.png", Reason.PATH_OUTSIDE_ROOTS),
    ("P29 link", "{folder}/link.png", Reason.PATH_OUTSIDE_ROOTS),
    ("P30 None", None, Reason.PATH_WRONG_TYPE),
    ("P30 number", 3, Reason.PATH_WRONG_TYPE),
    ("P30 empty", "", Reason.PATH_EMPTY),
    ("F1", "{folder}/gone.png", Reason.FILE_MISSING),
    ("F2", "{folder}/empty.png", Reason.FILE_EMPTY),
    ("F3", "{folder}", Reason.FILE_IS_DIRECTORY),
    ("F4 pipe", "{folder}/pipe.png", Reason.FILE_NOT_REGULAR),
    ("F4 socket", "{folder}/socket.png", Reason.FILE_NOT_REGULAR),
    ("F6 broken", "{folder}/broken.png", Reason.FILE_SYMLINK_BROKEN),
    ("F6 loop", "{folder}/loop.png", Reason.FILE_SYMLINK_LOOP),
    ("F7", "{folder}/bai.png/a.png", Reason.FILE_PARENT_NOT_DIRECTORY),
]


@contextmanager
def tree(base: Path) -> Iterator[Path]:
    """The folder in which the rows hold: pictures, links, a pipe and a socket."""
    root = base / "root"
    root.mkdir()
    for name in FILES:
        (root / name).write_bytes(PNG)
    (base / "secret.png").write_bytes(PNG)
    (root / "link.png").symlink_to("../secret.png")
    (root / "empty.png").touch()
    (root / "broken.png").symlink_to("gone too")
    (root / "loop.png").symlink_to("loop.png")
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        place = os.open(root, os.O_PATH)
        try:
            listener.bind(f"/proc/self/fd/{place}/socket.png")  # the name of a socket has 107 bytes at most
        finally:
            os.close(place)
        yield root


def reason_of(root: Path, path: object, reason: Reason) -> Reason:
    """The primary reason of a row's path. Roots are only set where ``reason`` is about them."""
    given = path.replace("{folder}", str(root)) if isinstance(path, str) else path
    access = Access(roots=(str(root),)) if reason is Reason.PATH_OUTSIDE_ROOTS else Access()
    with pytest.raises(InputFault) as caught:
        read(given, Limits(), access)  # type: ignore[arg-type]  # wrong types are part of the test
    assert caught.value.message.isprintable()
    return caught.value.reason
