"""Every kind of mistake is found at its place: one bad file each, with what is expected of it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.plugins import registry
from detectors.condition import matches
from rules.contradiction import never_true
from rules.load import load_file
from rules.problems import ProblemCode, Weight
from rules.where import parse
from tests.support.rules import CORPUS, FIXED, loaded

EXPECTED: dict[str, list[tuple[str, int, int]]] = {
    "alias_bomb": [("too_large", 4, 29)],
    "bad_id": [("wrong_value", 3, 9)],
    "bad_language": [("wrong_value", 2, 11)],
    "bad_runbook": [("wrong_value", 6, 14)],
    "bad_severity": [("wrong_value", 6, 15)],
    "bad_time_zone": [("wrong_value", 2, 12)],
    "boolean_for_number": [("wrong_value", 5, 15), ("wrong_value", 8, 15)],
    "channel_for_nobody": [("no_channel", 3, 3), ("no_channel", 5, 9)],
    "channel_without_kind": [("missing_key", 3, 3)],
    "condition_free_text": [("bad_condition", 6, 13)],
    "condition_full_width_colon": [("bad_condition", 6, 13)],
    "condition_in_double_quotes": [("bad_condition", 6, 58)],
    "condition_is_a_number": [("wrong_value", 6, 12)],
    "condition_unclosed": [("bad_condition", 6, 13)],
    "control_character": [("not_yaml", 2, 12)],
    "custom_tag": [("wrong_value", 2, 11)],
    "duplicate_key": [("duplicate_key", 6, 5)],
    "duplicate_rule": [("duplicate_rule", 6, 9)],
    "empty": [("missing_key", 1, 1)],
    "escape_beyond_unicode": [("not_yaml", 6, 15)],
    "for_too_short": [("timer_too_short", 7, 10)],
    "keep_firing_too_short": [("timer_too_short", 4, 9)],
    "many_problems": [
        ("unknown_key", 2, 1),
        ("wrong_value", 3, 7),
        ("secret_in_file", 5, 113),
        ("unknown_kind", 6, 16),
        ("secret_in_file", 6, 29),
        ("unknown_channel", 7, 21),
        ("wrong_value", 7, 38),
        ("unknown_kind", 10, 11),
        ("wrong_value", 12, 9),
        ("wrong_value", 16, 12),
        ("wrong_value", 17, 9),
        ("unknown_field", 19, 65),
        ("wrong_value", 20, 15),
        ("unknown_field", 21, 22),
        ("never_true", 25, 7),
        ("bad_condition", 27, 24),
        ("unknown_key", 29, 5),
    ],
    "histogram_of_list": [("wrong_value", 5, 12)],
    "histogram_of_text": [("wrong_value", 5, 12)],
    "measure_of_text": [("wrong_value", 6, 12)],
    "merge_key": [("unknown_key", 2, 1), ("missing_key", 4, 5), ("unknown_key", 6, 5)],
    "missing_kind": [("missing_key", 3, 5)],
    "missing_parameter": [("missing_key", 3, 5)],
    "missing_rules": [("missing_key", 1, 1)],
    "missing_version": [("missing_key", 1, 1)],
    "never_true": [("never_true", 6, 13)],
    "never_true_together": [("never_true", 5, 12)],
    "no_bound": [("wrong_value", 4, 11)],
    "no_channel": [("no_channel", 2, 1)],
    "not_a_duration": [("wrong_value", 6, 13)],
    "not_a_mapping": [("wrong_value", 1, 1)],
    "not_utf8": [("not_yaml", 2, 11)],
    "number_for_text": [("wrong_value", 6, 14)],
    "outlier_of_text": [("wrong_value", 7, 31)],
    "outlier_of_unknown_field": [("unknown_field", 6, 31)],
    "outlier_without_percent": [("wrong_value", 6, 10)],
    "percent_for_share": [("wrong_value", 6, 26)],
    "rule_is_no_mapping": [("wrong_value", 3, 5)],
    "second_document": [("not_yaml", 6, 1)],
    "seconds_for_milliseconds": [("wrong_value", 6, 25)],
    "secret_in_file": [("secret_in_file", 9, 15)],
    "secret_in_header": [("secret_in_file", 6, 30)],
    "tab": [("not_yaml", 3, 1)],
    "tally_of_numbers": [("wrong_value", 5, 12)],
    "text_for_list": [("wrong_value", 6, 15)],
    "too_deep": [("too_large", 2, 27)],
    "too_short_every": [("wrong_value", 6, 12)],
    "unclosed_bracket": [("not_yaml", 3, 6)],
    "unclosed_quote": [("not_yaml", 3, 9)],
    "unknown_alias": [("not_yaml", 2, 8)],
    "unknown_channel": [("unknown_channel", 8, 14)],
    "unknown_channel_kind": [("unknown_kind", 3, 16)],
    "unknown_event_type": [("never_true", 6, 38)],
    "unknown_field_in_block": [("unknown_field", 8, 11)],
    "unknown_field_in_where": [("unknown_field", 6, 13)],
    "unknown_group_by": [("unknown_field", 6, 22)],
    "unknown_key": [("unknown_key", 6, 5)],
    "unknown_kind": [("unknown_kind", 4, 11)],
    "unknown_measured_field": [("unknown_field", 6, 12)],
    "unknown_reason": [("never_true", 6, 21)],
    "unknown_store": [("unknown_kind", 2, 15)],
    "unknown_suspect": [("unknown_field", 6, 16)],
    "unknown_top_key": [("unknown_key", 2, 1)],
    "unquoted_condition": [("not_yaml", 6, 22)],
    "wrong_type": [("wrong_value", 5, 15)],
    "wrong_version": [("wrong_value", 1, 10)],
}
"""File → the code, line and column of each problem. That nobody is told is left out where it is not the point."""

WARNINGS = {
    "channel_for_nobody",
    "for_too_short",
    "keep_firing_too_short",
    "no_channel",
    "percent_for_share",
    "seconds_for_milliseconds",
    "secret_in_header",
    "unknown_reason",
}
ABOUT_CHANNELS = {"no_channel", "channel_for_nobody"}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_has_its_problems_at_their_places(name: str) -> None:
    result = load_file(CORPUS / "bad" / f"{name}.yaml", registry())
    found = [
        (problem.code.value, problem.line, problem.column)
        for problem in result.problems
        if problem.code is not ProblemCode.NO_CHANNEL or name in ABOUT_CHANNELS
    ]
    assert found == EXPECTED[name]
    assert (result.config is not None) == (name in WARNINGS)


def test_every_bad_file_is_expected() -> None:
    assert {path.stem for path in (CORPUS / "bad").iterdir()} == set(EXPECTED)


def test_every_code_has_a_bad_file() -> None:
    """`unreadable` is about a file that can't be opened and has a test of its own."""
    covered = {code for problems in EXPECTED.values() for code, _, _ in problems}
    assert covered == {code.value for code in ProblemCode} - {"unreadable"}


