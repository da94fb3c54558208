"""How a message names two values that only together are bad."""

from typing import Any

import pytest

from daemon.alerts.model import Alert, State
from daemon.notify.channel import Notice, Occasion
from daemon.notify.render import render
from detectors.suspects import Suspect
from rules.model import Language, Severity
from tests.support.findings import finding, rule

AT_MS = 1_795_372_621_000


def told(language: Language) -> Any:
    """The message about an alert whose bad events are grey pictures on one host."""
    found = finding(AT_MS)
    alert = Alert(
        id="alert-1",
        rule_id="a-rule",
        key=found.key,
        state=State.FIRING,
        severity=Severity.CRITICAL,
        active_at_ms=AT_MS,
        last_seen_ms=AT_MS,
        finding=found,
        peak=found,
    )
    counts = {"bad": 18, "bad_total": 20, "base": 2, "base_total": 100, "lift": 45.0, "significance": 1e-9}
    suspect = Suspect(field="host", value="gpu\u200b-2", also=("channels", "1"), **counts)  # type: ignore[arg-type]
    notice = Notice(
        alert=alert, rule=rule(None), occasion=Occasion.FIRING, decided_at_ms=AT_MS, samples=(), suspects=(suspect,)
    )
    made = render(notice, channel="ops", language=language)
    assert made.failure is None
    return made.message


@pytest.mark.parametrize(
    ("language", "says"),
    [
        (
            Language.EN,
            "90% of the bad events have host = gpu‹U+200B›-2 and channels = 1, against 2% of the baseline",
        ),
        (Language.ZH, "90% 的坏事件 host = gpu‹U+200B›-2 且 channels = 1，对照事件中为 2%"),
    ],
)
def test_both_values_are_told_in_one_line(language: Language, says: str) -> None:
    message = told(language)
    assert says in message.text
    (suspect,) = message.data["suspects"]
    assert suspect["also"] == {"field": "channels", "value": "1"}
