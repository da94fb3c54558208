"""The parts of the Elasticsearch store that need no server."""

import math
import random
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import StoreError
from daemon.store.base import Ask, Checkpoint
from daemon.store.conformance.support import DAY, DAY_MS, START_MS, batch, event
from daemon.store.elastic.bulk import document_id
from daemon.store.elastic.files import CheckpointFile, DeadLetters, read_dead_letters
from daemon.store.elastic.filters import clause
from daemon.store.elastic.replies import mended
from daemon.store.elastic.runs import Span, from_outcomes, from_spans
from daemon.store.elastic.searches import Search, index_day_ms, index_name, index_names, table
from daemon.store.elastic.verdicts import Verdict, judge, way_out
from detectors.condition import And, AnyCharacter, Compare, Not, Op, Or, Wildcard, equals
from detectors.frame import Interval
from detectors.query import Query
from recognizer.events import Malformed, MalformedReason

OUTCOMES = st.lists(st.sampled_from([None, "a", "b"]), min_size=1, max_size=12)


@given(outcomes=OUTCOMES, steps=st.lists(st.integers(0, 2), min_size=12, max_size=12), at_least=st.integers(1, 3))
def test_spans_either_tell_the_runs_or_say_that_they_do_not(
    outcomes: list[str | None], steps: list[int], at_least: int
) -> None:
    """Whatever is concluded from first and last times must be what the events themselves say."""
    times = [sum(steps[: index + 1]) for index in range(len(outcomes))]
    spans = []
    for value in dict.fromkeys(outcomes):
        of_value = [time for time, outcome in zip(times, outcomes, strict=False) if outcome == value]
        spans.append(Span(value, len(of_value), of_value[0], of_value[-1]))
    random.Random(len(outcomes)).shuffle(spans)
    concluded = from_spans(spans, at_least)
    if concluded is not None:
        assert concluded == from_outcomes(zip(outcomes, times, strict=False), at_least)


@pytest.mark.parametrize(
    ("outcomes", "open_"),
    [
        ([None, None, "a", None], False),
        ([None, "a", None, "b", None], False),
        (["a", "a", None, None, "b"], False),
        (["a", None, "a"], True),
        ([None, "a", None, "a", None], True),
    ],
)
def test_only_interleaved_outcomes_are_left_open(outcomes: list[str | None], open_: bool) -> None:
    spans = [
        Span(value, outcomes.count(value), outcomes.index(value), len(outcomes) - 1 - outcomes[::-1].index(value))
        for value in dict.fromkeys(outcomes)
    ]
    assert (from_spans(spans, 2) is None) is open_


@pytest.mark.parametrize(
    ("status", "kind", "reason", "verdict"),
    [
        (201, "", "", Verdict.STORED),
        (409, "version_conflict_engine_exception", "", Verdict.DUPLICATE),
        (429, "es_rejected_execution_exception", "", Verdict.RETRY),
        (429, "cluster_block_exception", "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage", Verdict.RETRY),
        (503, "unavailable_shards_exception", "", Verdict.RETRY),
        (400, "document_parsing_exception", "", Verdict.POISON),
        (400, "strict_dynamic_mapping_exception", "", Verdict.POISON),
        (500, "not_x_content_exception", "", Verdict.POISON),
        (400, "illegal_argument_exception", "Document contains at least one immense term", Verdict.POISON),
        (400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", Verdict.POISON),
        (400, "illegal_argument_exception", "pipeline with id [x] does not exist", Verdict.OPERATOR),
        (400, "illegal_argument_exception", "no write index is defined for alias [x]", Verdict.OPERATOR),
        (400, "index_closed_exception", "closed", Verdict.OPERATOR),
        (400, "validation_exception", "maximum normal shards open", Verdict.OPERATOR),
        (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)]", Verdict.OPERATOR),
        (404, "index_not_found_exception", "no such index", Verdict.OPERATOR),
        (418, "teapot_exception", "new in version 12", Verdict.OPERATOR),
    ],
)
def test_every_error_has_its_verdict(status: int, kind: str, reason: str, verdict: Verdict) -> None:
    assert judge(status, kind, reason) is verdict
    if verdict is Verdict.OPERATOR:
        assert "wumu" in way_out(kind, reason) or "prefix" in way_out(kind, reason)


