"""The files of a multipart body, taken out as its bytes come in."""

import logging
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from recognizer.paths import visible

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what it warns of is raised, too, and told there
_MOST_FIELDS = 8
"""Parts beside the files; they are passed over."""


class Broken(Exception):
    """What came is no such body; its text is one line for the caller."""


@dataclass(slots=True)
class _File:
    name: str
    pieces: list[memoryview] = field(default_factory=list)


class Form:
    """Feed it with `write`, then ask for the `files`. All of it raises `Broken`.

    Of a body that is cut off the files are missing whose end did not come.
    """

    def __init__(self, content_type: str, most_files: int) -> None:
        _, options = parse_options_header(content_type)
        if not (boundary := options.get(b"boundary")):
            raise Broken("Missing boundary in multipart.")
        self._most_files, self._fields = most_files, 0
        self._header, self._disposition = bytearray(), bytearray()
        self._open: _File | None = None
        self._files: list[tuple[str, bytes]] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_begin": self._on_header_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                },
            )
        except FormParserError as fault:
            raise _broken(fault) from None

    def write(self, data: bytes) -> None:
        """The next bytes."""
        try:
            self._parser.write(data)
        except FormParserError as fault:
            raise _broken(fault) from None

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Name and content of each file, in their order."""
        return self._files

    def _on_part_begin(self) -> None:
        self._disposition.clear()

    def _on_header_begin(self) -> None:
        self._header.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(bytes(self._disposition))
        if b"name" not in options:
            raise Broken('The Content-Disposition header field "name" must be provided.')
        if b"filename" not in options:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise Broken(f"Too many fields. Maximum number of fields is {_MOST_FIELDS}.")
            return
        if len(self._files) >= self._most_files:
            raise Broken(f"Too many files. Maximum number of files is {self._most_files}.")
        self._open = _File(_as_text(options[b"filename"]))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.pieces.append(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._open is not None:
            self._files.append((self._open.name, b"".join(self._open.pieces)))
            self._open = None


def _as_text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _broken(fault: FormParserError) -> Broken:
    return Broken(visible(str(fault), 200))
