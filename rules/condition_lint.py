"""Conditions that parse and still do not say what their author means."""

from collections.abc import Mapping

from detectors.condition import Compare, Condition, Wildcard, matches
from recognizer.paths import visible
from recognizer.reasons import EventType, InputReason
from rules.contradiction import leaves_of, never_true
from rules.fields import did_you_mean
from rules.problems import ProblemCode, Weight
from rules.report import Report
from rules.yaml_positions import Path

_CLOSED: Mapping[str, tuple[str, ...]] = {
    "event_type": tuple(word.value for word in EventType),
    **dict.fromkeys(
        ("reason", "path_issues", "image_issues", "tensor_issues", "event_issues"),
        tuple(word.value for word in InputReason),
    ),
}
"""Fields whose values the contract lists."""

_SHARES = frozenset({"top1_score", "top3_scores"})


def check_condition(report: Report, condition: Condition, path: Path, text: str) -> None:
    """Report what can never match in the condition that the KQL ``text`` at ``path`` stands for."""
    field = never_true(condition)
    if field is not None:
        report.add_inside(
            ProblemCode.NEVER_TRUE,
            f"no event can match: {field} can't be all of this at once",
            path,
            position=0,
            width=max(len(text.rstrip()), 1),
            hint="and wants both sides to hold; did you mean or?",
        )
    for leaf in leaves_of(condition):
        if isinstance(leaf, Compare) and not isinstance(leaf.value, str):
            _check_number(report, leaf.field, leaf.value, path, text)
        if isinstance(leaf, Compare | Wildcard) and leaf.field in _CLOSED:
            _check_word(report, leaf, path, text)


def _check_number(report: Report, field: str, value: float, path: Path, text: str) -> None:
    if field in _SHARES and not 0 <= value <= 1:
        message, hint = f"{field} lies between 0 and 1", "write a share, for example 0.3"
    elif field == "timestamp" and 10**8 <= value < 10**11:
        message, hint = "this is a time between 1970 and 1973", "timestamp counts milliseconds, not seconds"
    else:
        return
    at, width = _where_in(text, str(value))
    report.add_inside(
        ProblemCode.WRONG_VALUE, message, path, position=at, width=width, hint=hint, weight=Weight.WARNING
    )


def _check_word(report: Report, leaf: Compare | Wildcard, path: Path, text: str) -> None:
    words = _CLOSED[leaf.field]
    if any(matches(leaf, {leaf.field: word}) for word in words):
        return
    value = str(leaf.value) if isinstance(leaf, Compare) else leaf.pattern
    at, width = _where_in(text, value)
    report.add_inside(
        ProblemCode.NEVER_TRUE,
        f'{leaf.field} is never "{visible(value, 60)}"',
        path,
        position=at,
        width=width,
        hint=did_you_mean(value, words),
        weight=Weight.ERROR if leaf.field == "event_type" else Weight.WARNING,
    )


def _where_in(text: str, value: str) -> tuple[int, int]:
    """Position and width of a value in the text it was read from; all of the text where it is written otherwise."""
    at = text.find(value)
    return (at, len(value)) if at >= 0 and value else (0, max(len(text), 1))
