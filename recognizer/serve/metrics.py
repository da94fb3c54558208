"""What /metrics tells, in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Histogram:
    def __init__(self, name: str, about: str, bounds: tuple[float, ...]) -> None:
        self._name, self._about, self._bounds = name, about, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self) -> list[str]:
        found, total = [f"# HELP {self._name} {self._about}", f"# TYPE {self._name} histogram"], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append(f'{self._name}_bucket{{le="{bound}"}} {total}')
        return [*found, f"{self._name}_sum {self._sum}", f"{self._name}_count {total}"]


def _counter(name: str, about: str, label: str, counts: Mapping[Any, int]) -> list[str]:
    lines = [f'{name}{{{label}="{one}"}} {count}' for one, count in sorted(counts.items())]
    return [f"# HELP {name} {about}", f"# TYPE {name} counter", *lines]


def _gauge(name: str, about: str, value: int) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value}"]


class Metrics:
    """Counters of one service. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()
        self._reasons: Counter[str] = Counter()
        self._cut_off: Counter[str] = Counter()
        self._seconds = _Histogram("wumu_request_seconds", "time from the request to its answer", _SECONDS)
        self._sizes = _Histogram("wumu_batch_pictures", "pictures asked together", _SIZES)

    def answered(self, status: int, seconds: float, reasons: Iterable[str | None]) -> None:
        """One request to /recognize came to its end; ``reasons`` are those of its pictures, None of one recognised."""
        with self._lock:
            self._answers[status] += 1
            self._seconds.observe(seconds)
            self._reasons.update(one for one in reasons if one is not None)

    def cut_off(self, why: str) -> None:
        """A connection was ended that had sent no request, or had not sent it to its end."""
        with self._lock:
            self._cut_off[why] += 1

    def batch(self, pictures: int) -> None:
        """So many pictures were asked together."""
        with self._lock:
            self._sizes.observe(pictures)

    def text(self, waiting: int, held_bytes: int) -> str:
        """The page, with the number of pictures that wait or are worked on right now, and what requests hold."""
        with self._lock:
            lines = [
                *_counter("wumu_requests_total", "answers by HTTP status", "status", self._answers),
                *_counter("wumu_failures_total", "pictures not recognised, by reason", "reason", self._reasons),
                *_counter("wumu_cut_off_total", "connections ended without a request, by why", "why", self._cut_off),
            ]
            lines += [
                *_gauge("wumu_waiting_pictures", "pictures that wait or are worked on", waiting),
                *_gauge("wumu_waiting_bytes", "bytes that these and the bodies coming in hold", held_bytes),
                *self._seconds.lines(),
                *self._sizes.lines(),
            ]
        return "\n".join(lines) + "\n"
