"""When things run: APScheduler on a clock that may be set back.

APScheduler waits on wall time; if the clock is stepped back an hour, its jobs would wait that hour. `Schedule.guard`
notices the step against monotonic time and starts the jobs' intervals anew. What is to be judged is decided by the
watermarks, so a late, early or repeated call loses and doubles nothing.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from daemon.clock import Clock

LOG = logging.getLogger("wumu.schedule")
# A call that would overlap a long turn is left out: that is meant, and not worth a line every second.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
STEP_MS = 2_000
"""A difference between wall and monotonic time that is taken for a step of the clock."""


class Schedule:
    """Named jobs, each every so often, never twice at once, never dropped for being late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, float] = {}
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(_report, EVENT_JOB_ERROR)
        self._offset_ms = self._wall_minus_monotonic_ms()

    def every(self, seconds: float, name: str, job: Callable[[], object]) -> None:
        """Run ``job`` every so many seconds, the first time at once."""
        self._jobs[name] = seconds
        self._scheduler.add_job(
            job, IntervalTrigger(seconds=seconds), id=name, next_run_time=datetime.now(UTC), replace_existing=True
        )

    def soon(self, name: str) -> None:
        """Run a job as soon as a thread is free, besides its interval."""
        if self._scheduler.running:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for running jobs and end."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def guard(self) -> bool:
        """Begin all intervals anew if the clock was stepped; whether it was. Call it every second or so."""
        offset = self._wall_minus_monotonic_ms()
        step_ms = offset - self._offset_ms
        self._offset_ms = offset
        if abs(step_ms) < STEP_MS:
            return False
        LOG.warning(
            "the clock was set %s by %.1f s; the schedule goes on from now",
            "forward" if step_ms > 0 else "back",
            abs(step_ms) / 1_000,
        )
        for name in self._jobs:
            self.soon(name)
        return True

    def _wall_minus_monotonic_ms(self) -> int:
        return self._clock.now_ms() - round(self._clock.monotonic() * 1_000)


def _report(event: JobExecutionEvent) -> None:
    LOG.error("the job %s failed: %s: %s", event.job_id, type(event.exception).__name__, event.exception)
