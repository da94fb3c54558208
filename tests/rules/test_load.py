"""alerts.yaml becomes a configuration, or every problem at once; whatever the text is, it is never an exception."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.plugins import registry
from detectors.condition import Not, Wildcard, all_of, any_of, equals
from detectors.matching.ratio import Ratio
from detectors.matching.streak import Streak
from rules.load import load_bytes, load_file
from rules.model import SUSPECT_FIELDS, IngestConfig, Language, Policy, Severity
from rules.problems import ProblemCode
from rules.yaml_read import MAX_BYTES, read
from tests.support.rules import CORPUS, FIXED, config_of, loaded

ONE_RULE = "version: 1\nrules:\n  - id: a\n    kind: count\n    at_least: 3\n"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize("path", sorted((CORPUS / "good").iterdir()), ids=lambda path: path.stem)
def test_a_good_file_loads_without_an_error(path: Path) -> None:
    result = load_file(path, registry())
    assert result.config is not None
    assert {problem.code for problem in result.problems} <= {ProblemCode.NO_CHANNEL}


def test_everything_a_file_may_say_arrives() -> None:
    config = config_of((CORPUS / "good" / "full.yaml").read_text(encoding="utf-8"))
    assert config.language is Language.ZH
    assert config.ingest == IngestConfig(
        enabled=False,
        paths=("/var/log/recognizer/*.log",),
        poll_ms=2_000,
        max_age_ms=7 * DAY,
        max_future_ms=10 * MINUTE,
    )
    assert (config.tick_ms, config.catch_up_ms, config.retention_ms) == (10_000, 12 * HOUR, 14 * DAY)
    assert config.time_zone == "UTC"
    assert config.store is not None
    assert config.store.kind == "duckdb"
    assert {name: plugin.kind for name, plugin in config.channels.items()} == {"mail-ops": "mail", "hook": "webhook"}
    streak, ratio = config.rules
    assert (streak.id, streak.summary, streak.severity) == (
        "path-errors-in-a-row",
        "同一个路径错误连续出现",
        Severity.CRITICAL,
    )
    assert streak.policy == Policy(for_ms=0, keep_firing_for_ms=5 * MINUTE, repeat_every_ms=4 * HOUR)
    assert (streak.notify, streak.every_ms) == (("mail-ops", "hook"), 30_000)
    assert (streak.runbook, streak.suspects) == ("https://wiki.example.com/path-errors", ("host", "file_dir"))
    assert isinstance(streak.detector, Streak)
    assert (streak.detector.times, streak.detector.group_by) == (4, ("host",))
    assert (ratio.severity, ratio.notify, ratio.suspects) == (Severity.INFO, ("mail-ops",), SUSPECT_FIELDS)
    assert ratio.policy == Policy(for_ms=MINUTE, keep_firing_for_ms=10 * MINUTE, repeat_every_ms=DAY)


def test_conditions_in_block_scalars_are_parsed() -> None:
    config = config_of((CORPUS / "good" / "full.yaml").read_text(encoding="utf-8"))
    detector = config.rules[1].detector
    assert isinstance(detector, Ratio)
    both = any_of(equals("event_type", "input_error"), equals("event_type", "input_success"))
    assert detector.where == all_of(both, Not(Wildcard("file_path", "*/test/*")))
    assert detector.bad == equals("event_type", "input_error")


def test_a_rule_that_is_switched_off_is_checked_and_left_out() -> None:
    off = ONE_RULE + "    enabled: false\n"
    assert config_of(off).rules == ()
    assert loaded(off.replace("at_least: 3", "at_least: many")).config is None


def test_what_nobody_says_is_the_default() -> None:
    config = config_of(ONE_RULE)
    rule = config.rules[0]
    assert (rule.severity, rule.notify, rule.runbook) == (Severity.WARNING, (), None)
    assert rule.policy == Policy(for_ms=0, keep_firing_for_ms=5 * MINUTE, repeat_every_ms=4 * HOUR)
    assert (config.store, config.channels, config.language) == (None, {}, Language.EN)


@pytest.mark.parametrize(
    ("rule", "every_ms"),
    [
        ("kind: count\n    at_least: 3", 5_000),
        ("kind: ratio\n    bad: 'resized: true'\n    above: 0.5\n    window: 10m", 60_000),
        (
            "kind: threshold\n    measure: cardinality\n    field: host\n    above: 1\n    window: 2m",
            120_000,
        ),
        ("kind: count\n    at_least: 3\n    every: 1m", 60_000),
    ],
)
def test_a_rule_is_evaluated_as_often_as_it_can_say_something_new(rule: str, every_ms: int) -> None:
    """Open buckets every five seconds, closed ones when they close, unless the rule says otherwise."""
    assert config_of(f"version: 1\nrules:\n  - id: a\n    {rule}\n").rules[0].every_ms == every_ms


def test_an_alert_of_a_rule_that_is_seldom_evaluated_lives_until_the_next_time() -> None:
    seldom = config_of(ONE_RULE + "    every: 6h\n")
    assert seldom.rules[0].policy == Policy(keep_firing_for_ms=18 * HOUR, repeat_every_ms=6 * HOUR)
    assert ProblemCode.TIMER_TOO_SHORT not in {
        problem.code for problem in loaded(ONE_RULE + "    every: 6h\n").problems
    }


def test_problems_of_every_part_are_told_at_once_in_the_order_of_the_file() -> None:
    result = loaded(
        "version: 2\n"
        "tick: soon\n"
        "channels:\n  a: {kind: pigeon}\n"
        "defaults: {severity: bad}\n"
        "rules:\n"
        "  - id: one\n    kind: count\n    where: 'hots: a'\n    at_least: x\n    group_by: [hots]\n"
        "  - id: two\n    kind: nonsense\n    for: ever\n"
    )
    assert result.config is None
    assert [(problem.line, problem.code) for problem in result.problems if problem.weight == "error"] == [
        (1, ProblemCode.WRONG_VALUE),
        (2, ProblemCode.WRONG_VALUE),
        (4, ProblemCode.UNKNOWN_KIND),
        (5, ProblemCode.WRONG_VALUE),
        (9, ProblemCode.UNKNOWN_FIELD),
        (10, ProblemCode.WRONG_VALUE),
        (11, ProblemCode.UNKNOWN_FIELD),
        (13, ProblemCode.UNKNOWN_KIND),
        (14, ProblemCode.WRONG_VALUE),
    ]


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ("where: 'host: a and my_own_field > 3'", 25),
        ("group_by: [host, my_own_field]", 22),
        ("suspects: [my_own_field]", 16),
    ],
)
def test_a_field_of_ones_own_is_told_what_becomes_of_it(written: str, column: int) -> None:
    """The events do have it: to say that no event has would send people looking in the wrong place."""
    (problem,) = (one for one in loaded(f"{ONE_RULE}    {written}\n").problems if one.weight == "error")
    assert (problem.line, problem.column, problem.width) == (6, column, len("my_own_field"))
    assert problem.message == '"my_own_field" is no field that can be asked for'
    assert problem.hint is not None
    assert problem.hint.startswith("a field of your own is kept in the events but can't be asked for")


OUTLIER = "version: 1\nrules:\n  - id: a\n    kind: outlier\n"


@pytest.mark.parametrize(
    ("written", "column", "says"),
    [
        ("    retrain_every: 1s\n", 20, "write 5m or longer"),
        ("    measures: [{measure: count}, {measure: count}]\n", 15, "count stands here twice"),
        ("    measures: []\n", 15, "{measure: count}"),
    ],
)
def test_a_value_that_makes_no_sense_beside_others_is_placed_where_it_stands(
    written: str, column: int, says: str
) -> None:
    (problem,) = [one for one in loaded(OUTLIER + written).problems if one.code is ProblemCode.WRONG_VALUE]
    assert (problem.line, problem.column) == (5, column)
    assert says in problem.message


def test_an_unknown_key_is_not_mistaken_for_one_that_is_written() -> None:
    """`kind` is the nearest to `window`, and it stands there already."""
    problem = next(one for one in loaded(f"{ONE_RULE}    window: 5m\n").problems if one.weight == "error")
    assert (problem.code, problem.line) == (ProblemCode.UNKNOWN_KEY, 6)
    assert "kind" not in (problem.hint or "")


def test_a_retention_that_would_empty_the_store_is_refused() -> None:
    problem = next(one for one in loaded(f"{ONE_RULE}retention: 1ms\n").problems if one.weight == "error")
    assert (problem.line, problem.message) == (6, 'retention: "1ms" is out of range: at least 1h')


PLACES = [
    # the condition as it is written in the file, line and column of its last word `zz`
    ("where: 'host: \"b''c\" and  zz: 1'", 6, 31),
    ('where: "host: \\"b\\" and \\\n      zz: 1"', 7, 7),
    ('where: "host: b\\x20and host: \\u7a7a\\tor zz: 1"', 6, 45),
    ("where: >-\n      host: b\n       and\n      zz: 1", 9, 7),
    ("where: | # why\n      host: b\n\n        and zz: 1", 9, 13),
    ("where: host:b\n      and zz:1", 7, 11),
    ("where: 'host: 中文 and zz: 1'", 6, 26),
]


@pytest.mark.parametrize(("written", "line", "column"), PLACES)
def test_an_error_in_a_condition_is_placed_in_the_file(written: str, line: int, column: int) -> None:
    """Quoting, folding, escapes and indentation of YAML move the characters; the caret follows them."""
    result = loaded(f"{ONE_RULE}    {written}\n")
    problem = next(one for one in result.problems if one.code is ProblemCode.UNKNOWN_FIELD)
    assert (problem.line, problem.column, problem.width) == (line, column, 2)


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    result = load_file(tmp_path / "none.yaml", registry())
    assert result.config is None
    assert [(one.code, one.message) for one in result.problems] == [
        (ProblemCode.UNREADABLE, "can't be read: No such file or directory")
    ]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert load_file(tmp_path, registry()).problems[0].code is ProblemCode.UNREADABLE


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text("#" * (MAX_BYTES + 1), encoding="utf-8")
    assert [problem.code for problem in load_file(path, registry()).problems] == [ProblemCode.TOO_LARGE]


def test_a_character_cut_by_the_size_limit_is_still_too_large(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text("#" * MAX_BYTES + "文", encoding="utf-8")
    assert [problem.code for problem in load_file(path, registry()).problems] == [ProblemCode.TOO_LARGE]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o10", 8),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("", None),
        ("1e3", 1000.0),
        ("'5'", "5"),
        ("=", "="),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(scalar: str, value: object) -> None:
    document = read(f"a: {scalar}\n", "f").document
    assert document is not None
    assert document.plain(("a",)) == value
    assert type(document.plain(("a",))) is type(value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'a: "\\UFFFFFFFF"')
@example(b"a: .inf\nb: .nan")
@example(b"\xef\xbb\xbf")
@settings(FIXED)
def test_any_bytes_are_a_configuration_or_problems(data: bytes) -> None:
    result = load_bytes(data, "f", registry())
    assert result.config is not None or result.problems


_WORDS = [
    "version",
    "rules",
    "id",
    "kind",
    "where",
    "count",
    "ratio",
    "host: a",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
]
_MORE = [
    "\n",
    "\n  ",
    "\n    ",
    "1",
    "5m",
    "&a",
    "*a",
    "!!str ",
    "|",
    ">-",
    "#",
    "channels",
    "notify",
    "\t",
    "\u2028",
    "<<",
]


@given(st.lists(st.sampled_from(_WORDS + _MORE), max_size=30).map("".join))
@settings(FIXED, max_examples=300)
def test_any_yaml_like_text_is_a_configuration_or_problems(text: str) -> None:
    result = loaded(text)
    assert result.config is not None or result.problems
    for problem in result.problems:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1


_VALUES = st.sampled_from(
    ["5", "-1", "x", "[]", "{}", "~", "true", "1e400", ".nan", "'host: a'", "[5]", "{a: 1}", '""', "30s"]
)


@given(st.data())
@settings(FIXED, max_examples=300)
def test_any_value_under_any_key_is_taken_or_refused_with_a_place(data: st.DataObject) -> None:
    """No value makes a detector, a channel or a store raise anything that is not a problem of the file."""
    known = registry()
    kind = data.draw(st.sampled_from(sorted(known.detectors)))
    keys = [*known.detectors[kind].model_fields, "for", "notify", "suspects", "every", "severity", "runbook"]
    lines = [f"    {key}: {data.draw(_VALUES)}" for key in data.draw(st.lists(st.sampled_from(keys), unique=True))]
    result = loaded("\n".join(["version: 1", "rules:", f"  - id: a\n    kind: {kind}", *lines]))
    assert result.config is not None or all(1 <= problem.line <= len(lines) + 4 for problem in result.problems)
