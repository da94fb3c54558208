"""The tailer is killed again and again while a service writes and rotates: every event is stored exactly once."""

import multiprocessing
import random
from pathlib import Path

from daemon.clock import SystemClock
from daemon.ingest.ingest import Ingest
from daemon.ingest.quarantine import read_quarantine
from daemon.store.duckdb.store import DuckDBStore
from rules.model import IngestConfig
from tests.support.logs import Log

KILLS = 60
SEED = 20_260_131
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["daemon.ingest.ingest", "daemon.store.duckdb.store"])


def open_ingest(folder: Path) -> tuple[Ingest, DuckDBStore]:
    store = DuckDBStore(folder / "events.duckdb")
    config = IngestConfig(paths=(str(folder / "logs" / "*.log"),))
    return Ingest(config, store, folder / "quarantine", SystemClock(), batch_lines=7), store


def begin_watching(folder: Path) -> None:
    """What is rotated from now on is not the past."""
    ingest, store = open_ingest(folder)
    ingest.poll()
    ingest.close()
    store.close()


def tail_until_killed(folder: Path) -> None:
    ingest, _ = open_ingest(folder)
    while True:
        ingest.poll()


def test_sigkill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    now_ms = SystemClock().now_ms()
    logs = [Log(tmp_path / "logs" / name) for name in ("a.log", "b.log")]
    begin_watching(tmp_path)
    rotations = ("none", "none", "rename", "copy_truncate")
    for _ in range(KILLS):
        process = _PROCESSES.Process(target=tail_until_killed, args=(tmp_path,))
        process.start()
        while not moments.random() < 0.1:
            log = moments.choice(logs)
            kinds = moments.choices(("own", "foreign", "malformed"), weights=(5, 5, 1), k=moments.randrange(1, 30))
            log.write(*(log.malformed() if kind == "malformed" else _event(log, kind, now_ms) for kind in kinds))
            if (rotation := moments.choice(rotations)) != "none" and not log.rotated(25).exists():
                getattr(log, rotation)()
                log.reopen()
            process.join(moments.random() * 0.06)
        process.kill()
        process.join()
    ingest, store = open_ingest(tmp_path)
    while ingest.poll().behind:
        pass
    ingest.poll()
    stored = store.health().events
    ingest.close()
    store.close()
    for log in logs:
        log.close()
    lines = [line for log in logs for line in log.complete]
    malformed = [line for line in lines if line.startswith(b"not")]
    assert stored == len(lines) - len(malformed)
    assert sorted(entry.line for entry in read_quarantine(tmp_path / "quarantine")) == sorted(malformed)


def _event(log: Log, kind: str, now_ms: int) -> bytes:
    return log.own(timestamp=now_ms) if kind == "own" else log.foreign(timestamp=now_ms)