def test_indices_are_utc_days() -> None:
    assert index_name("wumu", START_MS) == "wumu-2026.03.29"
    assert index_name("wumu", START_MS - 1) == "wumu-2026.03.28"
    assert index_names("wumu", Interval(START_MS - 1, START_MS + 1)) == "wumu-2026.03.28,wumu-2026.03.29"
    assert index_names("wumu", Interval(START_MS, START_MS + DAY_MS)) == "wumu-2026.03.29"
    assert index_names("wumu", Interval(START_MS, START_MS)) == "wumu-2026.03.29"
    assert index_names("wumu", Interval(START_MS, START_MS + 400 * DAY_MS)) == "wumu-*.*.*"
    assert index_names("wumu", Interval(-(2**62), -(2**62) + 5)) == "wumu-*.*.*"


@pytest.mark.parametrize("timestamp_ms", [2**62, -(2**62), 253_402_300_800_000])
def test_times_outside_of_all_calendars_have_no_index(timestamp_ms: int) -> None:
    with pytest.raises(OverflowError):
        index_name("wumu", timestamp_ms)


@given(st.integers(-1_000_000, 20_000_000))
def test_an_index_name_tells_its_day(minutes: int) -> None:
    at = minutes * 60_000
    assert index_day_ms("a-b", index_name("a-b", at)) == at // DAY_MS * DAY_MS


@pytest.mark.parametrize("name", ["wumu-2026.3.29", "wumu-2026.03.29-1", "wumu-events", "other-2026.03.29", "wumu-"])
def test_foreign_indices_are_not_ours(name: str) -> None:
    assert index_day_ms("wumu", name) is None


@given(st.text(max_size=600))
def test_document_ids_are_the_event_ids_wherever_elasticsearch_takes_them(event_id: str) -> None:
    made = document_id(event_id)
    assert 1 <= len(made.encode()) <= 512
    assert (made == event_id) == (1 <= len(event_id.encode()) <= 512)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), st.integers(0xD800, 0xDFFF), st.booleans())
def test_mended_json_differs_in_the_lone_surrogates_alone(text: str, surrogate: int, escaped: bool) -> None:
    clean = orjson.dumps({"t": text, "emoji": "🦁", "backslash": "\\ud800"})
    assert orjson.loads(mended(clean)) == orjson.loads(clean)
    lone = b"\\\\" * escaped + b"\\u%04x" % surrogate
    broken = b'{"a":"x' + lone + b'y","b":"\\ud83e\\udd81"}'
    assert orjson.loads(mended(broken)) == {"a": "x" + "\\" * escaped + "\ufffdy", "b": "🦁"}


def test_negations_cancel_and_flat_lists_stay_flat() -> None:
    """Elasticsearch refuses queries that are nested more than thirty deep."""
    deep = equals("host", "h")
    wide = deep
    for _ in range(100):
        wide = And((wide, deep))
    assert clause(Not(Not(deep))) == clause(deep)
    assert len(clause(wide)["bool"]["filter"]) == 101
    assert clause(And(())) == {"match_all": {}}
    assert clause(Or(())) == clause(Or((Or(()),))) == {"match_none": {}}


@pytest.mark.parametrize(
    ("op", "value", "bounds"),
    [
        (Op.GT, 1.5, {"gte": 2}),
        (Op.GE, 1.5, {"gte": 2}),
        (Op.LT, 1.5, {"lte": 1}),
        (Op.LE, 1.5, {"lte": 1}),
        (Op.LT, 2, {"lte": 1}),
        (Op.GT, 2**70, None),
        (Op.LT, 2**70, {"lte": 2**63 - 1}),
        (Op.EQ, 2**70, None),
        (Op.EQ, 1.5, None),
        (Op.LT, math.inf, {"lte": 2**63 - 1}),
        (Op.GT, math.inf, None),
        (Op.EQ, math.nan, None),
        (Op.GE, math.nan, None),
    ],
)
def test_integers_are_compared_within_their_64_bits(op: Op, value: float, bounds: dict[str, int] | None) -> None:
    found = clause(Compare("pid", op, value))
    if bounds is None:
        assert found == {"match_none": {}}
    else:
        assert found["range"]["pid"].items() >= bounds.items()


def test_patterns_keep_their_literal_characters() -> None:
    assert clause(Wildcard("host", "a?b\\*")) == {"wildcard": {"host": {"value": "a\\?b\\\\*"}}}
    assert clause(Wildcard("host", "a?b")) == {"term": {"host": "a?b"}}
    assert clause(Wildcard("host", "**")) == {"exists": {"field": "host"}}
    assert clause(AnyCharacter("host", ((0xD800, 0xDFFF),))) == {"match_none": {}}


