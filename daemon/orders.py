"""What people tell a daemon: a planned change, that an alert was normal, that a dead letter is to be sent again.

The same functions act through the running daemon's socket and, when none runs, on its files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.baseline import Mark
from daemon.cycle import Cycle
from daemon.errors import BadRequest
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.ledger.outbox import Outbox
from detectors.base import Learner
from detectors.duration import format_duration
from recognizer.paths import visible
from rules.model import Config

VERBS = ("mark", "expected", "retry")
NAME_CHARACTERS = 120
FARTHEST_AHEAD_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Orders:
    """Answers with plain JSON values. The caller sees to it that no turn goes on meanwhile."""

    config: Config
    ledger: Ledger
    cycle: Callable[[], Cycle]
    now_ms: Callable[[], int]

    def verbs(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        """By the name the socket knows them by."""
        return {
            "mark": lambda a: self.mark(a["name"], a["at_ms"], tuple(a["rules"])),
            "expected": lambda a: self.expected(a["alert"]),
            "retry": lambda a: self.retry(a["alert"]),
        }

    def mark(self, name: str, at_ms: int, rules: tuple[str, ...]) -> dict[str, Any]:
        """Write a planned change down: the learning rules start new baselines at event time ``at_ms``."""
        now_ms = self.now_ms()
        shown = visible(" ".join(name.split()), NAME_CHARACTERS)
        if not shown:
            raise BadRequest("a change needs a name", hint='for example: wumu mark "model v2"')
        if not now_ms - self.config.retention_ms <= at_ms <= now_ms + FARTHEST_AHEAD_MS:
            past = format_duration(self.config.retention_ms)
            raise BadRequest("that time is too far away", hint=f"at most {past} (the retention) ago, or a year ahead")
        self._learning(rules)
        mark = Mark.of(shown, at_ms, now_ms, rules)
        new = Marks(self.ledger).add(mark)
        concerned = [rule.id for rule in self.config.rules if mark.concerns(rule)]
        return {"id": mark.id, "name": mark.name, "at_ms": mark.at_ms, "rules": concerned, "new": new}

    def expected(self, alert: str) -> dict[str, Any]:
        """The alert was normal: it ends, and its rule takes what it showed for usual from now on."""
        return self.cycle().accept(alert)

    def retry(self, alert: str | None) -> list[dict[str, Any]]:
        """Queue dead letters again, all or those about one alert; which ones."""
        outbox = Outbox(self.ledger)
        letters = [one for one in outbox.dead_letters() if alert is None or one["thread"].startswith(alert)]
        now_ms = self.now_ms()
        return [one for one in letters if outbox.revive(one["id"], now_ms)]

    def _learning(self, names: tuple[str, ...]) -> None:
        """Raises BadRequest unless all of these are rules that learn."""
        rules = {rule.id: rule for rule in self.config.rules}
        learning = [name for name, rule in rules.items() if isinstance(rule.detector, Learner)]
        hint = f"the rules that learn are: {', '.join(learning)}" if learning else "no rule of alerts.yaml learns"
        for name in names:
            if name not in rules:
                raise BadRequest(f"there is no rule {name}", hint=hint)
            if name not in learning:
                kind = rules[name].detector.kind
                raise BadRequest(f"rule {name} is of kind {kind}, which learns nothing: it has no baseline", hint=hint)
