"""What people ask a daemon: events, traces, explanations. The same functions answer through the running daemon's socket
and, when none runs, from the files."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from daemon import search
from daemon.errors import BadRequest
from daemon.evaluate import Due, RuleState, due
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.store.base import EventStore, Sample
from daemon.store.contract import key_order
from daemon.store.wire import ask_from_json, frame_to_json
from detectors.base import Learner, Stage
from detectors.condition import AnyCharacter, Condition, Exists, Not, all_of, any_of, equals
from detectors.duration import format_duration
from detectors.frame import Interval
from recognizer.events import MAX_STRING_CHARACTERS, Event, fields
from recognizer.paths import UNSAFE_RANGES, clean, visible
from rules.model import Config, Rule
from rules.where import WhereError, parse, to_kql

VERBS = ("query", "search", "trace", "explain", "ask")
MAX_EVENTS = 10_000
MAX_REQUESTS_TRACED = 50
MAX_EVENTS_SEARCHED = 2_000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SHOWN = re.compile(r"‹U\+([0-9A-F]{4,6})›")
_SUSPECT_PATH = all_of(
    any_of(Exists("path_issues"), AnyCharacter("file_path", UNSAFE_RANGES)), Not(Exists("path_cleaned"))
)
"""Paths with faults that nobody has cleaned: the bare events of a foreign service."""


@dataclass(frozen=True, slots=True)
class Console:
    """Answers with plain JSON values."""

    config: Config
    store: EventStore
    ledger: Callable[[], Ledger]
    now_ms: Callable[[], int]

    def verbs(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        """By the name the socket knows them by."""
        return {
            "query": lambda a: self.query(a["where"], a["since_ms"], a["limit"]),
            "search": lambda a: self.search(a["terms"], a["since_ms"], a["limit"]),
            "trace": lambda a: self.trace(a["what"], a["since_ms"]),
            "explain": lambda a: self.explain(a["rule"], a["turns"]),
            "ask": lambda a: self.ask(a["asks"]),
        }

    def query(self, where: str, since_ms: int, limit: int) -> list[dict[str, Any]]:
        """The newest events that match a KQL filter, oldest first. Raises BadRequest on a bad filter."""
        try:
            condition = parse(_UNSTORABLE.sub(_as_stored, where))
        except WhereError as fault:
            raise BadRequest(
                f"the filter can't be read: {fault}, at character {fault.position + 1}", hint=fault.hint or ""
            ) from fault
        found = self._sample(condition, since_ms, limit)
        return [fields(event) for event in reversed(found)]

    def search(self, terms: Sequence[str], since_ms: int, limit: int) -> list[dict[str, Any]]:
        """Pictures whose path holds one of the terms, as it is written or as it sounds, the one seen last first."""
        wanted = [text for term in terms[: search.MAX_TERMS] if (text := _UNSTORABLE.sub(_as_stored, term).strip())]
        if not wanted:
            raise BadRequest("there is no word to search for", hint="wumu search bailing")
        found = self._sample(search.condition(wanted), since_ms, MAX_EVENTS_SEARCHED)
        last = {event.file_path: event.request_id for event in reversed(found) if event.request_id}
        requests = list(dict.fromkeys(last.values()))[-limit:]
        whole = any_of(*(equals("request_id", request) for request in requests))
        told = self._sample(whole, since_ms, MAX_EVENTS_SEARCHED) if requests else ()
        return search.pictures(found, told, limit)

    def trace(self, what: str, since_ms: int) -> list[dict[str, Any]]:
        """All events of the pictures that ``what`` names: a request, an event, a path as given, as meant, or as shown
        (``7.png‹U+200B›``)."""
        what = _UNSTORABLE.sub(_as_stored, what)[:MAX_STRING_CHARACTERS]
        unshown = _UNSTORABLE.sub(_as_stored, _SHOWN.sub(_unshown, what))
        names = ("request_id", "event_id", "file_path", "path_cleaned")
        wanted = any_of(*(equals(name, text) for name in names for text in dict.fromkeys((what, unshown))))
        named = (*self._sample(wanted, since_ms, MAX_EVENTS), *self._meant(what, since_ms))
        requests = dict.fromkeys(event.request_id for event in named if event.request_id)
        if not requests:
            return [fields(event) for event in sorted(named, key=_order)]
        whole = any_of(*(equals("request_id", request) for request in list(requests)[:MAX_REQUESTS_TRACED]))
        lone = [event for event in named if not event.request_id]
        events = [*self._sample(whole, since_ms, MAX_EVENTS), *lone]
        return [fields(event) for event in sorted(events, key=_order)]

    def explain(self, rule_id: str, turns: int) -> dict[str, Any]:
        """Why a rule is in the state it is in. Raises BadRequest when there is no such rule."""
        rule = next((rule for rule in self.config.rules if rule.id == rule_id), None)
        if rule is None:
            known = ", ".join(rule.id for rule in self.config.rules)
            raise BadRequest(f"there is no rule {rule_id}", hint=f"the rules are: {known}")
        ledger = self.ledger()
        state, _ = ledger.states().get(rule_id, (RuleState(), ""))
        turn = _next_turn(rule, state, self.now_ms(), self.config.catch_up_ms)
        return {
            "rule": rule.id,
            "kind": rule.detector.kind,
            "where": to_kql(turn.query.where),
            "group_by": list(rule.detector.group_by),
            "every": format_duration(rule.every_ms),
            "for": format_duration(rule.policy.for_ms),
            "keep_firing_for": format_duration(rule.policy.keep_firing_for_ms),
            "notify": list(rule.notify),
            "judged_until_ms": state.judged_until_ms,
            "keys_remembered": len(state.memory),
            "series": _progress(rule, state),
            "marks": [
                {"name": mark.name, "at_ms": mark.at_ms, "applied": mark.id in state.marks}
                for mark in Marks(ledger).all()
                if mark.concerns(rule)
            ],
            "alerts": [_alert(alert) for alert in state.alerts.values()],
            "turns": ledger.evaluations(rule_id, turns),
            "request": self.store.explain(turn.ask),
        }

    def ask(self, asks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The store's own answers, for another process that replays history. Raises StoreError or BadRequest."""
        try:
            understood = [ask_from_json(ask) for ask in asks]
        except (ValueError, LookupError, TypeError) as fault:
            raise BadRequest(
                f"the daemon doesn't understand this question: {fault}", hint="use the same version of wumu"
            ) from fault
        return [frame_to_json(frame) for frame in self.store.ask(understood)]

    def _meant(self, path: str, since_ms: int) -> tuple[Event, ...]:
        """Events with a faulty path that stands for ``path`` once it is cleaned."""
        suspects = self._sample(_SUSPECT_PATH, since_ms, MAX_EVENTS)
        return tuple(event for event in suspects if event.file_path != path and clean(event.file_path or "") == path)

    def _sample(self, where: Condition, since_ms: int, limit: int) -> tuple[Event, ...]:
        interval = Interval(since_ms, self.now_ms() + self.config.ingest.max_future_ms)
        return self.store.sample([Sample(where, interval, min(limit, MAX_EVENTS))])[0]


