"""What people tell a daemon: a planned change, that an alert was normal, that a dead letter is to be tried again.

The same functions act through the running daemon's socket and, when none runs, on its files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.baseline import Mark
from daemon.cycle import Cycle
from daemon.errors import BadRequest
from daemon.ingest.quarantine import Misfit, Quarantine
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.ledger.outbox import Outbox
from daemon.ledger.replayed import Replayed
from daemon.letters import QUARANTINE, letters, revived
from daemon.store.base import Batch, EventStore
from detectors.base import Learner
from detectors.duration import format_duration
from recognizer.events import Malformed
from recognizer.paths import visible
from rules.model import Config

VERBS = ("mark", "expected", "retry", "replay")
NAME_CHARACTERS = 120
FARTHEST_AHEAD_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Orders:
    """Answers with plain JSON values. The caller sees to it that no turn goes on meanwhile."""

    config: Config
    ledger: Ledger
    cycle: Callable[[], Cycle]
    now_ms: Callable[[], int]
    store: Callable[[], EventStore]
    state_dir: Path

    def verbs(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        """By the name the socket knows them by."""
        return {
            "mark": lambda a: self.mark(a["name"], a["at_ms"], tuple(a["rules"])),
            "expected": lambda a: self.expected(a["alert"]),
            "retry": lambda a: self.retry(a["alert"]),
            "replay": lambda a: self.replay(a["letters"]),
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

    def replay(self, wanted: Mapping[str, str | None]) -> dict[str, Any]:
        """Store the events of dead letters of the logs after all: by the letter's id the mended line, None as it was.

        Answers with the ids that are ``stored``, were stored ``before``, and with the ``failed`` ones and why. May be
        told again at any time: what is stored already is not stored twice.
        """
        now_ms, marks = self.now_ms(), Replayed(self.ledger)
        times_ms = marks.times_ms()
        found = {letter.id: letter for letter in letters(self.state_dir) if letter.id in wanted}
        for letter_id in wanted.keys() - found.keys():
            raise BadRequest(f"there is no dead letter {letter_id}", hint="wumu dead-letters list")
        before = [one for one in found if not found[one].is_open(times_ms.get(one))]
        tried = {
            one: revived(found[one], wanted[one], self.config.ingest, now_ms) for one in found if one not in before
        }
        failed = {one: result for one, result in tried.items() if isinstance(result, Malformed)}
        good = {one: result for one, result in tried.items() if not isinstance(result, Malformed)}
        if good:
            events, lines = zip(*good.values(), strict=True)
            refused = {each.line: each for each in self.store().append(Batch(events, lines)).refused}
            failed |= {one: refused.pop(line) for one, (_, line) in good.items() if line in refused}
            self._put_aside(refused.values(), now_ms)
            marks.add([one for one in good if one not in failed], now_ms)
        return {
            "stored": [one for one in good if one not in failed],
            "before": before,
            "failed": [
                {"id": one, "reason": why.reason, "detail": why.detail, "hint": why.hint} for one, why in failed.items()
            ],
        }

    def _put_aside(self, lines: Iterable[Malformed], now_ms: int) -> None:
        """What the store says with a delay about events of earlier batches must not get lost with our answer."""
        misfits = [Misfit("(an earlier batch)", "", 0, each, len(each.line)) for each in lines]
        Quarantine(self.state_dir / QUARANTINE).put(misfits, now_ms)

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