@pytest.mark.parametrize("path", sorted((CORPUS / "bad").iterdir()), ids=lambda path: path.stem)
def test_every_message_is_a_clear_line_without_internals(path: Path) -> None:
    for problem in load_file(path, registry()).problems:
        for text in (problem.message, problem.hint or ""):
            assert text.isprintable()
            assert not any(
                word in text for word in ("Traceback", "pydantic", "ruamel", "lark", "Input should", "hunter2")
            )


NEVER = [
    ("http_status: 500 and http_status: 404", "http_status"),
    ("http_status: 500 and not http_status: 500", "http_status"),
    ("http_status > 5 and http_status < 6", "http_status"),
    ("top1_score >= 0.5 and top1_score < 0.5", "top1_score"),
    ("http_status: 5.5", "http_status"),
    ("host: (a or b) and host: (c or d)", "host"),
    ("host: a and host: b*", "host"),
    ("host: a and not host: *", "host"),
    ("resized: true and resized: false", "resized"),
    ("pid: 1 and (host: a and host: b)", "host"),
    ("(host: a and host: b) or (pid: 1 and pid: 2)", "host"),
    ("not *", "*"),
]
SOMETIMES = [
    "http_status > 5 and http_status < 7",
    "top1_score > 5 and top1_score < 6",
    "not http_status: 500 and not http_status: 404",
    "host: (a or b) and host: (b or c)",
    "host: a* and host: *b",
    "host: a or not host: *",
    "path_issues: path_nul and path_issues: path_url",
    "shape > 1000 and shape < 10",
    "not resized: true and not resized: false",
    "*",
]


@pytest.mark.parametrize(("text", "field"), NEVER)
def test_a_contradiction_is_found(text: str, field: str) -> None:
    assert never_true(parse(text)) == field


@pytest.mark.parametrize("text", SOMETIMES)
def test_what_may_hold_is_not_called_a_contradiction(text: str) -> None:
    assert never_true(parse(text)) is None


_WHERE = st.recursive(
    st.sampled_from(
        [
            "host: a",
            "host: b",
            "host: a*",
            "host: *b",
            "host: *",
            "pid: 1",
            "pid > 1",
            "pid <= 2",
            "resized: true",
            "shape: 1",
        ]
    ),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda three: f"({' '.join(three)})")
        | inner.map(lambda one: f"not ({one})")
    ),
    max_leaves=6,
)
_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["", "a", "b", "ab", "c"]),
        "pid": st.integers(0, 4),
        "resized": st.booleans(),
        "shape": st.lists(st.integers(0, 2), max_size=3),
    },
)


@given(_WHERE, st.lists(_EVENTS, min_size=5, max_size=5))
@settings(FIXED, max_examples=300)
def test_no_event_matches_what_is_called_a_contradiction(text: str, events: list[dict[str, object]]) -> None:
    condition = parse(text)
    if never_true(condition) is not None:
        assert not any(matches(condition, event) for event in events)


def test_a_default_timer_that_is_too_short_is_told_for_the_rule_it_does_not_fit() -> None:
    result = loaded(
        "version: 1\n"
        "defaults: {for: 10s}\n"
        "rules:\n"
        "  - {id: often, kind: count, at_least: 1}\n"
        "  - {id: seldom, kind: count, at_least: 1, every: 1m}\n"
    )
    short = [problem for problem in result.problems if problem.code is ProblemCode.TIMER_TOO_SHORT]
    assert [(problem.line, problem.weight) for problem in short] == [(5, Weight.WARNING)]
    assert "from defaults:" in short[0].message


def test_a_rule_that_tells_nobody_while_there_is_a_channel_is_named() -> None:
    result = loaded(
        "version: 1\n"
        "channels: {hook: {kind: webhook, url: 'https://example.com/'}}\n"
        "rules:\n"
        "  - {id: told, kind: count, at_least: 1, notify: [hook]}\n"
        "  - {id: untold, kind: count, at_least: 1}\n"
    )
    assert [(problem.code, problem.line, problem.message) for problem in result.problems] == [
        (ProblemCode.NO_CHANNEL, 5, "untold tells nobody")
    ]
