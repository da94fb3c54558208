"""How a problem is shown: the line, a caret at the right characters, the hint; hostile text made visible."""

import json
import textwrap

import pytest

from rules.problems import Problem, ProblemCode, Weight, render, to_json


def problem(line: int, column: int, width: int = 1, hint: str | None = None, file: str = "alerts.yaml") -> Problem:
    return Problem(
        code=ProblemCode.UNKNOWN_KEY, message="what", file=file, line=line, column=column, width=width, hint=hint
    )


def test_a_problem_is_shown_with_its_line_a_caret_and_a_hint() -> None:
    shown = render(problem(2, 3, 4, "do this"), "a: 1\n  kidn: streak\n")
    assert shown == textwrap.dedent("""\
        alerts.yaml:2:3: error: what [unknown_key]
            2 |   kidn: streak
              |   ^^^^
                hint: do this""")


def test_a_warning_says_so() -> None:
    warning = Problem(
        code=ProblemCode.NO_CHANNEL, message="m", file="f", line=1, column=1, weight=Weight.WARNING, hint=None
    )
    assert render(warning, "x").startswith("f:1:1: warning: m [no_channel]")


@pytest.mark.parametrize(
    ("line", "column", "carets"),
    [
        ("abc", 3, "  ^"),
        ("中文c", 3, "    ^"),
        ("\tc", 2, " ^"),
        ("a\u200bc", 3, "         ^"),
        ("e\u0301c", 3, " ^"),
    ],
)
def test_the_caret_stands_below_its_character_in_a_terminal(line: str, column: int, carets: str) -> None:
    """Wide characters take two cells, combining ones none, invisible ones as many as their name."""
    assert render(problem(1, column), line).splitlines()[2] == f"      | {carets}"


def test_an_invisible_character_is_underlined_as_it_is_shown() -> None:
    assert render(problem(1, 2, 1), "a\u202eb").splitlines()[1:] == ["    1 | a‹U+202E›b", "      |  ^^^^^^^^"]


def test_a_long_line_is_cut_around_the_problem() -> None:
    """A line of a megabyte must not fill the terminal, and the caret must still be right."""
    shown = render(problem(1, 500_001), "a" * 500_000 + "b" + "c" * 500_000).splitlines()
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^")] == "b"


def test_control_sequences_do_not_reach_the_terminal() -> None:
    shown = render(problem(1, 1, file="a\x1b[2J\n.yaml"), "\x1b]0;owned\x07")
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3


@pytest.mark.parametrize(
    "line",
    [
        "    password: hunter2",
        "  {kind: mail, password: hunter2, port: 25}",
        "  api_key: 'hunter2'",
        '  "secret": "hunter2"',
        "    headers: {Authorization: Bearer hunter2}",
        "    url: https://me:hunter2@example.com/",
        "    token: hunter2",
    ],
)
def test_a_secret_in_the_line_is_not_printed(line: str) -> None:
    shown = render(problem(1, 1), line)
    assert "hunter2" not in shown
    assert "****" in shown
    assert len(shown.splitlines()[1]) == len("    1 | ") + len(line)


def test_the_place_of_a_secret_is_printed() -> None:
    assert "{file: /etc/wumu/key}" in render(problem(1, 1), "password: {file: /etc/wumu/key}")


def test_a_place_past_the_end_is_shown_without_a_line() -> None:
    assert render(problem(9, 1), "a") == "alerts.yaml:9:1: error: what [unknown_key]"


def test_json_holds_every_field() -> None:
    assert json.loads(json.dumps(to_json(problem(2, 3, 4, "do this")))) == {
        "code": "unknown_key",
        "message": "what",
        "file": "alerts.yaml",
        "line": 2,
        "column": 3,
        "width": 4,
        "hint": "do this",
        "weight": "error",
    }
