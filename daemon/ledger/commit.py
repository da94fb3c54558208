"""What a tick changed, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from daemon.alerts.model import Alert, State, Transition
from daemon.evaluate import Evaluation, Judgement, RuleState
from daemon.notify.channel import Message
from daemon.notify.decide import Told
from detectors.finding import Memory
from detectors.frame import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A rule's new watermark and the part of its memory that differs. ``detector`` names what the memory is of.

    ``marks`` are the ids of the planned changes that it applied.
    """

    rule_id: str
    detector: str
    judged_until_ms: int | None
    remembered: Mapping[Key, Memory] = field(default_factory=dict)
    forgotten: tuple[Key, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything that becomes durable together, before anything is sent. ``removed`` are rules that no longer exist."""

    now_ms: int
    rules: tuple[RuleChange, ...] = ()
    alerts: tuple[Alert, ...] = ()
    transitions: tuple[Transition, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    messages: tuple[tuple[str, Message], ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        judgements: Sequence[Judgement],
        before: Mapping[str, RuleState],
        now_ms: int,
        *,
        detectors: Mapping[str, str],
        messages: tuple[tuple[str, Message], ...] = (),
        told: Mapping[str, Told] | None = None,
    ) -> Self:
        """The difference that ``judgements`` make to the states ``before``."""
        moved = tuple(t for judgement in judgements for t in judgement.transitions)
        active = {
            alert.id: alert
            for judgement in judgements
            for key, alert in judgement.state.alerts.items()
            if before.get(judgement.rule.id, RuleState()).alerts.get(key) != alert
        }
        ended = {t.alert.id: t.alert for t in moved if t.alert.state is State.RESOLVED}
        return cls(
            now_ms=now_ms,
            rules=tuple(
                _rule_change(j, before.get(j.rule.id, RuleState()), detectors[j.rule.id])
                for j in judgements
                if not j.evaluation.error
            ),
            alerts=(*active.values(), *ended.values()),
            transitions=moved,
            evaluations=tuple(judgement.evaluation for judgement in judgements),
            messages=messages,
            told=told or {},
        )


def _rule_change(judgement: Judgement, before: RuleState, detector: str) -> RuleChange:
    memory = judgement.state.memory
    return RuleChange(
        rule_id=judgement.rule.id,
        detector=detector,
        judged_until_ms=judgement.state.judged_until_ms,
        remembered={key: value for key, value in memory.items() if before.memory.get(key) != value},
        forgotten=tuple(key for key in before.memory if key not in memory),
        marks=tuple(mark.id for mark in judgement.marks),
    )
