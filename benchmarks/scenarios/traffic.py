"""Pictures that come in, one row each, as columns: what they are, who serves them, and what becomes of them.

Traffic has a daily and a weekly rhythm. Pictures come in bursts of similar ones: the same folder, label and host and
nearly the same score. Durations have heavy tails and grow a little with the load. Labels have long tails. A few in a
thousand fail on an ordinary day.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenarios.fleet import HOSTS, Fleet
from recognizer.reasons import InputReason

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Texts = NDArray[np.object_]

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
PICTURES_PER_MINUTE = 50.0
"""The average over a week."""
BURST = 2.2
"""Pictures in a burst, on average."""
_WEEKEND = 0.6
_ERRORS = (
    (InputReason.FILE_MISSING.value, 0.003),
    (InputReason.IMAGE_TRUNCATED.value, 0.001),
    (InputReason.IMAGE_NOT_AN_IMAGE.value, 0.001),
)
_SERVER_ERRORS = 0.001
_TAIL = 0.01
_CHUNK_MS = 6 * HOUR_MS


@dataclass(slots=True, kw_only=True)
class Pictures:
    """Columns of equal length, in order of time. Incidents change them in place.

    at_ms     when the recognition began; ``clock_ms`` is added to every time that the host writes
    late_ms   how much later than it happened the log reaches the store
    again_ms  how much later each line is shipped a second time; 0: never
    reason    why the picture could not be read; empty where it could
    failure   why the recognition failed after the picture was read; empty where it did not
    hangs     it began and never ended
    suffix    what stands behind the path's end
    """

    at_ms: NDArray[np.int64]
    model: NDArray[np.int64]
    folder: NDArray[np.int64]
    host: NDArray[np.int64]
    label: NDArray[np.int64]
    name: Texts
    score: Floats
    preprocess_ms: Floats
    inference_ms: Floats
    mean: Floats
    variance: Floats
    channels: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    dtype: Texts
    conversion: Texts
    device: Texts
    batch_size: NDArray[np.int64]
    http_status: NDArray[np.int64]
    reason: Texts
    failure: Texts
    suffix: Texts
    hangs: Mask
    clock_ms: NDArray[np.int64]
    late_ms: NDArray[np.int64]
    again_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at_ms)

    def take(self, chosen: NDArray[Any]) -> Self:
        """The rows of a mask or of indices."""
        return replace(self, **{column.name: getattr(self, column.name)[chosen] for column in fields(self)})

    def copy(self) -> Self:
        return self.take(np.arange(len(self)))

    def between(self, start_ms: int, end_ms: int) -> Mask:
        return (self.at_ms >= start_ms) & (self.at_ms < end_ms)


def joined(one: Pictures, other: Pictures) -> Pictures:
    """Both, in order of time."""
    columns = {
        column.name: np.concatenate([getattr(one, column.name), getattr(other, column.name)]) for column in fields(one)
    }
    both = Pictures(**columns)
    return both.take(np.argsort(both.at_ms, kind="stable"))


_SHOWN_IN = {
    "label": {"top1_label", "top3_labels"},
    "score": {"top1_score", "top3_scores", "low_confidence_filtered"},
    "preprocess_ms": {"duration_ms"},
    "inference_ms": {"duration_ms"},
    "channels": {"channels", "shape", "image_issues"},
    "height": {"shape", "scale_ratio", "file_size"},
    "conversion": {"channel_conversion"},
    "http_status": {"http_status", "status"},
    "reason": {"event_type", "reason", "error", "path_issues"},
    "failure": {"event_type", "reason", "error", "http_status", "status"},
    "suffix": {"file_path", "path_issues"},
    "hangs": {"event_type", "request_id"},
    "host": {"event_type", "host"},
    "clock_ms": {"event_type", "timestamp"},
}
"""The fields of events in which a column shows; a column that is not named here shows in the field of its name."""


def changed_fields(before: Pictures, after: Pictures) -> frozenset[str]:
    """The fields in which the events of two sets of pictures differ. More or fewer pictures: ``event_type``."""
    if len(before) != len(after):
        return frozenset({"event_type"})
    changed: set[str] = set()
    for column in fields(before):
        if not np.array_equal(getattr(before, column.name), getattr(after, column.name)):
            changed |= _SHOWN_IN.get(column.name, {column.name})
    return frozenset(changed)


def load_at(at_ms: Floats) -> Floats:
    """The rhythm of a week (UTC): 1 is the average. Nights are quiet, weekends are quieter."""
    days = at_ms / DAY_MS
    hour, weekday = (days % 1) * 24, (np.floor(days) + 3) % 7
    daily = 1 + 0.6 * np.sin(2 * np.pi * (hour - 8) / 24) + 0.15 * np.sin(4 * np.pi * (hour - 9) / 24)
    weekly = np.where(weekday >= 5, _WEEKEND, (7 - 2 * _WEEKEND) / 5)
    return np.asarray(daily * weekly)


def traffic(fleet: Fleet, random: np.random.Generator, start_ms: int, end_ms: int, prefix: str) -> Pictures:
    """What comes from ``start_ms`` to ``end_ms``; ``prefix`` makes the names of its pictures its own."""
    starts = range(start_ms, end_ms, _CHUNK_MS)
    times = np.concatenate([bursts(random, start, min(start + _CHUNK_MS, end_ms)) for start in starts])
    return pictures_of(fleet, random, times, prefix)


def bursts(random: np.random.Generator, start_ms: int, end_ms: int, share: float = 1.0) -> Floats:
    """When bursts begin: a Poisson process whose rate follows the rhythm and wanders by some percent.

    ``share`` is how much comes, 1 being the usual.
    """
    minutes = np.arange(start_ms, end_ms, MINUTE_MS, dtype=np.float64)
    wander = np.repeat(random.normal(0.0, 0.05, len(minutes) // 10 + 1), 10)[: len(minutes)]
    rates = share * PICTURES_PER_MINUTE / BURST * load_at(minutes) * np.exp(wander)
    begun = np.repeat(minutes, random.poisson(rates))
    times = begun + random.random(len(begun)) * MINUTE_MS
    return np.sort(times[times < end_ms])


def pictures_of(fleet: Fleet, random: np.random.Generator, bursts_ms: Floats, prefix: str) -> Pictures:
    """The pictures of the bursts that begin at these times."""
    folders = random.choice(len(fleet.folders), size=len(bursts_ms), p=fleet.folder_weights)
    return _shown(fleet, random, bursts_ms, folders, prefix)


def pictures_in(fleet: Fleet, random: np.random.Generator, bursts_ms: Floats, folder: int, prefix: str) -> Pictures:
    """The same, all of one folder."""
    return _shown(fleet, random, bursts_ms, np.full(len(bursts_ms), folder), prefix)


def _shown(
    fleet: Fleet, random: np.random.Generator, bursts_ms: Floats, folders: NDArray[np.int64], prefix: str
) -> Pictures:
    bursts = len(bursts_ms)
    sizes = random.geometric(1 / BURST, bursts)
    of = np.repeat(np.arange(bursts), sizes)
    within = np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at_ms = (bursts_ms[of] + within * random.uniform(200, 1_200, len(of))).astype(np.int64)
    model = np.array([folder.model for folder in fleet.folders])[folders]
    host = random.choice(len(HOSTS), size=bursts, p=fleet.host_weights)
    logit = np.array([one.logit for one in fleet.models])[model] + random.normal(0, 1.0, bursts)
    rows = _columns(fleet, random, at_ms, folders[of], host[of])
    order = np.argsort(at_ms, kind="stable")
    pictures = Pictures(
        label=_labels(fleet, random, folders)[of],
        score=_sigmoid(logit[of] + random.normal(0, 0.5, len(of))),
        name=np.array([f"{prefix}{number:x}" for number in range(len(of))], dtype=object),
        **rows,
    )
    return pictures.take(order)


def _columns(
    fleet: Fleet,
    random: np.random.Generator,
    at_ms: NDArray[np.int64],
    folder: NDArray[np.int64],
    host: NDArray[np.int64],
) -> dict[str, Any]:
    """Everything but labels, scores and names."""
    count = len(at_ms)
    model = np.array([one.model for one in fleet.folders])[folder]
    height = np.array([one.height for one in fleet.folders])[folder]
    width = np.array([one.width for one in fleet.folders])[folder]
    speed = fleet.host_speed[host] * (1 + 0.08 * load_at(at_ms.astype(np.float64)))
    pixels = height * width / 1e6
    zeros = np.zeros(count, dtype=np.int64)
    return {
        "at_ms": at_ms,
        "model": model,
        "folder": folder,
        "host": host,
        "preprocess_ms": (6 + 8 * pixels) * speed * _stretch(random, count, 0.2),
        "inference_ms": np.array([one.inference_ms for one in fleet.models])[model]
        * speed
        * _stretch(random, count, 0.15),
        "mean": np.array([one.brightness for one in fleet.folders])[folder] + random.normal(0, 0.2, count),
        "variance": np.array([one.contrast for one in fleet.folders])[folder] * random.lognormal(0, 0.15, count),
        "channels": zeros + 3,
        "height": height,
        "width": width,
        "dtype": _texts(count, "uint8"),
        "conversion": _texts(count, "bgr_to_rgb"),
        "device": _texts(count, "cuda:0"),
        "batch_size": zeros + 8,
        "http_status": np.where(random.random(count) < _SERVER_ERRORS, 500, 200),
        "reason": _reasons(random, count),
        "failure": _texts(count, ""),
        "suffix": _texts(count, ""),
        "hangs": np.zeros(count, dtype=np.bool_),
        "clock_ms": zeros.copy(),
        "late_ms": zeros.copy(),
        "again_ms": zeros.copy(),
    }


def _labels(fleet: Fleet, random: np.random.Generator, folders: NDArray[np.int64]) -> NDArray[np.int64]:
    labels = np.zeros(len(folders), dtype=np.int64)
    for place, folder in enumerate(fleet.folders):
        chosen = folders == place
        labels[chosen] = random.choice(len(folder.label_odds), size=int(chosen.sum()), p=folder.label_odds)
    return labels


def _stretch(random: np.random.Generator, count: int, spread: float) -> Floats:
    """Lognormal, and one in a hundred several times as long (Pareto)."""
    usual = random.lognormal(0.0, spread, count)
    tail = np.minimum(1 + random.pareto(1.5, count), 30.0)
    return np.where(random.random(count) < _TAIL, usual * tail, usual)


def _reasons(random: np.random.Generator, count: int) -> Texts:
    chances = [chance for _, chance in _ERRORS]
    drawn = random.choice(len(_ERRORS) + 1, size=count, p=[1 - sum(chances), *chances])
    return np.array(["", *(reason for reason, _ in _ERRORS)], dtype=object)[drawn]


def _texts(count: int, text: str) -> Texts:
    return np.full(count, text, dtype=object)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))
