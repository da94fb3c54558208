"""The process that decodes for `recognizer.decode_worker`: one request after the other until the parent is gone.

``python -m recognizer.decode_child FD MODULE:FUNCTION MEMORY_BYTES``; started by the worker alone.
"""

import importlib
import os
import resource
import socket
import sys

from recognizer.decode_wire import Answer, answer_of, receive, requested, send
from recognizer.fault import InputFault
from recognizer.paths import visible
from recognizer.reasons import InputReason


def main(descriptor: int, decoder_name: str, memory_bytes: int) -> None:
    """Serve requests. Whatever a decoder prints goes to stderr; a crash leaves no core file behind."""
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, function = decoder_name.partition(":")
    decoder = getattr(importlib.import_module(module), function)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with socket.socket(fileno=descriptor) as channel:
        send(channel, Answer(), memoryview(b""))  # ready
        while True:
            try:
                head, body = receive(channel)
            except EOFError:
                return
            name, limits = requested(head)
            try:
                answer, pixels = answer_of(decoder(bytes(body), name, limits, ()))
            except InputFault as fault:
                answer, pixels = Answer(reason=fault.reason, message=fault.message), memoryview(b"")
            except MemoryError:
                message = "decoding needs more memory than the worker may use"
                answer, pixels = Answer(reason=InputReason.IMAGE_TOO_MANY_PIXELS, message=message), memoryview(b"")
            except Exception as error:  # noqa: BLE001 - a decoder may raise anything; the next picture must not suffer
                message = visible(f"{type(error).__name__}: {error}")
                answer, pixels = Answer(reason=InputReason.IMAGE_CORRUPT, message=message), memoryview(b"")
            send(channel, answer, pixels)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
