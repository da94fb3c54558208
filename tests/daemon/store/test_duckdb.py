"""What the embedded store promises beyond the protocol: its file, its journal, its faults, its plans."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from daemon.errors import StoreError, StoreUnavailable
from daemon.store.base import Ask, Batch, Checkpoint, Sample
from daemon.store.conformance.support import DAY, DAY_MS, MINUTE_MS, START_MS, batch, event, put
from daemon.store.duckdb.compile import compile_ask
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.schema import LAYOUT_VERSION
from daemon.store.duckdb.store import DuckDBStore
from detectors.condition import Always, Exists, equals
from detectors.frame import Interval
from detectors.query import Measure, Query, Runs, Statistic, Unmatched
from recognizer.events import Event, MalformedReason

PATIENCE_S = 30.0
FOLD_TEN = DuckDBParameters(fold_events=10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.duckdb"


def _events(count: int) -> list[Event]:
    return [event(index, event_id=f"e{index:06}", host=f"h{index % 3}") for index in range(count)]


def _made(path: Path) -> None:
    """A file with its tables and nothing in them."""
    store = DuckDBStore(path)
    assert store.health().events == 0
    store.close()


def _line(name: str) -> str:
    return f'{{"timestamp":{START_MS},"event_type":"input_start","event_id":"{name}"}}'


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"


def test_a_closed_store_is_one_file_that_opens_again(path: Path) -> None:
    store = DuckDBStore(path)
    store.append(batch(_events(5), Checkpoint("log", "/log", 9)))
    store.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    again = DuckDBStore(path)
    assert again.health().events == 5
    assert again.checkpoints() == {"log": Checkpoint("log", "/log", 9)}
    assert again.append(batch(_events(6))).duplicates == 5
    again.close()


def test_a_closed_store_answers_nothing(path: Path) -> None:
    """Whether it was used before or not; closing twice is fine."""
    used, unused = DuckDBStore(path), DuckDBStore(path)
    put(used, *_events(3))
    for store in (used, unused):
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.append(batch(_events(1)))
        with pytest.raises(StoreError, match="closed"):
            store.ask([])
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_making_a_store_touches_nothing(path: Path) -> None:
    DuckDBStore(path).close()
    assert not path.exists()


def test_a_full_journal_is_folded_in_the_background(path: Path) -> None:
    """Batches are taken meanwhile, in the next journal; duplicates are known wherever the first one lies."""
    store = DuckDBStore(path, FOLD_TEN)
    events = _events(95)
    for first in range(0, 95, 5):
        put(store, *events[first : first + 5])
    assert store.append(batch(events)).duplicates == 95
    _until(lambda: len(list(path.parent.glob("*.journal-*"))) <= 2)
    assert store.health().events == 95
    assert list(path.parent.glob("*.journal-*")) == []
    store.close()


def test_a_journal_without_its_trailer_was_never_accepted(path: Path) -> None:
    """What a power cut leaves of a batch is cut off; the batches before it are folded."""
    store = DuckDBStore(path)
    store.append(batch(_events(3), Checkpoint("log", "/log", 3)))
    (journal,) = path.parent.glob("*.journal-*")
    kept = journal.read_bytes()
    store.close()
    torn = kept + kept.splitlines()[0].replace(b"e000000", b"torn") + b"\n" + b'{"#batch":{"identity":"log","pa'
    path.with_name(f"{path.name}.journal-7").write_bytes(torn.replace(b"e00000", b"second-"))
    again = DuckDBStore(path)
    assert again.health().events == 6
    (found,) = again.sample([Sample(Always(), DAY, limit=100)])
    assert "torn" not in {each.event_id for each in found}
    assert again.append(batch(_events(3))).duplicates == 3
    again.close()


def test_a_batch_may_lie_in_two_journals(path: Path) -> None:
    """What is folded is whole groups of rows; the batch and its checkpoint stay one."""
    store = DuckDBStore(path, FOLD_TEN)
    events = _events(70)
    for number, (first, behind) in enumerate([(0, 7), (7, 14), (14, 14), (14, 25), (25, 60), (60, 70)]):
        store.append(batch(events[first:behind], Checkpoint("log", "/log", number)))
        assert store.append(batch(events[:behind])).duplicates == behind
    assert store.health().events == 70
    assert store.checkpoints()["log"].offset == 5
    store.close()


@pytest.mark.parametrize(
    ("rest", "names"),
    [
        ([], {"a"}),
        (["c"], {"a"}),
        (["c", '{"#batch":{"identity":"log","path":"/log","offset":8},"continued":false}'], {"a", "b", "c"}),
    ],
    ids=["missing", "torn", "whole"],
)
def test_a_parted_batch_counts_once_its_rest_is_there(path: Path, rest: list[str], names: set[str]) -> None:
    """The first part fills a journal, the rest begins the next, wherever the process died in between."""
    _made(path)
    first = ["a", '{"#batch":null,"continued":false}', "b", '{"#batch":null,"continued":true}']
    for generation, lines in ((8, first), (9, rest)):
        content = "".join(f"{line if line.startswith('{') else _line(line)}\n" for line in lines)
        path.with_name(f"{path.name}.journal-{generation}").write_text(content)
    store = DuckDBStore(path)
    (found,) = store.sample([Sample(Always(), DAY)])
    assert {each.event_id for each in found} == names
    assert ("log" in store.checkpoints()) == ("c" in names)
    store.close()


def test_a_journal_that_was_folded_is_not_folded_again(path: Path) -> None:
    """The process may die after the fold and before the file is removed."""
    store = DuckDBStore(path)
    store.append(batch(_events(4)))
    (journal,) = path.parent.glob("*.journal-*")
    content = journal.read_bytes()
    assert store.health().events == 4
    store.close()
    journal.write_bytes(content)
    again = DuckDBStore(path)
    assert again.health().events == 4
    assert not journal.exists()
    again.close()


def test_a_line_that_no_table_holds_spoils_no_other(path: Path) -> None:
    """It is told as refused by the append after the fold, with what was wrong."""
    store = DuckDBStore(path)
    events = _events(50)
    events[17].pid = 2**63
    events[42].shape = [1, 2**70]
    store.append(batch(events, Checkpoint("log", "/log", 1)))
    assert store.health().events == 48
    assert "log" in store.checkpoints()
    refused = store.append(Batch((), ())).refused
    assert [each.reason for each in refused] == [MalformedReason.REFUSED_BY_STORE] * 2
    assert [b"e000017" in refused[0].line, b"e000042" in refused[1].line] == [True, True]
    assert "9223372036854775808" in refused[0].detail
    assert store.append(Batch((), ())).refused == ()
    store.close()


def test_extra_that_is_no_json_is_refused_at_once(path: Path) -> None:
    store = DuckDBStore(path)
    good, bad = event(0, extra={"fine": 1}), event(1, extra={"half": "\ud800"})
    appended = store.append(Batch([good, bad], [b"{}", b'{"half":"..."}']))
    assert (appended.stored, len(appended.refused)) == (1, 1)
    assert appended.refused[0].line == b'{"half":"..."}'
    store.close()


def test_an_older_file_gets_the_columns_it_lacks(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE events (timestamp BIGINT, event_type VARCHAR, event_id VARCHAR)")
        connection.execute("INSERT INTO events VALUES (?, 'input_start', 'old')", [START_MS])
    store = DuckDBStore(path)
    put(store, event(1, event_id="new", host="h", shape=[1]))
    (found,) = store.sample([Sample(Always(), DAY, newest_first=False)])
    assert [(each.event_id, each.host) for each in found] == [("old", None), ("new", "h")]
    store.close()


def test_a_newer_file_is_left_alone(path: Path) -> None:
    _made(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE layout SET version = ?", [LAYOUT_VERSION + 1])
    with pytest.raises(StoreError, match="newer version") as caught:
        DuckDBStore(path).append(batch(_events(1)))
    assert "newer version" in caught.value.hint


def test_a_column_of_another_type_is_named(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE events (timestamp BIGINT, event_type VARCHAR, pid VARCHAR)")
    with pytest.raises(StoreError, match="pid as VARCHAR, this version needs BIGINT"):
        DuckDBStore(path).checkpoints()


@pytest.mark.parametrize("content", [b"", b"not a database\n" * 1_000], ids=["empty", "text"])
def test_a_file_of_something_else_says_how_to_set_it_aside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = DuckDBStore(path)
    with pytest.raises(StoreError, match="damaged or no event file") as caught:
        store.append(batch(_events(1)))
    assert f"mv -- {path} {path}.damaged" in caught.value.hint
    assert not isinstance(caught.value, StoreUnavailable)
    assert path.read_bytes() == content
    health = store.health()
    assert not health.ok
    assert "damaged" in health.detail


def test_a_cut_off_file_is_called_damaged(path: Path) -> None:
    store = DuckDBStore(path)
    put(store, *_events(500))
    store.close()
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(StoreError, match="damaged"):
        DuckDBStore(path).ask([])


def test_a_missing_folder_may_come_later(path: Path) -> None:
    """The store is unavailable until the folder is there; the same object then works."""
    inside = path.parent / "later" / "events.duckdb"
    store = DuckDBStore(inside)
    with pytest.raises(StoreUnavailable):
        store.append(batch(_events(1)))
    inside.parent.mkdir()
    assert store.append(batch(_events(1))).stored == 1
    store.close()


def test_expiring_gives_the_space_back(path: Path) -> None:
    store = DuckDBStore(path, DuckDBParameters(wal_limit="1MB"))
    old = [event(-DAY_MS + index, error=f"{index:05}" * 40) for index in range(20_000)]
    put(store, *old, event(0))
    store.health()
    assert store.expire(START_MS) == 20_000
    put(store, *[event(1 + index, error=f"{index:05}" * 40) for index in range(100)])
    assert store.health().events == 101
    store.close()
    with duckdb.connect(str(path)) as connection:
        (row,) = connection.execute("SELECT used_blocks FROM pragma_database_size()").fetchall()
    assert row[0] * 262_144 < 20_000 * 200


def test_a_query_reads_only_the_time_it_asks_for(path: Path) -> None:
    """Rows lie in order of time, so DuckDB skips the groups of rows that an interval doesn't touch."""
    _made(path)
    noon_ms = START_MS + DAY_MS // 2
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO events BY NAME SELECT ? + range * 216 AS timestamp, 'input_start' AS event_type, "
            "range::VARCHAR AS event_id, 'h' || range % 8 AS host, "
            "CASE WHEN range % 9 = 0 THEN 'x' END AS reason FROM range(400_000)",
            [START_MS],
        )
        measures = (Measure("n"), Runs("runs", "reason", 3))
        query = Query(where=Exists("host"), group_by=("host",), measures=measures)
        ask = Ask(query, Interval(noon_ms, noon_ms + MINUTE_MS), noon_ms)
        for sql in compile_ask(ask).statements():
            (plan,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.text}", sql.parameters).fetchall()
            assert 0 < json.loads(plan[1])["query"]["total_rows_scanned"] <= 122_880


