"""The tick: which stretch is judged, in which order, and what happens when something fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.alerts.model import State
from daemon.errors import StoreError, StoreUnavailable
from daemon.evaluate import Judgement, RuleState, due, tick
from daemon.store.base import Ask, Batch
from daemon.store.reference import ReferenceStore
from detectors.finding import Detection, Memory, Reason
from detectors.frame import Frame, Key
from detectors.matching.count import Count
from detectors.matching.missing_step import MissingStep
from detectors.query import Measure, Query
from recognizer.events import Event
from rules.model import Rule
from tests.support.findings import finding, rule

MINUTE = 60_000
DAY = 1_440 * MINUTE


@dataclass(frozen=True)
class Busy:
    """Finds every fresh bucket with more than two events, and counts in its memory what it judged."""

    settle_ms: int = 0
    partial: bool = False
    kind: ClassVar[str] = "busy"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.TOO_MANY_EVENTS})
    group_by: tuple[str, ...] = ("host",)

    def query(self) -> Query:
        return Query(
            group_by=self.group_by,
            measures=(Measure("n"),),
            bucket_ms=MINUTE,
            settle_ms=self.settle_ms,
            partial=self.partial,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        found = []
        judged = dict(memory)
        for series in frame.series:
            for start, value in zip(series.bucket_start_ms, series.values["n"], strict=True):
                judged[series.key] = {"judged": judged.get(series.key, {"judged": 0})["judged"] + 1}
                if isinstance(value, int | float) and value > 2:
                    at_ms = min(start + MINUTE, frame.interval.end_ms)
                    found.append(finding(at_ms, key=series.key, reason=Reason.TOO_MANY_EVENTS, observed=value))
        return Detection(tuple(found), judged)


class Broken(Busy):
    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        raise ZeroDivisionError("a bug")


class Fault(ReferenceStore):
    """A store that refuses queries with a settle time of 13 ms, answers in part, or not at all."""

    def __init__(self, *, complete: bool = True, up: bool = True) -> None:
        super().__init__()
        self.complete, self.up, self.calls = complete, up, 0

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        self.calls += 1
        if not self.up:
            raise StoreUnavailable("gone")
        if any(ask.query.settle_ms == 13 for ask in asks):
            raise StoreError("no such field")
        return tuple(replace(frame, complete=self.complete) for frame in super().ask(asks))


def events(*minutes: float, host: str = "gpu-1") -> Batch:
    made = [
        Event(timestamp=round(minute * MINUTE), event_type="input_start", host=host, event_id=f"{host}-{n}-{minute}")
        for n, minute in enumerate(minutes)
    ]
    return Batch(made, [b"{}"] * len(made))


def test_a_bucket_is_judged_when_it_closed_and_settled() -> None:
    settled = rule(Busy(settle_ms=10_000))
    state = RuleState(judged_until_ms=5 * MINUTE)
    assert due(settled, state, 6 * MINUTE + 9_999, DAY) is None
    turn = due(settled, state, 6 * MINUTE + 10_000, DAY)
    assert turn is not None
    assert (turn.from_ms, turn.until_ms) == (5 * MINUTE, 6 * MINUTE)


def test_an_open_bucket_is_judged_at_every_interval_again() -> None:
    fast = rule(Busy(partial=True), every_ms=5_000)
    state = RuleState(judged_until_ms=5 * MINUTE + 7_000)
    assert due(fast, state, 5 * MINUTE + 11_000, DAY) is None
    turn = due(fast, state, 5 * MINUTE + 12_000, DAY)
    assert turn is not None
    assert (turn.ask.fresh_from_ms, turn.until_ms) == (5 * MINUTE, 5 * MINUTE + 12_000)


def test_a_gap_is_caught_up_and_a_longer_one_is_told() -> None:
    turn = due(rule(Busy()), RuleState(judged_until_ms=0), 90 * MINUTE, 60 * MINUTE)
    assert turn is not None
    assert (turn.from_ms, turn.until_ms, turn.skipped_ms) == (30 * MINUTE, 90 * MINUTE, 30 * MINUTE)


def test_a_clock_that_went_back_a_little_judges_nothing_twice() -> None:
    assert due(rule(Busy()), RuleState(judged_until_ms=12 * MINUTE), 10 * MINUTE, DAY) is None


@pytest.mark.parametrize("partial", [False, True])
def test_a_clock_that_was_an_hour_ahead_makes_no_hour_of_silence(*, partial: bool) -> None:
    """What happens after it was set right is judged, and what fired before ends when its condition does."""
    store = ReferenceStore()
    store.append(events(70.1, 70.2, 70.3, 12.1, 12.2, 12.3))
    subject = rule(Busy(partial=partial))
    state, story = RuleState(judged_until_ms=69 * MINUTE), []
    for minute in (71, 10, 11, 12, 13, 14, 15):
        for judgement in tick([subject], {subject.id: state}, store, minute * MINUTE, DAY):
            state = judgement.state
            story += [(minute, t.alert.state) for t in judgement.transitions]
    assert story[:3] == [(71, State.FIRING), (10, State.RESOLVED), (13, State.FIRING)]
    assert [step[1] for step in story[3:]] == [State.RESOLVED]


def test_catching_up_lives_through_the_past_as_it_was() -> None:
    """Found in minutes 1, 2 and 5: two alerts, the first resolved in between, with their own times."""
    store = ReferenceStore()
    store.append(events(1.1, 1.2, 1.3, 2.1, 2.2, 2.3, 5.1, 5.2, 5.3))
    state = RuleState(judged_until_ms=0)
    (judgement,) = tick([rule(Busy())], {"a-rule": state}, store, 7 * MINUTE, DAY)
    story = [(t.at_ms // MINUTE, t.alert.state) for t in judgement.transitions]
    assert story == [(2, State.FIRING), (4, State.RESOLVED), (6, State.FIRING), (7, State.RESOLVED)]
    assert judgement.state.judged_until_ms == 7 * MINUTE


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 29), max_size=60),
    stops=st.sets(st.integers(1, 29), max_size=6),
)
def test_ticking_often_and_catching_up_once_are_the_same(minutes: list[int], stops: set[int]) -> None:
    store = ReferenceStore()
    store.append(events(*(minute + 0.5 for minute in minutes)))
    subject = rule(Busy(), for_ms=MINUTE)

    def run(ends: Sequence[int]) -> tuple[list[tuple[object, ...]], RuleState]:
        state = RuleState(judged_until_ms=0)
        story: list[tuple[object, ...]] = []
        for end in ends:
            (judgement,) = tick([subject], {subject.id: state}, store, end * MINUTE, DAY)
            state = judgement.state
            story += [(t.at_ms, t.alert.id, t.alert.state, t.cause) for t in judgement.transitions]
        return story, state

    assert run([30]) == run([*sorted(stops), 30])


def test_a_rule_that_fails_harms_no_other_and_is_judged_again() -> None:
    store = Fault()
    store.append(events(1.1, 1.2, 1.3))
    rules: list[Rule] = [rule(Broken(), "broken"), rule(Busy(settle_ms=13), "refused"), rule(Busy(), "fine")]
    states = {one.id: RuleState(judged_until_ms=0) for one in rules}
    judged: dict[str, Judgement] = {j.rule.id: j for j in tick(rules, states, store, 5 * MINUTE, DAY)}
    assert "ZeroDivisionError: a bug" in judged["broken"].evaluation.error
    assert "refused the query: no such field" in judged["refused"].evaluation.error
    assert judged["broken"].state == states["broken"]
    assert judged["refused"].state.judged_until_ms == 0
    assert [t.alert.state for t in judged["fine"].transitions] == [State.FIRING, State.RESOLVED]


def test_a_partial_answer_is_no_answer() -> None:
    store = Fault(complete=False)
    (judgement,) = tick([rule(Busy())], {"a-rule": RuleState(judged_until_ms=0)}, store, 5 * MINUTE, DAY)
    assert (judgement.state.judged_until_ms, judgement.evaluation.complete) == (0, False)


def test_a_store_that_is_gone_stops_the_turn() -> None:
    with pytest.raises(StoreUnavailable):
        tick([rule(Busy())], {"a-rule": RuleState(judged_until_ms=0)}, Fault(up=False), 5 * MINUTE, DAY)


def test_all_rules_share_one_round_trip() -> None:
    store = Fault()
    rules = [rule(Busy(), f"rule-{n}") for n in range(10)]
    tick(rules, {one.id: RuleState(judged_until_ms=0) for one in rules}, store, 5 * MINUTE, DAY)
    assert store.calls == 1


def test_alerts_on_open_buckets_do_not_flap_between_two_findings() -> None:
    """Three events in the open minute: it fires while the bucket grows and until a whole step without a finding."""
    store = ReferenceStore()
    subject = rule(Busy(partial=True), every_ms=5_000)
    state, story = RuleState(judged_until_ms=MINUTE), []
    store.append(events(1.1, 1.2, 1.3))
    for now_ms in range(MINUTE + 5_000, 6 * MINUTE, 5_003):
        (judgement,) = tick([subject], {subject.id: state}, store, now_ms, DAY)
        state = judgement.state
        story += [t.alert.state for t in judgement.transitions]
    assert story == [State.FIRING, State.RESOLVED]


def request(minute: float, host: str) -> Batch:
    """A request that never ends."""
    name = f"{host}-{minute}"
    event = Event(timestamp=round(minute * MINUTE), event_type="input_start", host=host, request_id=name, event_id=name)
    return Batch([event], [b"{}"])


def story_of(subject: Rule, store: ReferenceStore, late: Mapping[int, Batch]) -> list[tuple[object, ...]]:
    """What becomes of the alerts in ticks of minutes 13 to 29; ``late`` comes just before the tick of its minute."""
    state = RuleState(judged_until_ms=10 * MINUTE)
    story: list[tuple[object, ...]] = []
    for minute in range(13, 30):
        if minute in late:
            store.append(late[minute])
        (judgement,) = tick([subject], {subject.id: state}, store, minute * MINUTE, DAY)
        state = judgement.state
        story += [(t.at_ms // MINUTE, t.alert.key[0][1], t.alert.state, t.alert.id) for t in judgement.transitions]
    return story


def test_what_comes_late_about_one_key_ends_no_alert_about_another() -> None:
    """A late lost request of gpu-1 is told while the lasting alert about gpu-2 goes on."""
    store = ReferenceStore()
    for minute in range(10, 30):
        store.append(request(minute + 0.5, "gpu-2"))
    story = story_of(rule(MissingStep(group_by=("host",))), store, {20: request(14.2, "gpu-1")})
    assert [step[:3] for step in story] == [
        (11, "gpu-2", State.FIRING),
        (18, "gpu-1", State.FIRING),
        (19, "gpu-1", State.RESOLVED),
    ]


def test_a_condition_that_holds_outlasts_its_for_whatever_its_bucket() -> None:
    """The buckets of 21 s that a window of 7 minutes has never end with the minute of the ticks."""
    store = ReferenceStore()
    store.append(events(*(second / 6 for second in range(180))))
    subject = rule(Count(at_least=3, within="7m", group_by=("host",)), for_ms=2 * MINUTE)
    assert [step[2] for step in story_of(subject, store, {})] == [State.PENDING, State.FIRING]
