"""Where the proof of a finding lies, in the few shapes that the kinds share; and the order findings come in."""

from collections.abc import Iterable

from detectors.condition import Always, Compare, Condition, Not, Op, all_of
from detectors.finding import Evidence, Finding
from detectors.frame import Interval


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By time, then by key: the order in which they happened."""
    return tuple(sorted(findings, key=_order))


def _order(finding: Finding) -> tuple[int, list[tuple[bool, str]]]:
    return finding.at_ms, [(value is not None, value or "") for _, value in finding.key]


def against_the_rest(where: Condition, window: Interval) -> Evidence:
    """The events of ``where`` speak for it, all others are the baseline; without others, what came just before."""
    if isinstance(where, Always):
        return against_the_past(where, window)
    return Evidence(window, bad=where, baseline=Not(where))


def against_the_past(where: Condition, window: Interval) -> Evidence:
    """The events of the window against those of the stretch of the same length before it."""
    return Evidence(window, where, where, Interval(window.start_ms - window.length_ms, window.start_ms))


def beyond(where: Condition, field: str, bound: float, window: Interval, *, high: bool) -> Evidence:
    """The events whose ``field`` lies beyond ``bound`` against those where it does not."""
    bad, good = (Op.GT, Op.LE) if high else (Op.LT, Op.GE)
    return Evidence(
        window,
        bad=all_of(where, Compare(field, bad, bound)),
        baseline=all_of(where, Compare(field, good, bound)),
    )
