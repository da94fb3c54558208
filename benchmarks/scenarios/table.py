"""The kinds of incidents as a Markdown table: what stands in benchmarks/README.md."""

from collections.abc import Sequence
from typing import Any

from benchmarks.scenarios.judge import Verdict, by_kind

_HEAD = (
    "| kind | caught | right / wrong alarms | delay, min | cause first | ElastAlert-style: caught | right / wrong |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)


def table(ours: Sequence[Verdict], theirs: Sequence[Verdict]) -> str:
    """One row a kind; ``–`` where nobody should be told, or nobody was."""
    others = by_kind(theirs)
    rows = [
        f"| {kind.replace('_', ' ')} | {_caught(one)} | {_alarms(one)} | {_delay(one)} | {_text(one['cause_first'])} "
        f"| {_caught(others[kind])} | {_alarms(others[kind])} |"
        for kind, one in by_kind(ours).items()
    ]
    return "\n".join((*_HEAD, *rows))


def _caught(one: dict[str, Any]) -> str:
    recall = one["recall"]
    return "–" if recall is None else f"{round(recall * one['scenarios'])} of {one['scenarios']}"


def _alarms(one: dict[str, Any]) -> str:
    return f"{one['alarms']['right']} / {one['alarms']['wrong']}"


def _delay(one: dict[str, Any]) -> str:
    delays = one["median_delay_min"].values()
    return f"{next(iter(delays)):.1f}" if delays else "–"


def _text(share: float | None) -> str:
    return "–" if share is None else f"{share:.2f}"
