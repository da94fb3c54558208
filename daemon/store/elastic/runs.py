"""Run summaries, from the first and last times of each outcome or, where these do not tell, from the events. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from detectors.frame import Run, RunSummary


@dataclass(frozen=True, slots=True)
class Span:
    """How often one outcome occurs in a bucket, and its first and last time. ``value`` None: the successes."""

    value: str | None
    count: int
    first_ms: int
    last_ms: int

    def run(self) -> Run | None:
        """The span as one run, given that it is one."""
        return None if self.value is None else Run(self.value, self.count, self.first_ms, self.last_ms)


def from_spans(spans: Sequence[Span], at_least: int) -> RunSummary | None:
    """The summary of a bucket, or None when the spans leave it open.

    An outcome is one run when it occurs once or when no other outcome's span touches its own. The run a bucket
    begins (ends) with is known when one outcome alone has the first (last) event. Outcomes too rare to reach
    ``at_least`` need not be known between these two.
    """
    if len(spans) == 1:
        run = spans[0].run()
        return RunSummary(run, run, whole=run is not None)
    opening = _only([span for span in spans if span.first_ms == min(each.first_ms for each in spans)])
    closing = _only([span for span in spans if span.last_ms == max(each.last_ms for each in spans)])
    if opening is None or closing is None:
        return None
    between = [span for span in spans if span not in (opening, closing) and span.count >= at_least]
    for span in (opening, closing, *between):
        if span.value is not None and not _is_one_run(span, spans):
            return None
    inner = sorted(
        (run for span in between if (run := span.run()) is not None), key=lambda run: (run.start_ms, run.end_ms)
    )
    return RunSummary(opening.run(), closing.run(), tuple(inner))


def from_outcomes(outcomes: Iterable[tuple[str | None, int]], at_least: int) -> RunSummary:
    """The summary of a bucket's (outcome, time) pairs, in order; there is at least one."""
    runs: list[Run | None] = []
    for value, group in groupby(outcomes, key=lambda outcome: outcome[0]):
        times = [time_ms for _, time_ms in group]
        runs.append(None if value is None else Run(value, len(times), times[0], times[-1]))
    inner = tuple(run for run in runs[1:-1] if run is not None and run.length >= at_least)
    return RunSummary(runs[0], runs[-1], inner, whole=len(runs) == 1 and runs[0] is not None)


def _only(spans: Sequence[Span]) -> Span | None:
    return spans[0] if len(spans) == 1 else None


def _is_one_run(span: Span, spans: Sequence[Span]) -> bool:
    if span.count == 1:
        return True
    return all(other is span or other.last_ms < span.first_ms or other.first_ms > span.last_ms for other in spans)
