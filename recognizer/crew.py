"""Threads that stay from call to call."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class Crew:
    """Thread pools of one object. Safe to share between threads and over a fork.

    What libraries keep for a thread is not freed with it: two kilobytes for the three threads of a call, which is
    gigabytes a day in a service that starts some for every request.
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[int, str, int], ThreadPoolExecutor] = {}

    def pool(self, name: str, threads: int) -> ThreadPoolExecutor:
        """The pool of so many threads with this name. A child process gets another: a fork copies no threads."""
        key = (os.getpid(), name, threads)
        known = self._pools.get(key)
        # of two that make one at once the first stays; a pool that nobody asked has no threads yet
        return known or self._pools.setdefault(key, ThreadPoolExecutor(threads, thread_name_prefix=name))


def settle(futures: Iterable[Future[Any]]) -> None:
    """Cancel what has not begun, and wait for the rest."""
    wait([one for one in futures if not one.cancel()])
