"""A real service on a free port of this machine: in a thread of this process, or by its command."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from recognizer.decode import Decoder
from recognizer.pipeline import Recognizer
from recognizer.serve.server import listen, make_server
from recognizer.serve.settings import Settings
from tests.support.emission import until


@contextmanager
def serving(recognizer: Recognizer, settings: Settings, decoder: Decoder | None = None) -> Iterator[str]:
    """The URL of a service that is up; it is asked to end with the block, and has ended after it."""
    listener = listen("127.0.0.1", 0)
    server = make_server(recognizer, settings, decoder)
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


@contextmanager
def serving_command(*options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The URL and the process of `wumu serve`, which is up; it is killed at the end unless it has ended before."""
    command = [sys.executable, "-m", "daemon.cli", "serve", "--port", "0", "--device", "cpu", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = next((one for one in process.stderr if "listening on" in one), None)
            assert line, "it ended without listening"
            yield line.split("listening on ")[1].split()[0], process
        finally:
            process.kill()
