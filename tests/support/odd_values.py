"""Values that a service may put into an event by mistake: none of them is plain JSON, or what the field is for."""

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.emit import log_event
from recognizer.events import FIELD_NAMES


class Broken:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def cycle() -> list[Any]:
    """A list that holds itself."""
    ring: list[Any] = [1]
    ring.append({"again": ring})
    return ring


def _deep() -> Any:
    value: Any = 0
    for _ in range(2_000):
        value = [value]
    return value


ODD: dict[str, Callable[[], Any]] = {
    "nan": lambda: math.nan,
    "infinity": lambda: -math.inf,
    "nan of numpy": lambda: np.float32("nan"),
    "float of numpy": lambda: np.float32(0.1),
    "int of numpy": lambda: np.int64(7),
    "bool of numpy": lambda: np.bool_(True),
    "array": lambda: np.array([1.5, math.nan]),
    "large array": lambda: np.zeros((300, 300)),
    "bytes": lambda: b"\xff\x00\xfe",
    "lone surrogate": lambda: "a\ud83d",
    "NUL": lambda: "a\0b",
    "controls": lambda: "\x01\x1b[31m\u202e\u2028\ufeff",
    "long": lambda: "百" * 20_000,
    "empty": lambda: "",
    "huge": lambda: 2**70,
    "hugest": lambda: -(10**5_000),
    "beyond a float": lambda: 1e308 * 10,
    "set": lambda: {1},
    "cycle": cycle,
    "deep": _deep,
    "broken": Broken,
    "object": object,
    "path": lambda: Path("/上传/a\udcff"),
    "date": lambda: dt.datetime(2024, 5, 17, tzinfo=dt.UTC),
    "keys": lambda: {1: "a", None: "b", "\ud800": {"": 2}, "a.b": 3, "_id": 4},
    "list of all": lambda: [None, 1, "a", b"\xff", math.nan, {"x": 2**70}],
    "truth": lambda: True,
    "none": lambda: None,
}


def log_every_odd_value_in_every_field() -> int:
    """Through the emitter that is configured; how many events that were."""
    for make in ODD.values():
        for name in FIELD_NAMES:
            if name == "event_type":
                log_event(make())
            else:
                log_event("odd", **{name: make()})
    return len(ODD) * len(FIELD_NAMES)
