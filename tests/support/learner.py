"""A kind that learns, small enough to see through: what is usual is the first counts of a series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from detectors.base import Progress, Stage
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key
from detectors.query import MINUTE_MS, Query

NEEDED = 3


@dataclass(frozen=True)
class Habit:
    """Finds a minute with more than twice the events of the busiest of the first three."""

    factor: float = 2.0
    kind: ClassVar[str] = "habit"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.TOO_MANY_EVENTS})
    group_by: tuple[str, ...] = ("host",)

    def query(self) -> Query:
        return Query(group_by=self.group_by, bucket_ms=MINUTE_MS)

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        found: list[Finding] = []
        kept: dict[Key, Memory] = dict(memory)
        for series in frame.series:
            state: dict[str, Any] = {"usual": [], "alarm": None, **memory.get(series.key, {})}
            for start_ms, count in zip(series.bucket_start_ms, series.values["count"], strict=True):
                assert isinstance(count, float)
                if start_ms < frame.fresh_from_ms:
                    continue
                if len(state["usual"]) < NEEDED:
                    state = state | {"usual": [*state["usual"], count]}
                    continue
                high = self.factor * max(state["usual"])
                state = state | {"alarm": count if count > high else None}
                if state["alarm"]:
                    found.append(_finding(series.key, start_ms, count, high))
            kept[series.key] = state
        return Detection(tuple(sorted(found, key=lambda one: one.at_ms)), kept)

    def progress(self, memory: Memory) -> Progress:
        seen = len(memory["usual"])
        stage = Stage.WARMING_UP if seen < NEEDED else Stage.ALARMED if memory["alarm"] else Stage.JUDGING
        return Progress(stage, seen, NEEDED, "buckets", 30.0)

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        return {"usual": [], "alarm": None, "rebased": [*memory.get("rebased", []), at_ms]}

    def accept(self, memory: Memory) -> Memory:
        if not memory["alarm"]:
            return memory
        return dict(memory) | {"usual": [*memory["usual"], memory["alarm"]], "alarm": None}


def _finding(key: Key, start_ms: int, count: float, high: float) -> Finding:
    return Finding(
        key=key,
        at_ms=start_ms + MINUTE_MS,
        since_ms=start_ms,
        reason=Reason.TOO_MANY_EVENTS,
        observed=count,
        expected=Expected(high=high),
        unit="events",
        score=count / high,
        evidence=Evidence(Interval(start_ms, start_ms + MINUTE_MS)),
        chance_days=30.0,
    )