def test_many_character_ranges_fit_elasticsearchs_limit() -> None:
    ranges = tuple((0x20000 + i * 4, 0x20000 + i * 4 + 1) for i in range(1_000))
    parts = clause(AnyCharacter("host", ranges))["bool"]["should"]
    assert max(len(part["regexp"]["host"]["value"]) for part in parts) < 1_000


def test_a_question_that_json_can_not_hold_is_a_store_error() -> None:
    ask = Ask(Query(where=equals("host", "half \ud83d")), DAY, START_MS)
    with pytest.raises(StoreError, match="can't be written"):
        table(ask, ask.query.measures, bucket_ms=60_000).lines("wumu")


def test_a_next_page_leaves_the_search_itself_alone() -> None:
    ask = Ask(Query(group_by=("host",)), DAY, START_MS)
    first = table(ask, ask.query.measures, bucket_ms=60_000)
    before = first.lines("wumu")
    second: Search = first.after({"k0": "a", "bucket": 5})
    assert first.lines("wumu") == before
    assert second.body["aggs"]["rows"]["composite"]["after"] == {"k0": "a", "bucket": 5}


def test_checkpoints_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    CheckpointFile(path).save(Checkpoint("a", "/a", 1))
    file = CheckpointFile(path)
    file.save(Checkpoint("b", "/b\u200b", 2**40))
    assert CheckpointFile(path).all() == {"a": Checkpoint("a", "/a", 1), "b": Checkpoint("b", "/b\u200b", 2**40)}


def test_a_damaged_checkpoint_file_is_said_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    path.write_bytes(b'[{"identity":')
    with pytest.raises(StoreError, match="damaged") as caught:
        CheckpointFile(path)
    assert "move it away" in caught.value.hint


def test_files_in_a_folder_that_is_gone_are_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(StoreError, match="can't be written"):
        CheckpointFile(gone / "checkpoints.json").save(Checkpoint("a", "/a", 1))
    letter = Malformed(b"\xff{}", MalformedReason.REFUSED_BY_STORE, "detail", "hint")
    with pytest.raises(StoreError, match="can't be written"):
        DeadLetters(gone / "letters").append([letter], "/l")
    DeadLetters(tmp_path / "letters").append([letter], "/l")
    with (tmp_path / "letters").open("ab") as file:
        file.write(b'{"line":"torn by a cr')
    DeadLetters(tmp_path / "letters").append([letter], "/m")
    assert [(each.line, file) for each, file in read_dead_letters(tmp_path / "letters")] == [
        ("\ufffd{}".encode(), "/l"),
        ("\ufffd{}".encode(), "/m"),
    ]
    assert list(read_dead_letters(gone)) == []


def _dead(*timestamps_ms: int) -> list[Malformed]:
    lines = [b'{"timestamp":%d,"event_type":"a"}' % timestamp_ms for timestamp_ms in timestamps_ms]
    return [Malformed(line, MalformedReason.REFUSED_BY_STORE, "detail", "hint") for line in lines]


def _kept_ms(path: Path) -> list[int]:
    return [orjson.loads(each.line)["timestamp"] for each, _ in read_dead_letters(path)]


def test_dead_letters_of_old_events_go(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    letters = DeadLetters(path)
    letters.expire(7)
    letters.append(_dead(5, 9, 6, 7), "/l")
    letters.expire(7)
    assert _kept_ms(path) == [9, 7]
    before = path.stat().st_ino
    letters.expire(7)
    assert path.stat().st_ino == before, "nothing to do: the file is not written anew"
    letters.append(_dead(8), "/l")
    assert _kept_ms(path) == [9, 7, 8]


def test_a_full_file_of_dead_letters_keeps_the_newest_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "letters"
    letters = DeadLetters(path, limit_bytes=4_000)
    for number in range(200):
        letters.append(_dead(number), "/l")
        assert path.stat().st_size <= 4_000
    kept = _kept_ms(path)
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) > 10
    gone = [int(found[1]) for record in caplog.records if (found := re.search(r"oldest (\d+) lines", record.message))]
    assert sum(gone) == 200 - len(kept)


def test_a_batch_of_the_conformance_suite_is_what_ingest_hands_over() -> None:
    """The suite's lines begin with a brace and a first field: what the splice of @timestamp rests on."""
    assert all(line.startswith(b'{"') for line in batch([event(), event(1, host="h")]).lines)
