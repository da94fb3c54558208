"""The ledger's record of the dead letters of the logs that were stored after all."""

from collections.abc import Iterable, Mapping

from daemon.ledger.ledger import Ledger


class Replayed:
    """Which letters were replayed, and when."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def times_ms(self) -> Mapping[str, int]:
        """By the letter's id: when its event was stored, wall time."""
        return dict(self._ledger.rows("SELECT letter_id, at_ms FROM replayed"))

    def add(self, letter_ids: Iterable[str], at_ms: int) -> None:
        """Write down that the events of these letters are stored."""
        with self._ledger.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO replayed VALUES (?, ?)", [(one, at_ms) for one in letter_ids])

    def forget(self, before_ms: int) -> None:
        """Drop what was replayed before that time: the letters themselves must be gone, or they would be open again."""
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM replayed WHERE at_ms < ?", (before_ms,))
