"""Threads that stay from call to call."""

import os
import threading
from concurrent.futures import CancelledError

import pytest

from recognizer.crew import Crew, settle


def test_a_call_after_another_has_the_same_thread() -> None:
    crew = Crew()
    first, second = (crew.pool("work", 1).submit(threading.get_ident).result() for _ in range(2))
    assert first == second


def test_pools_of_another_size_or_name_are_apart() -> None:
    crew = Crew()
    assert len({crew.pool("work", 1), crew.pool("work", 2), crew.pool("other", 1)}) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own() -> None:
    crew = Crew()
    assert crew.pool("work", 1).submit(int).result() == 0
    child = os.fork()
    if child == 0:
        os._exit(crew.pool("work", 1).submit(int, 7).result(timeout=30))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_has_not_begun_is_cancelled_and_the_rest_awaited() -> None:
    pool = Crew().pool("work", 1)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return go_on.wait(30)

    running, waiting = pool.submit(work), pool.submit(int)
    begun.wait(30)
    threading.Timer(0.05, go_on.set).start()
    settle([running, waiting])
    assert running.result(timeout=0) is True
    with pytest.raises(CancelledError):
        waiting.result(timeout=0)