def _order(event: Event) -> tuple[int, str]:
    return event.timestamp, event.event_id or ""


def _as_stored(found: re.Match[str]) -> str:
    """NUL and half characters, such as a byte of the command line that is no UTF-8, are stored as they are shown."""
    return visible(found[0])


def _unshown(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF else found[0]


def _next_turn(rule: Rule, state: RuleState, now_ms: int, catch_up_ms: int) -> Due:
    """The stretch the rule judges next, or would if its bucket were already closed."""
    turn = due(rule, state, now_ms, catch_up_ms)
    if turn is not None:
        return turn
    query = rule.detector.query()
    until = state.judged_until_ms or now_ms
    return Due(rule, query, until, until + (query.bucket_ms or rule.every_ms))


def stages(rule: Rule, state: RuleState) -> dict[str, int]:
    """How many series of a learning rule are how far. Empty for the other kinds."""
    learner = rule.detector
    if not isinstance(learner, Learner):
        return {}
    return Counter(learner.progress(memory).stage.value for memory in state.memory.values())


def _progress(rule: Rule, state: RuleState) -> list[dict[str, Any]]:
    """How far each series of a learning rule is: those that need attention first. Empty for the other kinds."""
    learner = rule.detector
    if not isinstance(learner, Learner):
        return []
    order = [Stage.ALARMED, Stage.WARMING_UP, Stage.JUDGING]
    known = sorted(
        ((learner.progress(memory), key) for key, memory in state.memory.items()),
        key=lambda one: (order.index(one[0].stage), key_order(one[1])),
    )
    return [{"key": dict(key), **msgspec.to_builtins(progress)} for progress, key in known]


def _alert(alert: Any) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(alert)
    for name in ("finding", "peak"):
        body[name].pop("evidence")
    return body
