"""Writing a model folder: at once or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recognizer.manifest import MANIFEST_NAME, CheckedFile, ModelError, ModelFault, read_manifest, sha256_of
from recognizer.paths import visible

_ELSEWHERE = "name a folder that does not exist yet"


def check_replaceable(target: Path) -> None:
    """`ModelError` when something stands at the target that is more than a model: it would be lost."""
    target = target.resolve()
    if target.is_dir():
        foreign = sorted({one.name for one in target.iterdir()} - _own_names(target))
        if foreign:
            message = f"{target} exists and is no model folder: it holds {visible(foreign[0])}"
            raise ModelError(ModelFault.NOT_A_FOLDER, message, hint=_ELSEWHERE)
    elif os.path.lexists(target):
        raise ModelError(ModelFault.NOT_A_FOLDER, f"{target} exists and is no folder", hint=_ELSEWHERE)


def _own_names(folder: Path) -> set[str]:
    """The files that its model.json names; without one that can be read there are none."""
    try:
        manifest = read_manifest(folder)
    except ModelError:
        return set()
    checked = (manifest.weights, manifest.labels, *manifest.parts)
    canary = [] if manifest.canary is None else [manifest.canary.file]
    return {MANIFEST_NAME, *(one.file for one in checked), *canary}


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``target`` when the block ends well.

    Raises as `check_replaceable` does, OSError where the system refuses.
    """
    target = target.resolve()  # where ".." leads must not change with the folders that are made on the way
    check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        if target.exists():
            old = scratch.with_name(scratch.name + ".old")
            target.rename(old)
            scratch.rename(target)
            shutil.rmtree(old)
        else:
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def store(folder: Path, name: str, data: bytes) -> CheckedFile:
    """Writes one file of the folder through to the disk, and says what model.json says of it."""
    with (folder / name).open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return CheckedFile(file=name, sha256=sha256_of(data))
