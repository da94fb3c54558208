"""Whether to tell a human, and why: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.alerts.model import Alert, State, Transition
from daemon.notify.channel import Occasion
from rules.model import Policy


@dataclass(frozen=True, slots=True)
class Told:
    """What was already decided to be said about an alert: how many times, and when last (wall time)."""

    count: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Telling:
    """One thing to say. ``sequence`` counts what was said about the alert before and makes the message's name."""

    occasion: Occasion
    alert: Alert
    sequence: int


def decide(
    transitions: Sequence[Transition],
    active: Sequence[Alert],
    told: Mapping[str, Told],
    policy: Policy,
    now_ms: int,
) -> tuple[Telling, ...]:
    """What is to be told after one evaluation, in the order in which it happened.

    - an alert that began to fire: ``firing``
    - an alert that ended after it had been told: ``resolved``
    - an alert that still fires ``repeat_every`` after it was last told: ``repeat``

    A pending alert and the end of an alert nobody heard of are not worth a message.
    """
    said = dict(told)
    result: list[Telling] = []

    def tell(occasion: Occasion, alert: Alert) -> None:
        count = said[alert.id].count if alert.id in said else 0
        result.append(Telling(occasion, alert, count))
        said[alert.id] = Told(count + 1, now_ms)

    for transition in transitions:
        if transition.alert.state is State.FIRING:
            tell(Occasion.FIRING, transition.alert)
        elif transition.alert.state is State.RESOLVED and transition.alert.id in said:
            tell(Occasion.RESOLVED, transition.alert)
    for alert in active:
        last = said.get(alert.id)
        due = last is not None and policy.repeat_every_ms > 0 and now_ms - last.last_ms >= policy.repeat_every_ms
        if alert.state is State.FIRING and due:
            tell(Occasion.REPEAT, alert)
    return tuple(result)
