"""A labels file, strictly: one label an output, in their order."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from recognizer.manifest import ModelError, ModelFault

_ORDER = "one label a line, in the order of the outputs"


@dataclass(frozen=True, slots=True)
class Labels:
    """``names`` by output; ``sha256`` of the file; ``duplicates``: names that several outputs share, most first.

    Duplicates are no fault: of tens of thousands of real classes some have the same name. They are told.
    """

    names: tuple[str, ...]
    sha256: str
    duplicates: tuple[str, ...]


def parse(data: bytes, path: Path, sha256: str, column: int | None = None) -> Labels:
    """The labels of a file, a byte order mark and CRLF stripped; `ModelError` that names the line of what is wrong.

    ``column`` takes one tab-separated column (from 0) instead of the whole line.
    """
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{path}:{line}: not UTF-8", "save the file as UTF-8") from error
    lines = lines[:-1] if lines[-1] == "" else lines
    names = tuple(_label(line.removesuffix("\r"), path, number, column) for number, line in enumerate(lines, 1))
    if not names:
        raise _invalid(f"{path}: no label", _ORDER)
    duplicates = tuple(name for name, count in Counter(names).most_common() if count > 1)
    return Labels(names, sha256, duplicates)


def _label(line: str, path: Path, number: int, column: int | None) -> str:
    label = line
    if column is not None:
        cells = line.split("\t")
        if len(cells) <= column:
            raise _invalid(f"{path}:{number}: {len(cells)} columns, the label is column {column + 1}", _ORDER)
        label = cells[column].strip()
    if not label.strip():
        raise _invalid(f"{path}:{number}: an empty label", _ORDER)
    if not label.isprintable():
        raise _invalid(f"{path}:{number}: the label holds control characters: {label!r}", "remove them")
    return label


def _invalid(message: str, hint: str) -> ModelError:
    return ModelError(ModelFault.LABELS_INVALID, message, hint=hint)
