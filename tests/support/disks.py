"""A small file system of its own, which can be full, read-only or larger again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tiny_disk(folder: Path, options: str = "size=64k") -> Iterator[Path]:
    """Mounted at ``folder/disk``, 64 KiB large. Skips the test where mounting is not allowed."""
    mount = folder / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def remount(disk: Path, options: str) -> None:
    """Change the file system where it is."""
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)
