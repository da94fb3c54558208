"""The schedule: jobs run, a failing one runs on, a clock that is set back stalls nothing."""

import threading
import time

import pytest

from daemon.clock import SystemClock
from daemon.schedule import Schedule

DEADLINE_S = 30.0


class SteppedClock(SystemClock):
    """The machine's clock with a wall time that can be set."""

    step_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.step_ms


def test_a_job_runs_at_once_and_again_and_a_failure_does_not_end_it() -> None:
    runs = threading.Semaphore(0)

    def job() -> None:
        runs.release()
        raise ValueError("one bad turn")

    schedule = Schedule(SystemClock())
    schedule.every(0.05, "job", job)
    schedule.start()
    try:
        assert all(runs.acquire(timeout=DEADLINE_S) for _ in range(3))
    finally:
        schedule.stop()


def test_soon_runs_it_without_waiting_for_its_interval() -> None:
    runs = threading.Semaphore(0)
    schedule = Schedule(SystemClock())
    schedule.every(3_600, "job", runs.release)
    schedule.start()
    try:
        assert runs.acquire(timeout=DEADLINE_S)
        schedule.soon("job")
        assert runs.acquire(timeout=DEADLINE_S)
    finally:
        schedule.stop()


def test_never_twice_at_once_and_no_line_for_every_call_left_out(caplog: pytest.LogCaptureFixture) -> None:
    gate, running, most = threading.Event(), [0], [0]
    runs = threading.Semaphore(0)

    def job() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        runs.release()
        gate.wait(DEADLINE_S)
        running[0] -= 1

    schedule = Schedule(SystemClock())
    schedule.every(0.02, "job", job)
    schedule.start()
    try:
        assert runs.acquire(timeout=DEADLINE_S)
        assert not runs.acquire(timeout=0.3)
        gate.set()
        assert runs.acquire(timeout=DEADLINE_S)
    finally:
        gate.set()
        schedule.stop()
    assert most == [1]
    assert "skipped" not in caplog.text


def test_a_stepped_clock_is_noticed_once_and_the_jobs_go_on() -> None:
    clock, runs = SteppedClock(), threading.Semaphore(0)
    schedule = Schedule(clock)
    schedule.every(3_600, "job", runs.release)
    schedule.start()
    try:
        assert runs.acquire(timeout=DEADLINE_S)
        assert not schedule.guard()
        for step_ms in (-3_600_000, 7_200_000):
            clock.step_ms += step_ms
            assert schedule.guard()
            assert runs.acquire(timeout=DEADLINE_S)
            assert not schedule.guard()
    finally:
        schedule.stop()


def test_stop_waits_for_the_job_under_way() -> None:
    started, ended = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        time.monotonic()
        ended.set()

    schedule = Schedule(SystemClock())
    schedule.every(3_600, "job", job)
    schedule.start()
    assert started.wait(DEADLINE_S)
    schedule.stop()
    assert ended.is_set()
