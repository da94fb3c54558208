"""The zip archives of torch and the pickles in them: looked at, never run."""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from recognizer.formats.base import invalid
from recognizer.manifest import ModelError, ModelFault

ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_INFLATION = 2
"""torch stores its archives uncompressed; one that unpacks to more than this many times its size is no model."""

_PLAIN = frozenset({"collections OrderedDict", "torch Size", "torch device", "torch dtype", "_codecs encode"})
_PLAIN_MODULES = ("torch._utils", "torch._tensor", "torch.storage", "torch.serialization")
_TORCH_TYPES = ("Storage", "float", "int", "bool", "complex", "half", "double", "bfloat", "uint", "long", "short")
_DANGEROUS = frozenset(
    {"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__", "runpy", "shutil", "socket", "importlib"}
    | {"ctypes", "pty", "platform", "pickle", "_pickle", "commands", "webbrowser", "functools", "operator", "code"}
    | {"asyncio", "multiprocessing", "pip", "types", "marshal", "tempfile", "pathlib", "io", "urllib", "requests"}
)


def members(data: bytes) -> frozenset[str]:
    """The names in an archive without its top folder; empty for what is no whole archive."""
    if not data.startswith(ZIP):
        return frozenset()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return frozenset(name.partition("/")[2] for name in archive.namelist())
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError):
        return frozenset()


def screen(data: bytes, path: Path) -> None:
    """Refuses a pickle, alone or in an archive, that names anything but tensors. Runs nothing.

    torch's own reader of weights refuses the same; this look before it says what was found.
    """
    if data.startswith(_PICKLE):
        _screen_pickle(data, path)
        return
    for name, content in contents(data, path):
        if name.endswith(".pkl"):
            _screen_pickle(content, path)


def contents(data: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """Every member of an archive, its name without the top folder; `ModelError` for one that is not plain.

    A name that stands there twice, in whatever case, could be one thing to this look and another to torch's reader.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _INFLATION * len(data):
                raise invalid(path, "unpacks to far more than its size: no model is stored so")
            if len({entry.filename.lower() for entry in entries}) < len(entries):
                raise invalid(path, "names one member twice")
            for entry in entries:
                yield entry.filename.partition("/")[2], archive.read(entry)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, EOFError) as error:
        raise invalid(path, f"is no whole archive: {error}") from error


def _screen_pickle(data: bytes, path: Path) -> None:
    for name in _globals(data, path):
        if _is_plain(name):
            continue
        dotted = name.replace(" ", ".")
        if name.split(" ")[0].split(".")[0] in _DANGEROUS:
            raise ModelError(
                ModelFault.PICKLE_REFUSED,
                f"{path} is a pickle that would call {dotted} when it is loaded; nothing of it was run",
                hint="delete it, and tell whoever gave it to you: weights never need that",
            )
        raise ModelError(
            ModelFault.PICKLED_MODULE,
            f"{path} is a whole pickled object ({dotted}), not weights; nothing of it was run",
            hint="where you trust it, save its weights alone: torch.save(model.state_dict(), 'weights.pt')",
        )


def _globals(data: bytes, path: Path) -> Iterator[str]:
    """Every "module name" that the pickles in ``data`` would import, one pickle after the other."""
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data) and data[stream.tell() : stream.tell() + 1] == _PICKLE:
            yield from _globals_of_one(stream)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise invalid(path, f"is no whole pickle: {error}") from error


def _globals_of_one(stream: io.BytesIO) -> Iterator[str]:
    texts: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in {"GLOBAL", "INST"}:
            yield str(argument)
        elif opcode.name == "STACK_GLOBAL":
            yield " ".join(texts[-2:])
        elif isinstance(argument, str):
            texts.append(argument)
        elif opcode.name == "MEMOIZE" or opcode.name.endswith("PUT"):
            memo[len(memo) if argument is None else argument] = texts[-1] if texts else ""
        elif opcode.name.endswith("GET") and argument in memo:
            texts.append(memo[argument])


def _is_plain(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    torch_type = module == "torch" and (attribute.endswith("Storage") or attribute.startswith(_TORCH_TYPES))
    return name in _PLAIN or module in _PLAIN_MODULES or torch_type
