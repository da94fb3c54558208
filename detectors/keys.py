"""A key as a condition: which events a series was made of."""

import re

from detectors.condition import Condition, Exists, Not, Scalar, all_of, any_of, equals
from detectors.frame import Key

_NUMBER = re.compile(r"-?\d{1,300}(\.\d{1,300})?")


def key_condition(key: Key) -> Condition:
    """The events whose fields have the values of ``key``; a value of None stands for a missing field."""
    return all_of(*(value_condition(field, value) for field, value in key))


def value_condition(field: str, text: str | None) -> Condition:
    """The events in which ``field`` has the value that a key writes as ``text``.

    A key writes every value as text. Where that could have been a number or a boolean both readings are asked for: a
    comparison with a value of another type matches nothing, so the wrong reading does no harm.
    """
    if text is None:
        return Not(Exists(field))
    return any_of(*(equals(field, reading) for reading in _readings(text)))


def _readings(text: str) -> tuple[Scalar, ...]:
    if text in {"true", "false"}:
        return text, text == "true"
    if _NUMBER.fullmatch(text):
        return text, float(text) if "." in text else int(text)
    return (text,)
