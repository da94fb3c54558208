"""Faults before the network, found in running traffic: exact ones in each input, the others in windows of inputs.

Some inputs are impossible: a value outside of what mean and deviation allow, one that is no number, all values alike.
Others are possible and wrong; they move the mean of a window of pictures. The usual range of such means is learned from
the first pictures after a canary that passed. Per picture this costs some additions; no tensor is touched.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recognizer.manifest import ChannelOrder, Preprocessing
from recognizer.reasons import InputReason
from recognizer.tensor_facts import TensorFacts

WINDOW = 64
"""Pictures in a window."""
LEARNING_WINDOWS = 100
"""Windows from which the usual range is learned: 6,400 pictures."""
LIMIT_DEVIATIONS = 6.0
"""A window counts when a mean lies this many standard deviations of windows away: measured in benchmarks/README.md."""
LONG = 64
"""Windows whose mean is judged once more, for what happens to few of the pictures only."""
_EDGE = 0.02
"""Of the whole range: rounding of half precision and of the resize's filter stays within."""
_FAR = 10.0
"""An input this many times farther out than possible was not divided by 255."""
_FLAT = 1e-4
_SCATTERED = 1.8
"""Neighbours this many times farther apart, of the same values, lie elsewhere in the picture."""
_VANISHED = 1 / 20
"""A contrast below this share of the usual one was divided once too often."""
_COLOURED = 0.01
"""Of the whole range: pictures whose red and blue differ less can't tell which is which."""
_FLOOR = 1e-3
"""Of the range: a signal that hardly varies from window to window must move by more than this."""

