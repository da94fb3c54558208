"""Writing a model folder: at once or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recognizer.manifest import MANIFEST_NAME, CheckedFile, ModelError, ModelFault, sha256_of


def check_replaceable(target: Path) -> None:
    """`ModelError` when something stands at the target that is no model folder."""
    if target.is_dir():
        replaceable = (target / MANIFEST_NAME).exists() or not any(target.iterdir())
    else:
        replaceable = not target.exists()
    if not replaceable:
        message = f"{target} exists and is no model folder"
        raise ModelError(ModelFault.NOT_A_FOLDER, message, hint="name a folder that does not exist yet")


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``target`` when the block ends well."""
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
