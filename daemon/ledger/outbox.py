"""The outbox: the durable queue between a decision and its delivery (`daemon.notify.outbox.OutboxRows`)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from daemon.errors import DeliveryReason
from daemon.ledger import codec
from daemon.ledger.ledger import Ledger
from daemon.notify.outbox import OutboxRow

_DUE = """
SELECT id, channel, body, attempts, first_try_ms, delivered FROM (
    SELECT *, row_number() OVER (PARTITION BY channel ORDER BY seq) AS place
    FROM outbox AS mine
    WHERE state = 'pending' AND (next_ms <= ?1 OR ?2 < coalesce(
        (SELECT at_ms FROM deliveries WHERE message_id = mine.id ORDER BY seq DESC LIMIT 1), created_ms
    )) AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier
        WHERE earlier.channel = mine.channel AND earlier.thread = mine.thread
          AND earlier.seq < mine.seq AND earlier.state = 'pending'
    )
) WHERE place <= ?3 ORDER BY seq
"""

STEP_MS = 60_000
"""What was tried, or made, later than so long after now was so by a clock that has been set back: it is due."""


class Outbox:
    """The ledger's outbox table as the sender sees it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def due(self, now_ms: int, limit: int) -> Sequence[OutboxRow]:
        return [
            OutboxRow(
                id=row_id,
                channel=channel,
                message=replace(codec.load_message(body), delivered=tuple(json.loads(delivered))),
                attempts=attempts,
                first_try_ms=first_try_ms,
            )
            for row_id, channel, body, attempts, first_try_ms, delivered in self._ledger.rows(
                _DUE, now_ms, now_ms + STEP_MS, limit
            )
        ]

    def delivered(self, row_id: str, now_ms: int, detail: str) -> None:
        self._end(row_id, "delivered", now_ms, "", detail, ())

    def dead(
        self, row_id: str, now_ms: int, reason: DeliveryReason, detail: str, delivered_recipients: tuple[str, ...]
    ) -> None:
        self._end(row_id, "dead", now_ms, reason, detail, delivered_recipients)

    def retry(
        self,
        row_id: str,
        now_ms: int,
        next_ms: int,
        reason: DeliveryReason,
        detail: str,
        delivered_recipients: tuple[str, ...],
    ) -> None:
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE outbox SET attempts = attempts + 1, first_try_ms = coalesce(first_try_ms, ?), next_ms = ?,"
                " reason = ?, detail = ?, delivered = ? WHERE id = ?",
                (now_ms, next_ms, reason, detail, self._reached(row_id, delivered_recipients), row_id),
            )
            db.execute(_LOG, ("retried", now_ms, reason, detail, row_id))

    def undelivered(self) -> tuple[int, int | None]:
        """How many messages wait, and since when the oldest does (wall time)."""
        ((count, oldest_ms),) = self._ledger.rows(
            "SELECT count(*), min(created_ms) FROM outbox WHERE state = 'pending'"
        )
        return count, oldest_ms

    def dead_letters(self) -> list[dict[str, Any]]:
        """The messages that were given up, oldest first: what they are about, and why they did not arrive."""
        names = ("id", "channel", "thread", "subject", "attempts", "created_ms", "ended_ms", "reason", "detail")
        rows = self._ledger.rows(
            "SELECT id, channel, thread, body ->> 'subject', attempts, created_ms, ended_ms, reason, detail"
            " FROM outbox WHERE state = 'dead' ORDER BY seq"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def last_lost(self) -> list[tuple[str, str, str, int]]:
        """Of each channel whose last message was given up: its name, the message, why, and when."""
        rows = self._ledger.rows(
            "SELECT channel, id, detail, max(ended_ms), state FROM outbox WHERE state != 'pending' GROUP BY channel"
        )
        return [(channel, row_id, detail, at_ms) for channel, row_id, detail, at_ms, state in rows if state == "dead"]

    def revive(self, row_id: str, now_ms: int) -> bool:
        """Queue a dead letter again; whether there was one of that name."""
        with self._ledger.transaction() as db:
            return bool(
                db.execute(
                    "UPDATE outbox SET state = 'pending', attempts = 0, first_try_ms = NULL, ended_ms = NULL,"
                    " next_ms = ? WHERE id = ? AND state = 'dead'",
                    (now_ms, row_id),
                ).rowcount
            )

    def _end(self, row_id: str, state: str, now_ms: int, reason: str, detail: str, recipients: tuple[str, ...]) -> None:
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE outbox SET state = ?, attempts = attempts + 1, ended_ms = ?, reason = ?, detail = ?,"
                " delivered = ? WHERE id = ?",
                (state, now_ms, reason, detail, self._reached(row_id, recipients), row_id),
            )
            db.execute(_LOG, (state, now_ms, reason, detail, row_id))

    def _reached(self, row_id: str, recipients: tuple[str, ...]) -> str:
        """The recipients that have it, those of earlier attempts included."""
        ((known,),) = self._ledger.rows("SELECT delivered FROM outbox WHERE id = ?", row_id)
        return json.dumps(sorted({*json.loads(known), *recipients}))


_LOG = (
    "INSERT INTO deliveries (message_id, channel, outcome, at_ms, reason, detail)"
    " SELECT id, channel, ?, ?, ?, ? FROM outbox WHERE id = ?"
)
