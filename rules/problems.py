"""What is wrong with a file a human wrote, and how it is shown: all problems at once, each with its place."""

import enum
from dataclasses import dataclass


class ProblemCode(enum.StrEnum):
    """The kinds of problem `wumu check` reports."""

    NOT_YAML = "not_yaml"
    TOO_LARGE = "too_large"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KEY = "missing_key"
    WRONG_VALUE = "wrong_value"
    BAD_CONDITION = "bad_condition"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_CHANNEL = "unknown_channel"
    DUPLICATE_RULE = "duplicate_rule"
    NEVER_TRUE = "never_true"
    SECRET_IN_FILE = "secret_in_file"  # noqa: S105  # the code's name, not a secret


class Weight(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about a file. ``line`` and ``column`` count from 1; ``width`` is how much the caret underlines."""

    code: ProblemCode
    message: str
    file: str
    line: int
    column: int
    width: int = 1
    hint: str | None = None
    weight: Weight = Weight.ERROR
