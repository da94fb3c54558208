"""From surprises to alarms that people can bear: silence after an alarm, and a budget.

An incident is told once: after an alarm nothing is said for a fifth of a warm-up. And each alarm makes the next one a
little harder, so that a series that is always odd does not fill the mailbox.
"""

from typing import Final

THRESHOLD: Final = 1.4
"""The surprise at which an alarm begins: about one value in 25 on every time scale at once."""

_SILENCE = 0.2
_PRICE = 0.03
_MOST_ALARMS = 40


class Gate:
    """The alarm score of one series: its surprise where an alarm is possible, less the price of earlier alarms."""

    __slots__ = ("_alarms", "_quiet", "_silence")

    def __init__(self, warm_up: int) -> None:
        self._silence = int(_SILENCE * warm_up)
        self._quiet = 0
        self._alarms = 0

    def alarm(self, surprise: float) -> float:
        """At least `THRESHOLD` when an alarm begins; 0 during the silence after one."""
        if self._quiet:
            self._quiet -= 1
            return 0.0
        score = max(surprise - _PRICE * min(self._alarms, _MOST_ALARMS), 0.0)
        if score >= THRESHOLD:
            self._quiet = self._silence
            self._alarms += 1
        return score
