"""Planned changes, and the baselines that start anew with them: pure.

A mark concerns the learning rules. Each applies it once, when it has judged everything up to the bucket in which the
change happened: that bucket is the first of the new baseline.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from detectors.base import Detector, Learner
from detectors.finding import Memory
from detectors.frame import Key
from rules.model import Rule

SHORTLY_MS = 3_600_000
"""An alert that begins within so long after a planned change may come from it: its messages say so."""
LEEWAY_MS = 120_000
"""When a change began is known to a bucket or two: an alert may seem to have begun so long before the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A planned change at event time ``at_ms``, written down at wall time ``recorded_ms``.

    ``rules`` names the rules whose baselines start anew; empty: those of every rule that learns.
    """

    id: str
    name: str
    at_ms: int
    recorded_ms: int
    rules: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, at_ms: int, recorded_ms: int, rules: tuple[str, ...] = ()) -> "Mark":
        """A mark with its name: the same change marked twice is one mark."""
        text = json.dumps([name, at_ms, sorted(rules)], ensure_ascii=True)
        digest = hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
        return cls(id=digest, name=name, at_ms=at_ms, recorded_ms=recorded_ms, rules=rules)

    def concerns(self, rule: Rule) -> bool:
        return isinstance(rule.detector, Learner) and (not self.rules or rule.id in self.rules)

    def due_ms(self, bucket_ms: int) -> int:
        """The watermark at which it is applied: the start of its bucket."""
        return self.at_ms // bucket_ms * bucket_ms if bucket_ms else self.at_ms


def rebased(detector: Detector, memory: Mapping[Key, Memory], marks: Iterable[Mark]) -> Mapping[Key, Memory]:
    """The memory of all series with the new baselines begun."""
    if isinstance(detector, Learner):
        for mark in marks:
            memory = {key: detector.rebase(one, mark.at_ms) for key, one in memory.items()}
    return memory


def preceding(marks: Iterable[Mark], began_ms: int) -> Mark | None:
    """The last planned change shortly before ``began_ms``, if there was one."""
    near = [mark for mark in marks if -LEEWAY_MS <= began_ms - mark.at_ms <= SHORTLY_MS]
    return max(near, key=lambda mark: (mark.at_ms, mark.id), default=None)
