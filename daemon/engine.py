"""The parts that a configuration makes, at work: read logs, take turns, send. No schedule and no signals."""

import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from daemon.clock import Clock
from daemon.cycle import Cycle, Turn
from daemon.errors import LedgerError, StoreUnavailable
from daemon.ingest.ingest import Ingest
from daemon.ingest.quarantine import expire_quarantine
from daemon.ingest.report import IngestReport
from daemon.ledger.ledger import Ledger
from daemon.ledger.outbox import Outbox
from daemon.ledger.replayed import Replayed
from daemon.letters import QUARANTINE
from daemon.notify.announce import Announcer
from daemon.notify.outbox import Sender, SendReport
from daemon.notify.registry import make_channels
from daemon.store.base import EventStore
from daemon.watch import OF_A_CHANNEL, Trouble, Watch
from detectors.duration import DAY_MS
from rules.model import Config

LOG = logging.getLogger("wumu.engine")
BEHIND_LIMIT_MS = 300_000
"""Once the logs had been read to their end, judging waits for a new backlog at most this long."""


class Engine:
    """Made anew at a reload; the store and the ledger outlive it.

    Reading, judging and sending may each have a thread of their own, but no two threads may do the same.
    """

    def __init__(self, config: Config, store: EventStore, ledger: Ledger, state_dir: Path, clock: Clock) -> None:
        self.config = config
        self.watch = Watch.resumed(ledger.troubles())
        self._clock = clock
        self._store = store
        self._ledger = ledger
        self._state_dir = state_dir
        self._announcer = Announcer(config, store)
        self._outbox = Outbox(ledger)
        channels = make_channels(config.channels)
        self._ingest = Ingest(config.ingest, store, state_dir / QUARANTINE, clock) if config.ingest.enabled else None
        self._known_until_ms: int | None = None
        self._cycle = Cycle(config, store, ledger, self._announcer, clock)
        # only now: what could fail has not, and its threads have an owner
        self._sender = Sender(channels, self._outbox, clock=clock, random=random.Random())  # noqa: S311  # spreads load
        for letter in self._outbox.last_lost():  # also what was lost a moment before a kill is told
            self._undeliverable(*letter)
        self._end_troubles_of_what_is_gone()

    def renewed(self, config: Config) -> "Engine":
        """The engine of another configuration, which knows what this one knows; this one is to be closed then.

        Raises LedgerError; this one goes on then.
        """
        engine = Engine(config, self._store, self._ledger, self._state_dir, self._clock)
        if config.ingest == self.config.ingest:
            engine._known_until_ms = self._known_until_ms  # the same logs
        engine.watch = self.watch
        engine._end_troubles_of_what_is_gone()
        return engine

    def _end_troubles_of_what_is_gone(self) -> None:
        """Nobody will see a rule, a channel or logs in order that the configuration does not have."""
        there = {
            Trouble.RULE_FAILING: {rule.id for rule in self.config.rules},
            Trouble.INGEST_STALLED: {""} if self.config.ingest.enabled else set(),
            **{trouble: set(self.config.channels) for trouble in OF_A_CHANNEL},
        }
        for trouble, names in there.items():
            for name in set(self.watch.names(trouble)) - names:
                self.watch.seen(trouble, name, "", self._clock.now_ms())

    @property
    def cycle(self) -> Cycle:
        """The judging, for what people tell it between turns."""
        return self._cycle

    @property
    def undelivered(self) -> int:
        """Messages that wait in the outbox."""
        return self._outbox.undelivered()[0]

    @property
    def known_until_ms(self) -> int | None:
        """Up to when the events are in the store; None before the logs were first read to their end."""
        return self._clock.now_ms() if self._ingest is None else self._known_until_ms

    def ingest_counters(self) -> dict[str, Any] | None:
        """What was read since the start, as plain values."""
        return None if self._ingest is None else msgspec.to_builtins(self._ingest.counters())

    def read(self) -> IngestReport | None:
        """One bounded pass over the logs. None where other programs ship them."""
        if self._ingest is None:
            return None
        began_ms = self._clock.now_ms()
        report = self._ingest.poll()
        known = self._known_until_ms
        if not report.behind and report.trouble is None:
            self._known_until_ms = began_ms
        elif report.trouble is None and known is not None and began_ms - known > BEHIND_LIMIT_MS:
            LOG.warning("the logs grow faster than they are read (%d bytes behind); judging goes on", report.lag_bytes)
            self._known_until_ms = began_ms
        self.watch.seen(Trouble.INGEST_STALLED, "", report.trouble or "", began_ms)
        return report

    def turn(self) -> Turn:
        """Judge what is due. Raises StoreUnavailable or LedgerError; nothing is lost then."""
        known_until_ms, now_ms = self.known_until_ms, self._clock.now_ms()
        if known_until_ms is None:
            return Turn()
        try:
            turn = self._cycle.turn(known_until_ms)
        except StoreUnavailable as fault:
            self.watch.seen(Trouble.STORE_UNAVAILABLE, "", str(fault), now_ms)
            raise
        except LedgerError as fault:
            self.watch.seen(Trouble.LEDGER_UNAVAILABLE, "", str(fault), now_ms)
            raise
        for trouble in (Trouble.STORE_UNAVAILABLE, Trouble.LEDGER_UNAVAILABLE):
            self.watch.seen(trouble, "", "", now_ms)
        for evaluation in turn.evaluations:
            self.watch.seen(Trouble.RULE_FAILING, evaluation.rule_id, evaluation.error, now_ms)
        return turn

    def send(self) -> SendReport:
        """Post what is to be said about ourselves, then send what is due. Raises LedgerError."""
        now_ms = self._clock.now_ms()
        for word in self.watch.words(now_ms):
            self._ledger.say(word, self._announcer.about_us(word, now_ms), now_ms)
            self.watch.said(word)
            LOG.log(
                logging.INFO if word.over else logging.ERROR,
                "%s %s %s: %s",
                word.trouble,
                word.name,
                "is over" if word.over else "lasts",
                word.detail,
            )
        report = self._sender.send_due(now_ms)
        self._watch_channels(report, now_ms)
        return report

    def _watch_channels(self, report: SendReport, now_ms: int) -> None:
        """Whether messages arrive. A message for a channel that is gone is the configuration's doing, no trouble."""
        lost = Counter(letter.channel for letter in report.dead)
        for letter in report.dead:
            if letter.channel in self.config.channels:
                self._undeliverable(letter.channel, letter.row_id, letter.detail, now_ms)
        for name, why in report.failing.items():
            if name not in self.watch.names(Trouble.CHANNEL_FAILING):
                LOG.warning("a message to channel %s is put off and tried again: %s", name, why)
            self.watch.seen(Trouble.CHANNEL_FAILING, name, why, now_ms)
        for name in {*report.reached} - {*lost, *report.failing}:
            if name in self.watch.names(Trouble.CHANNEL_FAILING):
                LOG.info("messages to channel %s arrive again", name)
            for trouble in OF_A_CHANNEL:
                self.watch.seen(trouble, name, "", now_ms)
        for name in {*lost} - {*self.config.channels}:
            LOG.warning(
                "channel %s is in alerts.yaml no more; messages that waited for it and are given up: %d; "
                "wumu alerts --dead lists them",
                name,
                lost[name],
            )

    def _undeliverable(self, channel: str, message_id: str, detail: str, at_ms: int) -> None:
        self.watch.seen(Trouble.MESSAGE_UNDELIVERABLE, channel, f"message {message_id}: {detail}", at_ms)

    def housekeeping(self) -> None:
        """Forget what is older than the retention. Raises StoreError or LedgerError.

        Age is told from the newest event, at most a day later: a clock that ran ahead must not cost what is kept.
        """
        now_ms, newest_ms = self._clock.now_ms(), self._store.health().newest_ms
        if newest_ms is not None:
            now_ms = min(now_ms, newest_ms + DAY_MS)
        before_ms = now_ms - self.config.retention_ms
        gone = self._store.expire(before_ms)
        self._ledger.prune(before_ms)
        expire_quarantine(self._state_dir / QUARANTINE, before_ms)
        Replayed(self._ledger).forget(before_ms - DAY_MS)  # a day's dead letters go when the day has ended
        if gone:
            LOG.info("%d old events or indices went, as retention says", gone)

    def close(self, wait_s: float) -> None:
        """Let the attempts under way end, and record them; close the logs."""
        if self._ingest is not None:
            self._ingest.close()
        self._sender.close(wait_s)
