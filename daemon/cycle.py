"""The daemon's turn: judge what is due, decide what to tell, commit both, and only then let it be sent."""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from daemon.alerts.lifecycle import retire
from daemon.alerts.model import Alert, Cause, Transition
from daemon.baseline import Mark
from daemon.clock import Clock
from daemon.errors import BadRequest
from daemon.evaluate import Evaluation, Judgement, RuleState, tick
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.notify.announce import Announcer
from daemon.notify.channel import Message, Occasion
from daemon.notify.decide import Telling, Told, decide
from daemon.store.base import EventStore
from detectors.base import Learner
from detectors.finding import Detection, Memory, Reason
from detectors.frame import Frame, Key
from detectors.query import Query
from rules.model import Config, Rule

LOG = logging.getLogger("wumu.cycle")
SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did."""

    evaluations: tuple[Evaluation, ...] = ()
    transitions: tuple[Transition, ...] = ()
    messages: int = 0

    def __add__(self, later: "Turn") -> "Turn":
        return Turn(
            self.evaluations + later.evaluations, self.transitions + later.transitions, self.messages + later.messages
        )


class Cycle:
    """Holds the rules' states between turns; the ledger is their durable twin."""

    def __init__(self, config: Config, store: EventStore, ledger: Ledger, announcer: Announcer, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._ledger = ledger
        self._marks = Marks(ledger)
        self._announcer = announcer
        self._clock = clock
        self._detectors = {rule.id: detector_name(rule) for rule in config.rules}
        self._told: dict[str, Told] = ledger.told()
        self._failing: dict[str, str] = {}
        self._states = self._resume()
        self._say_who_is_gone()

    @property
    def states(self) -> Mapping[str, RuleState]:
        """Every rule's state after the last turn."""
        return self._states

    def turn(self, known_until_ms: int) -> Turn:
        """Judge everything up to ``known_until_ms``, the time up to which the events are in the store.

        Raises StoreUnavailable or LedgerError; what was committed by then stays, and the next turn does the rest.
        """
        done = Turn()
        marks = self._marks.all()
        first_looks = frozenset(name for name, state in self._states.items() if state.judged_until_ms is None)
        while True:
            judgements = tick(
                self._config.rules, self._states, self._store, known_until_ms, self._config.catch_up_ms, marks
            )
            if judgements:
                done += self._conclude(judgements, marks, first_looks)
            if not any(judgement.more for judgement in judgements):
                return done

    def accept(self, name: str) -> dict[str, Any]:
        """Somebody says that an alert was normal: its detector learns so, and it ends. ``name`` is the beginning of its
        id. Raises BadRequest, with nothing changed, where that can't be.
        """
        rule, alert = self._acceptable(name)
        state, now_ms = self._states[rule.id], self._clock.now_ms()
        learned = {
            key: rule.detector.accept(memory)
            for key, memory in state.memory.items()
            if key == alert.key and isinstance(rule.detector, Learner)
        }
        at_ms = max(alert.last_seen_ms, state.judged_until_ms or 0)
        (end,) = retire({alert.key: alert}, at_ms, Cause.DECLARED_NORMAL)
        change = RuleChange(
            rule_id=rule.id,
            detector=self._detectors[rule.id],
            judged_until_ms=state.judged_until_ms,
            remembered=learned,
        )
        messages = self._farewell(rule, end, now_ms) if alert.id in self._told else ()
        self._ledger.commit(
            Commit(now_ms=now_ms, rules=(change,), alerts=(end.alert,), transitions=(end,), messages=messages)
        )
        left = {key: one for key, one in state.alerts.items() if key != alert.key}
        self._states = self._states | {rule.id: replace(state, memory={**state.memory, **learned}, alerts=left)}
        self._told = {alert_id: entry for alert_id, entry in self._told.items() if alert_id != alert.id}
        self._say((), (end,))
        return {"id": alert.id, "rule": rule.id, "key": dict(alert.key), "messages": len(messages)}

    def _acceptable(self, name: str) -> tuple[Rule, Alert]:
        """The one alert that is meant, with its rule, if that rule can be told that it was normal."""
        named = [alert for alert in self._ledger.alerts(limit=-1) if alert.id.startswith(name)] if name else []
        if not named:
            raise BadRequest(f"there is no alert {name}", hint="wumu alerts lists those that are pending or firing")
        if len(named) > 1:
            ids = ", ".join(alert.id for alert in named[:SHOWN_IDS])
            raise BadRequest(f"{len(named)} alerts begin with {name}", hint=f"write more of the id: {ids}")
        (alert,) = named
        rule = next((rule for rule in self._config.rules if rule.id == alert.rule_id), None)
        if rule is None:
            raise BadRequest(
                f"rule {alert.rule_id} of alert {alert.id} is not in alerts.yaml", hint="there is nothing left to learn"
            )
        if not isinstance(rule.detector, Learner):
            raise BadRequest(
                f"alert {alert.id} is of rule {rule.id}, whose kind {rule.detector.kind} learns nothing",
                hint="change the limit of the rule in alerts.yaml instead",
            )
        active = self._states[rule.id].alerts.get(alert.key)
        if active is None or active.id != alert.id:
            raise BadRequest(f"alert {alert.id} has ended already", hint="wumu alerts lists those that go on")
        return rule, active

    def _conclude(self, judgements: Sequence[Judgement], marks: Sequence[Mark], first_looks: Collection[str]) -> Turn:
        """Decide what to tell, and commit it together with what was judged."""
        now_ms = self._clock.now_ms()
        tellings = [
            (self._hearing(judgement.rule, telling), telling)
            for judgement in judgements
            for telling in self._tellings(judgement, now_ms, first_look=judgement.rule.id in first_looks)
        ]
        messages = (
            *self._announcer.messages(tellings, now_ms, marks),
            *(
                said
                for mark, rules in self._begun(judgements).items()
                for said in self._announcer.about_mark(mark, rules, now_ms)
            ),
        )
        news = {telling.alert.id: Told(telling.sequence + 1, now_ms) for _, telling in tellings}
        self._ledger.commit(
            Commit.of(judgements, self._states, now_ms, detectors=self._detectors, messages=messages, told=news)
        )
        self._states = self._states | {judgement.rule.id: judgement.state for judgement in judgements}
        active = {alert.id for state in self._states.values() for alert in state.alerts.values()}
        self._told = {alert_id: entry for alert_id, entry in (self._told | news).items() if alert_id in active}
        transitions = tuple(t for judgement in judgements for t in judgement.transitions)
        self._say(judgements, transitions)
        return Turn(tuple(judgement.evaluation for judgement in judgements), transitions, len(messages))

    def _begun(self, judgements: Sequence[Judgement]) -> Mapping[Mark, Sequence[Rule]]:
        """The planned changes with which something that was learned was left behind, and the rules that did so."""
        begun: dict[Mark, list[Rule]] = {}
        for judgement in judgements:
            if self._states[judgement.rule.id].memory:
                for mark in judgement.marks:
                    begun.setdefault(mark, []).append(judgement.rule)
        return begun

    def _tellings(self, judgement: Judgement, now_ms: int, *, first_look: bool) -> tuple[Telling, ...]:
        """What to tell of one rule. A rule's first look at history tells only what still fires."""
        active = tuple(judgement.state.alerts.values())
        transitions = judgement.transitions
        if first_look:
            alive = {alert.id for alert in active}
            transitions = tuple(t for t in transitions if t.alert.id in alive)
        return decide(transitions, active, self._told, judgement.rule.policy, now_ms)

    def _resume(self) -> dict[str, RuleState]:
        """The states as they were committed, fitted to the rules as they are now."""
        kept = self._ledger.states()
        now_ms = self._clock.now_ms()
        states: dict[str, RuleState] = {}
        changed: list[RuleChange] = []
        ended: list[tuple[Rule, Transition]] = []
        for rule in self._config.rules:
            state, detector = kept.pop(rule.id, (RuleState(), ""))
            if detector and detector != self._detectors[rule.id]:
                LOG.warning("rule %s asks something else than before: it starts to learn anew", rule.id)
                ended.extend((rule, end) for end in retire(state.alerts, now_ms, Cause.RULE_CHANGED))
                changed.append(_anew(rule.id, self._detectors[rule.id], state))
                state = RuleState(judged_until_ms=state.judged_until_ms, marks=state.marks)
            states[rule.id] = state
        for rule_id, (state, _) in kept.items():
            gone = Rule(id=rule_id, detector=Gone())
            ended.extend((gone, end) for end in retire(state.alerts, now_ms, Cause.RULE_REMOVED))
        if kept or changed or ended:
            self._ledger.commit(
                Commit(
                    now_ms=now_ms,
                    rules=tuple(changed),
                    alerts=tuple(end.alert for _, end in ended),
                    transitions=tuple(end for _, end in ended),
                    messages=tuple(said for rule, end in ended for said in self._farewell(rule, end, now_ms)),
                    removed=tuple(kept),
                )
            )
        return states

    def _farewell(self, rule: Rule, end: Transition, now_ms: int) -> tuple[tuple[str, Message], ...]:
        """What is said of an end that no finding brought about."""
        tellings = decide((end,), (), self._told, rule.policy, now_ms)
        return tuple(
            said
            for one in tellings
            for said in self._announcer.farewell(self._hearing(rule, one), one, now_ms, end.cause)
        )

    def _hearing(self, rule: Rule, telling: Telling) -> Rule:
        """The rule as it tells this: whoever heard that an alert fires hears that it ended, also when the rule is gone
        or tells others now. A channel that is gone can't.
        """
        if telling.occasion is not Occasion.RESOLVED:
            return rule
        heard = (name for name in self._ledger.heard(telling.alert.id) if name in self._config.channels)
        return replace(rule, notify=tuple(dict.fromkeys((*rule.notify, *heard))))

    def _say_who_is_gone(self) -> None:
        for channel, count in self._ledger.heard_of_open().items():
            if channel not in self._config.channels:
                LOG.warning(
                    "channel %s is in alerts.yaml no more and won't hear how alerts end; it was told of %d that go on",
                    channel,
                    count,
                )

    def _say(self, judgements: Sequence[Judgement], transitions: Sequence[Transition]) -> None:
        """The turn in the daemon's own log: each change once."""
        for transition in transitions:
            alert = transition.alert
            LOG.info("alert %s of rule %s is %s (%s)", alert.id, alert.rule_id, alert.state, transition.cause)
        for judgement in judgements:
            for mark in judgement.marks:
                LOG.info("rule %s starts a new baseline: %s was marked", judgement.rule.id, mark.name)
            record, before = judgement.evaluation, self._failing.get(judgement.rule.id, "")
            if record.error and record.error != before:
                LOG.error("rule %s could not be judged: %s", record.rule_id, record.error)
            if before and not record.error:
                LOG.info("rule %s is judged again", record.rule_id)
            if record.skipped_ms and not record.error:
                LOG.warning(
                    "rule %s: %d s of history are older than catch_up and were not judged",
                    record.rule_id,
                    record.skipped_ms // 1_000,
                )
            self._failing[judgement.rule.id] = record.error


def detector_name(rule: Rule) -> str:
    """Names what a rule's memory is of: the kind and its query. A changed threshold keeps the memory."""
    query = repr(rule.detector.query()).encode()
    return f"{rule.detector.kind}:{hashlib.blake2b(query, digest_size=8).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Gone:
    """What stands for the detector of a rule that is no longer configured: it finds nothing."""

    kind: ClassVar[str] = "gone"
    reasons: ClassVar[frozenset[Reason]] = frozenset()
    group_by: tuple[str, ...] = ()

    def query(self) -> Query:
        return Query()

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        del frame
        return Detection((), memory)


def _anew(rule_id: str, detector: str, state: RuleState) -> RuleChange:
    """Forget for good: after a restart the new detector must not find the old one's memory."""
    return RuleChange(
        rule_id=rule_id, detector=detector, judged_until_ms=state.judged_until_ms, forgotten=tuple(state.memory)
    )
