"""The ledger's planned changes."""

import json
from collections.abc import Mapping

from daemon.baseline import Mark
from daemon.ledger.ledger import Ledger


class Marks:
    """What was marked, and which rules have applied it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, mark: Mark) -> bool:
        """Write a mark down; false where it is there already."""
        with self._ledger.transaction() as db:
            return bool(
                db.execute(
                    "INSERT OR IGNORE INTO marks (id, name, at_ms, recorded_ms, rules) VALUES (?, ?, ?, ?, ?)",
                    (mark.id, mark.name, mark.at_ms, mark.recorded_ms, json.dumps(mark.rules)),
                ).rowcount
            )

    def all(self) -> tuple[Mark, ...]:
        """Every mark that is kept, in the order of the changes."""
        rows = self._ledger.rows("SELECT id, name, at_ms, recorded_ms, rules FROM marks ORDER BY at_ms, id")
        return tuple(
            Mark(id=mark_id, name=name, at_ms=at_ms, recorded_ms=recorded_ms, rules=tuple(json.loads(rules)))
            for mark_id, name, at_ms, recorded_ms, rules in rows
        )

    def applied(self) -> Mapping[str, Mapping[str, int]]:
        """By mark: the rules whose baselines started anew with it, and when that was (wall time)."""
        found: dict[str, dict[str, int]] = {}
        rows = self._ledger.rows("SELECT mark_id, rule_id, applied_ms FROM baselines ORDER BY rule_id")
        for mark_id, rule_id, applied_ms in rows:
            found.setdefault(mark_id, {})[rule_id] = applied_ms
        return found