def test_explain_is_sql_that_runs(path: Path) -> None:
    """Every statement of the explanation with its parameters gives what ask gives."""
    store = DuckDBStore(path)
    put(store, *_events(9))
    query = Query(
        where=equals("host", "h1"),
        group_by=("host", "path_issues"),
        measures=(
            Measure("p95", Statistic.PERCENTILE, "duration_ms", 95.0),
            Runs("runs", "reason", 2),
            Unmatched("lost", "request_id", Exists("host"), Exists("reason")),
        ),
        top=3,
    )
    ask = Ask(query, DAY, START_MS)
    text = store.explain(ask)
    assert text.count("-- parameters:") == 3
    assert "'h1'" in text
    store.close()
    with duckdb.connect(str(path)) as connection:
        for sql in compile_ask(ask).statements():
            assert sql.text in text
            connection.execute(sql.text, sql.parameters).fetchall()


def test_values_are_never_part_of_the_sql(path: Path) -> None:
    hostile = "x' OR 1=1; DROP TABLE events; --"
    query = Query(where=equals("host", hostile), measures=(Measure("n", where=equals("reason", hostile)),))
    for sql in compile_ask(Ask(query, DAY, START_MS)).statements():
        assert "DROP" not in sql.text
        assert sql.parameters.count(hostile) == 2


def test_what_a_store_holds_in_memory_is_gone_with_it() -> None:
    store = DuckDBStore(None)
    put(store, *_events(3))
    assert "in memory" in store.health().detail
    store.close()
    assert DuckDBStore(None).health().events == 0


@pytest.mark.parametrize(
    "wrong",
    [{"memory_limit": "64MB"}, {"memory_limit": "lots"}, {"threads": 0}, {"fold_events": 0}, {"colour": "red"}],
    ids=str,
)
def test_parameters_that_can_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DuckDBParameters(**wrong)
    assert DuckDBParameters(memory_limit="1GiB", threads=4).threads == 4
