"""Instrumentation among threads, forks, signals and sudden deaths, and with nothing but the standard library."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recognizer.emit import configure, log_event, recognition
from recognizer.sinks import FileSink
from tests.support.emission import ended_well, in_child, rotated

FORKS = int(os.environ.get("WUMU_FORKS", "20"))
"""The full measure is 200."""


def test_threads_write_whole_lines_with_unique_ids(tmp_path):
    path = tmp_path / "events.jsonl"
    configure(FileSink(path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log_event("a", text="百" * 300, n=number), range(4_000)))
    configure(None)
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert {event["n"] for event in events} == set(range(4_000))
    assert len({event["event_id"] for event in events}) == 4_000


def test_forked_children_have_names_of_their_own_even_while_threads_log(tmp_path):
    """A lock that another thread holds while the process forks is never released in the child."""
    path = tmp_path / "events.jsonl"
    configure(FileSink(path, max_bytes=50_000, keep=1_000))
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            log_event("parent")

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    with recognition("a.png", request_id="r"):
        children = [in_child(lambda: [log_event("child") for _ in range(50)]) for _ in range(FORKS)]
    assert ended_well(children)
    stop.set()
    for thread in threads:
        thread.join()
    configure(None)
    files = rotated(tmp_path)
    # a process that looks while another's line is half written closes it off: a blank line, which readers pass over
    events = [json.loads(line) for part in files for line in part.read_bytes().splitlines() if line]
    of_children = [event for event in events if event["event_type"] == "child"]
    assert len(of_children) == FORKS * 50
    assert {event["pid"] for event in of_children} == set(children)
    assert {event["request_id"] for event in of_children} == {"r"}
    assert len({event["event_id"] for event in events}) == len(events)


def test_kill_9_loses_nothing_that_was_accepted(tmp_path):
    path = tmp_path / "events.jsonl"
    code = (
        "import sys; from recognizer.emit import *; from recognizer.sinks import FileSink\n"
        "configure(FileSink(sys.argv[1], max_bytes=30_000, keep=10_000))\n"
        "n = 0\n"
        "while True:\n"
        "    log_event('a', n=n, text='百' * 50); n += 1\n"
        "    if n % 100 == 0: print(n, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert child.stdout
    for _ in range(30):
        accepted = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    accepted = max([accepted, *map(int, child.stdout.read().split())])
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    files = rotated(tmp_path)
    numbers = sorted(json.loads(line)["n"] for part in files for line in part.read_bytes().splitlines())
    assert numbers[:accepted] == list(range(accepted))
    assert numbers == list(range(len(numbers)))


def test_a_signal_handler_may_log_in_the_middle_of_a_write(tmp_path):
    path = tmp_path / "events.jsonl"
    configure(FileSink(path, max_bytes=10_000, keep=1_000))
    before = signal.signal(signal.SIGALRM, lambda *_: log_event("signal"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(5_000):
            log_event("main")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        configure(None)
    files = rotated(tmp_path)
    told = [json.loads(line)["event_type"] for part in files for line in part.read_bytes().splitlines()]
    assert told.count("main") == 5_000


def test_the_standard_library_alone_is_enough(tmp_path):
    """With orjson, msgspec and numpy blocked the same events come out, and none of them is imported."""
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'orjson', 'msgspec', 'numpy', 'pydantic'}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from recognizer.emit import *; from recognizer.sinks import MemorySink\n"
        "sink = MemorySink(); configure(sink)\n"
        "with recognition('/上传/a.png\\u200b') as r: r.input_success(None)\n"
        "log_event('odd', a=float('nan'), b=b'\\xff', c='\\ud800', d=2**70, e={1}, f='x' * 9000)\n"
        "sys.stdout.buffer.write(b''.join(sink.lines))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2])
    start, error, odd = (json.loads(line) for line in done.stdout.splitlines())
    assert start["path_issues"] == ["path_invisible_character"]
    assert error["reason"] == "path_invisible_character"
    assert (odd["a"], odd["b"], odd["c"], odd["d"], odd["e"]) == (None, "\\xff", "‹U+D800›", str(2**70), [1])
    assert (len(odd["f"]), odd["truncated_fields"]) == (8191, ["f"])


def test_importing_the_instrumentation_brings_no_heavy_library():
    code = "import sys, recognizer.emit, recognizer.sinks; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.search(r"'(numpy|torch|cv2|msgspec|pydantic|duckdb)'", done.stdout)
