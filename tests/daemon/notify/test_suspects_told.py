"""How a message names two values that only together are bad."""

from typing import Any

import pytest

from daemon.notify.channel import Notice, Occasion
from daemon.notify.render import render
from detectors.suspects import Suspect
from rules.model import Language, Severity
from tests.support.findings import finding, firing, rule

AT_MS = 1_795_372_621_000


def told(language: Language, **more: Any) -> Any:
    """The message about an alert whose bad events are grey pictures on one host, unless ``more`` says otherwise."""
    counts = {"bad": 18, "bad_total": 20, "base": 2, "base_total": 100, "lift": 45.0, "significance": 1e-9}
    pair: dict[str, Any] = {"field": "host", "value": "gpu\u200b-2", "also": ("channels", "1")}
    suspect = Suspect(**{**pair, **counts, **more})
    alert = firing(finding(AT_MS), Severity.CRITICAL)
    notice = Notice(
        alert=alert,
        rule=rule(None),
        occasion=Occasion.FIRING,
        decided_at_ms=AT_MS,
        samples=(),
        suspects=(suspect,),
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


@pytest.mark.parametrize(
    ("language", "says"),
    [
        (Language.EN, "90% of the events since the change have channels = 1, against 2% before it"),
        (Language.ZH, "变化发生后 90% 的事件 channels = 1，之前为 2%"),
    ],
)
def test_what_is_new_is_compared_with_the_time_before(language: Language, says: str) -> None:
    message = told(language, field="channels", value="1", also=None, arrived=True)
    assert says in message.text
    assert message.data["suspects"][0]["arrived"] is True
