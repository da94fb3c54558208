"""Decoders that crash, stall or eat memory for real, for the tests of the decode workers: each on files of its kind."""

import ctypes
import os
import signal
import threading

import numpy as np

from recognizer import decode as real
from recognizer.decode import Picture
from recognizer.inspect import Limits
from recognizer.reasons import InputReason


def decode(data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...]) -> Picture:
    """The real decoder, but for files that begin with the name of a misdeed."""
    print("a decoder may print what it likes", flush=True)
    if data.startswith(b"SEGFAULT"):
        ctypes.string_at(0)
    if data.startswith(b"KILLED"):
        os.kill(os.getpid(), signal.SIGKILL)
    if data.startswith(b"STALL"):
        threading.Event().wait()
    if data.startswith(b"MEMORY"):
        np.ones(1 << 38, np.uint8)
    if data.startswith(b"RAISE"):
        raise RuntimeError("\u202enever seen")
    if data.startswith(b"ONCE "):
        marker = data[5:].decode()
        if not os.path.exists(marker):
            open(marker, "w", encoding="ascii").close()
            ctypes.string_at(0)
        data = b""
    return real.decode(data, name, limits, path_issues)
