"""Tell a story of events second by second, let one detector look at it now and then, see what it finds."""

import itertools
from collections.abc import Iterable

from daemon.evaluate import RuleState, due
from daemon.store.base import Batch, Sample
from daemon.store.reference import ReferenceStore
from detectors.base import Detector
from detectors.finding import Finding
from recognizer.events import Event
from rules.model import Rule

T0_MS = 1_700_006_400_000
"""A full hour, from which the seconds of a story count."""


class Story:
    """One detector over a real store, with the watermark and the memory that the daemon would keep."""

    def __init__(self, detector: Detector, *, begins_s: float = 0) -> None:
        self.rule = Rule(id="story", detector=detector, every_ms=5_000)
        self.state = RuleState(judged_until_ms=T0_MS + round(begins_s * 1_000))
        self.store = ReferenceStore()
        self._ids = itertools.count()

    def happens(self, at_s: float | Iterable[float], event_type: str, **fields: object) -> None:
        """One event at each of these seconds."""
        times = [at_s] if isinstance(at_s, (int, float)) else at_s
        values = {"host": "gpu-1", "model_name": "digits"} | fields
        events: list[Event] = []
        for s in times:
            base = {
                "timestamp": T0_MS + round(s * 1_000),
                "event_type": event_type,
                "event_id": f"{next(self._ids):09}",
            }
            events.append(Event(**(base | values)))  # type: ignore[arg-type]
        self.store.append(Batch(events, [b"{}"] * len(events)))

    def looks(self, at_s: float) -> tuple[Finding, ...]:
        """What the rule finds when its turn comes at that second."""
        turn = due(self.rule, self.state, T0_MS + round(at_s * 1_000), 86_400_000)
        if turn is None:
            return ()
        frame = self.store.ask([turn.ask])[0]
        detection = self.rule.detector.detect(frame, self.state.memory)
        self.state = RuleState(turn.until_ms, detection.memory)
        return detection.findings

    def looks_every(self, step_s: float, until_s: float) -> list[Finding]:
        """All that is found, looking again and again from the last look until then."""
        begin_s = ((self.state.judged_until_ms or T0_MS) - T0_MS) / 1_000
        count = round((until_s - begin_s) / step_s)
        return [one for number in range(1, count + 1) for one in self.looks(begin_s + number * step_s)]

    def evidence(self, finding: Finding, *, baseline: bool = False) -> int:
        """How many events the store holds as a finding's evidence."""
        proof = finding.evidence
        interval = (proof.compare_with or proof.interval) if baseline else proof.interval
        where = proof.baseline if baseline else proof.bad
        return len(self.store.sample([Sample(where, interval, limit=10_000)])[0])


def seconds(finding: Finding) -> tuple[float, float]:
    """Since when and until when, in seconds of the story."""
    return (finding.since_ms - T0_MS) / 1_000, (finding.at_ms - T0_MS) / 1_000
