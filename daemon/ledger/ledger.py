"""The ledger: a SQLite file with the alerts, the detectors' memory, the outbox and the records of what was done.

One transaction a tick (`Ledger.commit`), synchronous=FULL: what a mail tells is on the disk before it is sent.
Other processes may read the file while the daemon runs (`Ledger.read_only`).
"""

import json
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from daemon.alerts.model import Alert, State
from daemon.errors import LedgerError
from daemon.evaluate import RuleState
from daemon.ledger import codec
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.schema import LAST_TABLE, TABLES, VERSION
from daemon.notify.channel import Message
from daemon.notify.decide import Told
from daemon.watch import Trouble, Word
from recognizer.paths import visible

LOG = logging.getLogger("wumu.ledger")

EVALUATIONS_KEPT = 200
"""Evaluation records kept of each rule."""


class Ledger:
    """Open with `Ledger.open` (the daemon) or `Ledger.read_only` (everyone else). Safe for several threads."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for writing and create what is missing. Raises LedgerError."""
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(TABLES)
            found = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
            if found and int(found[0]) > VERSION:
                raise LedgerError(
                    f"{path} was written by a newer wumu (ledger version {found[0]}, this one knows {VERSION})",
                    hint="install that version again, or start with another --state folder",
                )
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (str(VERSION),))
            return cls(connection, path)

    @classmethod
    def read_only(cls, path: Path) -> Self:
        """Open to look at it, also while the daemon writes. Raises LedgerError."""
        if not path.exists():
            raise LedgerError(
                f"there is no ledger at {path}",
                hint="start the daemon first: wumu run; or name its state folder with --state or WUMU_STATE",
            )
        with _explained(path):
            uri = f"{path.resolve().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=10)
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (LAST_TABLE,)).fetchone():
                connection.close()
                raise LedgerError(
                    f"the ledger at {path} is being made right now, or an older wumu made it",
                    hint="start the daemon once, it brings the ledger up to date: wumu run",
                )
            return cls(connection, path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # What the daemon keeps between ticks

    def states(self) -> dict[str, tuple[RuleState, str]]:
        """Every rule's state, with the name of the detector its memory belongs to.

        A memory that can't be read is left out, and the log says so: its series learns anew, all others go on.
        """
        memories: dict[str, dict[Any, Any]] = {}
        damaged: Counter[str] = Counter()
        for rule_id, key, value in self.rows("SELECT rule_id, key, value FROM memory"):
            try:
                memories.setdefault(rule_id, {})[codec.load_key(key)] = codec.load_memory(value)
            except (TypeError, ValueError):
                damaged[rule_id] += 1
        for rule_id, count in damaged.items():
            LOG.warning("rule %s: what was learned of %d series is damaged: they start to learn anew", rule_id, count)
        alerts: dict[str, dict[Any, Alert]] = {}
        for alert in self.alerts(active=True, limit=-1):
            alerts.setdefault(alert.rule_id, {})[alert.key] = alert
        marks: dict[str, set[str]] = {}
        for rule_id, mark_id in self.rows("SELECT rule_id, mark_id FROM baselines"):
            marks.setdefault(rule_id, set()).add(mark_id)
        known = {rule_id: (until, name) for rule_id, until, name in self.rows("SELECT * FROM rules")}
        states = {}
        for rule_id in {*known, *alerts}:
            until, name = known.get(rule_id, (None, ""))
            applied = frozenset(marks.get(rule_id, ()))
            state = RuleState(until, memories.get(rule_id, {}), alerts.get(rule_id, {}), applied)
            states[rule_id] = (state, name)
        return states

    def told(self) -> dict[str, Told]:
        """What was said about the alerts that have not ended, by alert id."""
        rows = self.rows("SELECT id, told, told_ms FROM alerts WHERE state != 'resolved' AND told > 0")
        return {alert_id: Told(count, last_ms) for alert_id, count, last_ms in rows}

    def heard(self, alert_id: str) -> tuple[str, ...]:
        """The channels that were told of an alert."""
        query = "SELECT DISTINCT channel FROM outbox WHERE thread = ? ORDER BY channel"
        return tuple(channel for (channel,) in self.rows(query, alert_id))

    def commit(self, commit: Commit) -> None:
        """Make a tick's changes durable, all or none. Raises LedgerError."""
        with self.transaction() as db:
            for change in commit.rules:
                _write_rule(db, change, commit.now_ms)
            for rule_id in commit.removed:
                for table in ("rules", "memory", "baselines"):
                    db.execute(f"DELETE FROM {table} WHERE rule_id = ?", (rule_id,))  # noqa: S608
            db.executemany(
                "INSERT INTO alerts (id, rule_id, key, state, active_at_ms, body) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body",
                [
                    (a.id, a.rule_id, codec.dump_key(a.key), a.state, a.active_at_ms, codec.dump_alert(a))
                    for a in commit.alerts
                ],
            )
            db.executemany(
                "INSERT INTO transitions (alert_id, before, after, at_ms, cause, recorded_ms, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (t.alert.id, t.before, t.alert.state, t.at_ms, t.cause, commit.now_ms, codec.dump_alert(t.alert))
                    for t in commit.transitions
                ],
            )
            db.executemany(
                "UPDATE alerts SET told = ?, told_ms = ? WHERE id = ?",
                [(told.count, told.last_ms, alert_id) for alert_id, told in commit.told.items()],
            )
            _write_messages(db, commit.messages, commit.now_ms)
            _write_evaluations(db, commit)

    def heard_of_open(self) -> dict[str, int]:
        """Of how many alerts that have not ended each channel was told."""
        query = (
            "SELECT channel, count(DISTINCT thread) FROM outbox JOIN alerts ON alerts.id = thread"
            " WHERE alerts.state != 'resolved' GROUP BY channel ORDER BY channel"
        )
        return dict(self.rows(query))

    def troubles(self) -> list[Word]:
        """The troubles of wumu itself that were told and whose end was not."""
        rows = self.rows("SELECT trouble, name, since_ms, detail FROM troubles ORDER BY since_ms, trouble, name")
        return [
            Word(trouble=Trouble(trouble), name=name, detail=detail, since_ms=since_ms, over=False)
            for trouble, name, since_ms, detail in rows
        ]

    def say(self, word: Word, messages: Sequence[tuple[str, Message]], now_ms: int) -> None:
        """Put what is told of a trouble into the outbox and keep that it is told, both or neither."""
        with self.transaction() as db:
            if word.over:
                db.execute("DELETE FROM troubles WHERE trouble = ? AND name = ?", (word.trouble, word.name))
            else:
                row = (word.trouble, word.name, word.since_ms, visible(word.detail))
                db.execute("INSERT OR REPLACE INTO troubles VALUES (?, ?, ?, ?)", row)
            _write_messages(db, messages, now_ms)

    def post(self, channel: str, message: Message, now_ms: int) -> None:
        """Put one message into the outbox that belongs to no alert and no trouble, such as a drill."""
        with self.transaction() as db:
            _write_messages(db, ((channel, message),), now_ms)

    def prune(self, before_ms: int) -> None:
        """Forget what ended before that time."""
        with self.transaction() as db:
            db.execute(
                "DELETE FROM alerts WHERE state = 'resolved' AND id IN"
                " (SELECT alert_id FROM transitions WHERE after = 'resolved' AND recorded_ms < ?)",
                (before_ms,),
            )
            db.execute("DELETE FROM transitions WHERE recorded_ms < ?", (before_ms,))
            db.execute("DELETE FROM deliveries WHERE at_ms < ?", (before_ms,))
            db.execute(  # whom an alert was told to is known until it ended
                "DELETE FROM outbox WHERE state != 'pending' AND ended_ms < ?"
                " AND thread NOT IN (SELECT id FROM alerts WHERE state != 'resolved')",
                (before_ms,),
            )
            db.execute("DELETE FROM evaluations WHERE at_ms < ?", (before_ms,))
            db.execute("DELETE FROM marks WHERE max(at_ms, recorded_ms) < ?", (before_ms,))
            db.execute("DELETE FROM baselines WHERE mark_id NOT IN (SELECT id FROM marks)")

    # What people look at

    def alerts(self, *, active: bool = False, limit: int = 10_000) -> list[Alert]:
        """Alerts, newest first, at most ``limit``; -1: all."""
        where = "WHERE state != 'resolved'" if active else ""
        rows = self.rows(f"SELECT body FROM alerts {where} ORDER BY active_at_ms DESC LIMIT ?", limit)  # noqa: S608
        return [codec.load_alert(body) for (body,) in rows]

    def evaluations(self, rule_id: str, limit: int) -> list[dict[str, Any]]:
        """The last turns of a rule, newest first."""
        query = "SELECT body FROM evaluations WHERE rule_id = ? ORDER BY seq DESC LIMIT ?"
        return [json.loads(body) for (body,) in self.rows(query, rule_id, limit)]

    def transitions(self, alert_id: str) -> list[dict[str, Any]]:
        """How an alert's state changed, oldest first."""
        query = "SELECT before, after, at_ms, cause, recorded_ms FROM transitions WHERE alert_id = ? ORDER BY seq"
        names = ("before", "after", "at_ms", "cause", "recorded_ms")
        return [dict(zip(names, row, strict=True)) for row in self.rows(query, alert_id)]

    def messages(self, thread: str | None = None, limit: int = 1_000) -> list[dict[str, Any]]:
        """Outbox rows, oldest first: what was or will be sent about an alert, or at all."""
        names = (
            "id",
            "channel",
            "thread",
            "state",
            "attempts",
            "created_ms",
            "next_ms",
            "ended_ms",
            "reason",
            "detail",
        )
        where, arguments = ("WHERE thread = ?", (thread,)) if thread else ("", ())
        query = f"SELECT {', '.join(names)} FROM outbox {where} ORDER BY seq LIMIT ?"  # noqa: S608
        return [dict(zip(names, row, strict=True)) for row in self.rows(query, *arguments, limit)]

    def counts(self) -> dict[State, int]:
        """How many alerts are in each state."""
        rows = self.rows("SELECT state, count(*) FROM alerts GROUP BY state")
        return {State(state): count for state, count in rows}

    # Plumbing

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a read finds, also for the other parts of the ledger. Raises LedgerError."""
        with self._lock, _explained(self._path), closing(self._connection.execute(query, arguments)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, also for the other parts of the ledger. Raises LedgerError."""
        with self._lock, _explained(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's faults as one line with a way out."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        text = str(fault)
        hint = "see whether the state folder can be written and has room: df -h; ls -ld"
        if "malformed" in text or "not a database" in text:
            hint = f"set the file aside (mv {path} {path}.broken) and start again; alerts that still hold fire anew"
        raise LedgerError(f"the ledger {path} can't be used: {text}", hint=hint) from fault


def _write_rule(db: sqlite3.Connection, change: RuleChange, now_ms: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO rules VALUES (?, ?, ?)", (change.rule_id, change.judged_until_ms, change.detector)
    )
    db.executemany(
        "DELETE FROM memory WHERE rule_id = ? AND key = ?",
        [(change.rule_id, codec.dump_key(key)) for key in change.forgotten],
    )
    db.executemany(
        "INSERT OR REPLACE INTO memory VALUES (?, ?, ?)",
        [(change.rule_id, codec.dump_key(key), codec.dump_memory(value)) for key, value in change.remembered.items()],
    )
    db.executemany(
        "INSERT OR IGNORE INTO baselines VALUES (?, ?, ?)",
        [(change.rule_id, mark_id, now_ms) for mark_id in change.marks],
    )


def _write_messages(db: sqlite3.Connection, messages: Sequence[tuple[str, Message]], now_ms: int) -> None:
    """A message that is already there keeps its state: the same decision taken twice is one message."""
    db.executemany(
        "INSERT INTO outbox (id, channel, thread, state, created_ms, next_ms, body)"
        " VALUES (?, ?, ?, 'pending', ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        [(m.id, channel, m.thread, now_ms, now_ms, codec.dump_message(m)) for channel, m in messages],
    )


def _write_evaluations(db: sqlite3.Connection, commit: Commit) -> None:
    for evaluation in commit.evaluations:
        db.execute(
            "INSERT INTO evaluations (rule_id, at_ms, body) VALUES (?, ?, ?)",
            (evaluation.rule_id, evaluation.at_ms, codec.dump_evaluation(evaluation)),
        )
        db.execute(
            "DELETE FROM evaluations WHERE rule_id = ?1 AND seq <="
            " (SELECT seq FROM evaluations WHERE rule_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (evaluation.rule_id, EVALUATIONS_KEPT),
        )
