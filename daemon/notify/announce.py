"""From decisions to messages: fetches what a message shows, picks the remedies, renders for each channel."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from daemon.alerts.model import Cause
from daemon.baseline import Mark, preceding
from daemon.errors import StoreError
from daemon.notify.channel import Message, Notice, Occasion
from daemon.notify.decide import Telling
from daemon.notify.present import Presence
from daemon.notify.render import Rendered, render, render_mark, render_self
from daemon.store.base import Ask, EventStore, Sample
from daemon.watch import OF_A_CHANNEL, Word
from detectors.arrivals import arrival_fields, arrival_interval, arrival_query, arrival_totals_query, arrivals
from detectors.condition import all_of
from detectors.finding import Finding
from detectors.keys import key_condition
from detectors.query import Query
from detectors.suspects import (
    Pair,
    Suspect,
    Tally,
    pair_query,
    pair_tallies,
    pairs,
    rank,
    suspect_fields,
    suspect_interval,
    suspect_query,
    tally,
    usual_weight,
)
from recognizer.events import Event
from rules.model import Config, Language, Rule
from rules.remedy import choose

LOG = logging.getLogger("wumu.announce")
SAMPLES = 20
"""Bad events fetched for a message; the remedy is chosen from them, the message shows a few."""
LATE_MS = 120_000
"""An alert that fired this long ago, event time, is told as late: the daemon was down, or the store was."""
MAX_ENRICHED = 50
"""Alerts of one turn for which samples and suspects are fetched; a storm beyond that is told without them."""


class Announcer:
    """Makes the messages of a turn. Whatever the store says or fails to say, every telling becomes its messages."""

    def __init__(self, config: Config, store: EventStore) -> None:
        self._config = config
        self._store = store
        self._present = Presence()

    def messages(
        self, tellings: Sequence[tuple[Rule, Telling]], now_ms: int, marks: Sequence[Mark] = ()
    ) -> tuple[tuple[str, Message], ...]:
        """Channel name and message, for every telling and every channel of its rule."""
        heard = [(rule, telling) for rule, telling in tellings if rule.notify]
        findings = [_shown_finding(telling) for _, telling in heard[:MAX_ENRICHED]]
        samples = self._samples(findings)
        suspects = self._suspects([rule for rule, _ in heard[:MAX_ENRICHED]], findings)
        made: list[tuple[str, Message]] = []
        for place, (rule, telling) in enumerate(heard):
            events = samples[place] if place < len(samples) else ()
            fired_ms = telling.alert.fired_at_ms or now_ms
            notice = Notice(
                alert=telling.alert,
                rule=rule,
                occasion=telling.occasion,
                decided_at_ms=now_ms,
                samples=events,
                suspects=suspects[place] if place < len(suspects) else (),
                remedies={
                    language: choose(_shown_finding(telling), events, language, self._present) for language in Language
                },
                told=telling.sequence,
                late=telling.occasion is Occasion.FIRING and now_ms - fired_ms > LATE_MS,
                marked=preceding(marks, telling.alert.finding.since_ms),
            )
            made.extend(self._rendered(notice, rule.notify))
        return tuple(made)

    def farewell(self, rule: Rule, telling: Telling, now_ms: int, cause: Cause) -> tuple[tuple[str, Message], ...]:
        """The messages about the end of an alert that no finding brought about.

        Nothing is fetched: a daemon that starts must not wait for its store.
        """
        notice = Notice(
            alert=telling.alert,
            rule=rule,
            occasion=telling.occasion,
            decided_at_ms=now_ms,
            told=telling.sequence,
            retired=cause in (Cause.RULE_REMOVED, Cause.RULE_CHANGED),
            declared_normal=cause is Cause.DECLARED_NORMAL,
        )
        return tuple(self._rendered(notice, rule.notify))

    def about_mark(self, mark: Mark, rules: Sequence[Rule], now_ms: int) -> tuple[tuple[str, Message], ...]:
        """The message that the baselines of ``rules`` start anew, for everyone whom those rules tell."""
        names = [rule.id for rule in rules]
        return tuple(
            (
                channel,
                _plain_said(
                    render_mark(
                        mark,
                        names,
                        channel=channel,
                        language=self._language(channel),
                        now_ms=now_ms,
                        time_zone=self._config.time_zone,
                    )
                ),
            )
            for channel in dict.fromkeys(channel for rule in rules for channel in rule.notify)
        )

    def about_us(self, word: Word, now_ms: int) -> tuple[tuple[str, Message], ...]:
        """The message about wumu itself for every channel but the one that it is about."""
        return tuple(
            (
                channel,
                _plain_said(
                    render_self(
                        word,
                        channel=channel,
                        language=self._language(channel),
                        now_ms=now_ms,
                        time_zone=self._config.time_zone,
                    )
                ),
            )
            for channel in self._config.channels
            if word.trouble not in OF_A_CHANNEL or channel != word.name
        )

    def _rendered(self, notice: Notice, channels: Sequence[str]) -> Iterator[tuple[str, Message]]:
        for channel in channels:
            rendered = render(
                notice,
                channel=channel,
                language=self._language(channel),
                sequence=notice.told,
                time_zone=self._config.time_zone,
            )
            yield channel, _plain_said(rendered)

    def _language(self, channel: str) -> Language:
        chosen: Language | None = getattr(self._config.channels[channel].parameters, "language", None)
        return chosen or self._config.language

    def _samples(self, findings: Sequence[Finding]) -> Sequence[tuple[Event, ...]]:
        wanted = [
            Sample(all_of(finding.evidence.bad, key_condition(finding.key)), finding.evidence.interval, SAMPLES)
            for finding in findings
        ]
        try:
            return self._store.sample(wanted) if wanted else ()
        except StoreError as fault:
            LOG.warning("an alert is told without examples: %s", fault)
            return ()

    def _suspects(self, rules: Sequence[Rule], findings: Sequence[Finding]) -> Sequence[tuple[Suspect, ...]]:
        """Two aggregations a field and finding, all in one round trip: bad against good, and since against before."""
        fields = [suspect_fields(finding, rule.suspects) for rule, finding in zip(rules, findings, strict=True)]
        compared = [arrival_fields(finding, rule.suspects) for rule, finding in zip(rules, findings, strict=True)]
        asks = [
            ask
            for finding, names, later in zip(findings, fields, compared, strict=True)
            for ask in (*_suspect_asks(finding, names), *_arrival_asks(finding, later))
        ]
        try:
            frames = iter(self._store.ask(asks) if asks else ())
        except StoreError as fault:
            LOG.warning("an alert is told without suspects: %s", fault)
            return ()
        counted, arrived = [], []
        for names, later in zip(fields, compared, strict=True):
            total = tally(next(frames)).get(None, Tally(0, 0))
            counted.append((total, {name: tally(next(frames)) for name in names}))
            arrived.append(arrivals(next(frames), {name: next(frames) for name in later}) if later else {})
        paired = self._paired(findings, [pairs(*counts) for counts in counted])
        weights = [usual_weight(finding) for finding in findings]
        every = zip(counted, paired, arrived, weights, strict=True)
        return [rank(*counts, both, new, weight) for counts, both, new, weight in every]

    def _paired(self, findings: Sequence[Finding], wanted: Sequence[Sequence[Pair]]) -> Sequence[Mapping[Pair, Tally]]:
        """What holds together, for the findings where there is something to ask: one more round trip for all."""
        asking = [place for place, each in enumerate(wanted) if each]
        asks = [_suspect_ask(findings[place], pair_query(findings[place], wanted[place])) for place in asking]
        found: list[Mapping[Pair, Tally]] = [{} for _ in wanted]
        try:
            frames = self._store.ask(asks) if asks else ()
        except StoreError as fault:
            LOG.warning("the suspects of an alert are told one by one, not in pairs: %s", fault)
            return found
        for place, frame in zip(asking, frames, strict=True):
            found[place] = pair_tallies(frame, wanted[place])
        return found


def _suspect_asks(finding: Finding, fields: Sequence[str]) -> list[Ask]:
    return [_suspect_ask(finding, suspect_query(finding, field)) for field in (None, *fields)]


def _arrival_asks(finding: Finding, fields: Sequence[str]) -> list[Ask]:
    if not fields:
        return []
    interval = arrival_interval(finding)
    queries = [arrival_totals_query(finding, fields), *(arrival_query(finding, field) for field in fields)]
    return [Ask(query, interval, interval.start_ms) for query in queries]


def _suspect_ask(finding: Finding, query: Query) -> Ask:
    interval = suspect_interval(finding)
    return Ask(query, interval, interval.start_ms)


def _shown_finding(telling: Telling) -> Finding:
    """A message about an end shows how bad it was."""
    return telling.alert.peak if telling.occasion is Occasion.RESOLVED else telling.alert.finding


def _plain_said(rendered: Rendered) -> Message:
    if rendered.failure is not None:
        LOG.error("message %s is told in plain words: %s", rendered.message.id, rendered.failure)
    return rendered.message
