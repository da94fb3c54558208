"""The process that serves one device of a fleet: paths come in blocks, results go back in their order."""

import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection

from recognizer.emit import configure
from recognizer.job import Job
from recognizer.manifest import ModelError
from recognizer.sinks import FileSink


def serve(channel: Connection, job: Job, device: str) -> None:
    """Until the parent says None or is gone. A model that is refused is sent as (code, message, hint)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, interrupted too, ends its children
    configure(sink=None if job.log is None else FileSink(job.log))
    try:
        recognizer = job.recognizer(device)
        channel.send(recognizer.model_name)
        with job.decoder() as decoder:
            for result in recognizer.recognize(_paths(channel), batch_size=job.batch_size, decoder=decoder):
                channel.send(result)
    except ModelError as error:
        channel.send((error.code.value, str(error), error.hint))
    except (BrokenPipeError, ConnectionResetError):
        return  # nobody wants the rest
    finally:
        configure(sink=None)


def _paths(channel: Connection) -> Iterator[str]:
    while True:
        try:
            block = channel.recv()
        except (EOFError, ConnectionResetError):
            return
        if block is None:
            return
        yield from block