SIGNALS: Final = (
    "tensor_min",
    "tensor_max",
    "span",
    "mean",
    "red_minus_blue",
    "deviation",
    "channel_spread",
    "rough_across",
    "rough_down",
    "top1_score",
    "entropy",
    "top1_logit",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest value that the preprocessing can give."""

    low: float
    high: float

    @classmethod
    def of(cls, spec: Preprocessing) -> "Bounds":
        lows = [-mean / deviation for mean, deviation in zip(spec.mean, spec.deviation, strict=True)]
        highs = [(1 - mean) / deviation for mean, deviation in zip(spec.mean, spec.deviation, strict=True)]
        return cls(min(lows), max(highs))

    @property
    def range(self) -> float:
        return self.high - self.low


def impossible(facts: TensorFacts, bounds: Bounds) -> InputReason | None:
    """What is wrong with one input for certain; None when nothing is."""
    if facts.bad_values:
        return InputReason.TENSOR_NOT_FINITE
    room = _EDGE * bounds.range
    if facts.minimum < bounds.low - room or facts.maximum > bounds.high + room:
        far = max(facts.maximum - bounds.high, bounds.low - facts.minimum) > _FAR * bounds.range
        return InputReason.TENSOR_NOT_SCALED if far else InputReason.TENSOR_NORMALIZATION
    if facts.maximum - facts.minimum <= _FLAT * bounds.range:
        return InputReason.TENSOR_CONSTANT
    return None


@dataclass(frozen=True, slots=True)
class Shift:
    """A window of pictures unlike those from which the usual range was learned.

    ``signal`` is the figure that moved most, ``deviations`` by how many standard deviations of a window.
    """

    reason: InputReason
    signal: str
    usual: float
    found: float
    deviations: float
    pictures: int

    def __str__(self) -> str:
        return (
            f"{self.signal} of the last {self.pictures} pictures is {self.found:.4g}, usually {self.usual:.4g}: "
            f"{self.deviations:.0f} standard deviations away"
        )


@dataclass(frozen=True, slots=True)
class _Usual:
    mean: float
    deviation: float


def signals(facts: TensorFacts, spec: Preprocessing, score: float, entropy: float, logit: float) -> tuple[float, ...]:
    """The figures of one picture in the order of `SIGNALS`."""
    first, green, last = facts.channel_means
    # in units of the picture, where grey has as much red as blue
    colour = (first * spec.deviation[0] + spec.mean[0]) - (last * spec.deviation[2] + spec.mean[2])
    red_minus_blue = colour if spec.channel_order is ChannelOrder.RGB else -colour
    spread = abs(first - green) + abs(green - last) + abs(last - first)
    return (
        facts.minimum,
        facts.maximum,
        facts.maximum - facts.minimum,
        facts.mean,
        red_minus_blue,
        math.sqrt(facts.variance),
        spread,
        facts.rough_across,
        facts.rough_down,
        score,
        entropy,
        logit,
    )


class TensorMonitor:
    """Watches the inputs and answers of one model. Not for several threads at once."""

    def __init__(self, spec: Preprocessing, *, window: int = WINDOW, learning_windows: int = LEARNING_WINDOWS) -> None:
        self._spec = spec
        self._bounds = Bounds.of(spec)
        self._window = window
        self._learning = learning_windows
        self._sums = [0.0] * len(SIGNALS)
        self._count = 0
        self._learned: list[tuple[float, ...]] = []
        self._usual: tuple[_Usual, ...] = ()
        self._recent: deque[tuple[float, ...]] = deque(maxlen=LONG)

    @property
    def learned(self) -> bool:
        """Whether the usual range is known."""
        return bool(self._usual)

    def impossible(self, facts: TensorFacts) -> InputReason | None:
        """What is wrong with one input for certain."""
        return impossible(facts, self._bounds)

    def learn(self, windows: Iterable[tuple[float, ...]]) -> None:
        """Takes means of windows of healthy pictures, in the order of `SIGNALS`, as the usual range."""
        columns = list(zip(*windows, strict=True))
        floor = _FLOOR * self._bounds.range
        self._usual = tuple(_Usual(statistics.fmean(one), max(statistics.stdev(one), floor)) for one in columns)

    def observe(self, facts: TensorFacts, score: float, entropy: float, logit: float) -> Shift | None:
        """Takes one picture in; a `Shift` when it ends a window that is unlike the usual ones."""
        for index, value in enumerate(signals(facts, self._spec, score, entropy, logit)):
            self._sums[index] += value
        self._count += 1
        if self._count < self._window:
            return None
        means = tuple(value / self._window for value in self._sums)
        self._sums, self._count = [0.0] * len(SIGNALS), 0
        return self.judge(means)

    def judge(self, means: tuple[float, ...]) -> Shift | None:
        """The verdict on one window by the means of its signals; while learning there is none."""
        if not all(math.isfinite(value) for value in means):
            return None  # the inputs in it were told one by one
        if not self.learned:
            self._learned.append(means)
            if len(self._learned) >= self._learning:
                self.learn(self._learned)
                self._learned.clear()
            return None
        self._recent.append(means)
        short = self._shift(means, 1)
        if short is not None or len(self._recent) < LONG:
            return short
        together = tuple(statistics.fmean(column) for column in zip(*self._recent, strict=True))
        found = self._shift(together, LONG)
        if found is not None:
            self._recent.clear()
        return found

    def _shift(self, means: tuple[float, ...], windows: int) -> Shift | None:
        # the usual mean is itself known from as many windows as were learned from
        width = math.sqrt(1 / windows + 1 / self._learning)
        scores = [
            (found - usual.mean) / (usual.deviation * width) for found, usual in zip(means, self._usual, strict=True)
        ]
        worst = max(range(len(SIGNALS)), key=lambda index: abs(scores[index]))
        if abs(scores[worst]) <= LIMIT_DEVIATIONS:
            return None
        usual = self._usual[worst]
        return Shift(
            self._reason(means),
            SIGNALS[worst],
            usual.mean,
            means[worst],
            abs(scores[worst]),
            windows * self._window,
        )

    def _reason(self, means: tuple[float, ...]) -> InputReason:
        """The likeliest cause of a shift, by how the figures moved against each other."""
        found = dict(zip(SIGNALS, means, strict=True))
        usual = {name: max(one.mean, _FLAT) for name, one in zip(SIGNALS, self._usual, strict=True)}
        moved = abs(found["mean"] - self._usual[SIGNALS.index("mean")].mean) / usual["deviation"]
        gain, down, across = (found[name] / usual[name] for name in ("deviation", "rough_down", "rough_across"))
        span = found["span"] / usual["span"]
        colour, was = found["red_minus_blue"], self._usual[SIGNALS.index("red_minus_blue")].mean
        swapped = abs(was) > _COLOURED and abs(colour + was) < abs(colour - was) / 2
        if swapped and moved < 0.3 and max(abs(down - 1), abs(across - 1)) < 0.1:
            return InputReason.TENSOR_CHANNEL_ORDER
        if moved < 0.2 and 0.85 < gain < 1.15:
            if down > _SCATTERED:
                return InputReason.TENSOR_LAYOUT
            both = min(down, across) > 1.03 or max(down, across) < 0.97
            return InputReason.TENSOR_RESIZE if both else InputReason.TENSOR_UNUSUAL
        if max(down, across) < _VANISHED:
            return InputReason.TENSOR_NOT_SCALED
        if abs(math.log(span / down)) < 0.12 and abs(math.log(down / across)) < 0.12:
            return InputReason.TENSOR_NORMALIZATION
        return InputReason.TENSOR_OVERFLOW
