"""A real service on a free port of this machine, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from recognizer.pipeline import Recognizer
from recognizer.serve.server import listen, make_server
from recognizer.serve.settings import Settings
from tests.support.emission import until


@contextmanager
def serving(recognizer: Recognizer, settings: Settings) -> Iterator[str]:
    """The URL of a service that is up; it is asked to end with the block, and has ended after it."""
    listener = listen("127.0.0.1", 0)
    server = make_server(recognizer, settings)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
    assert not thread.is_alive()
