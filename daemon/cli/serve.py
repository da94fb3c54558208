"""`wumu serve`: recognise pictures over HTTP.

Works with the [recognizer,serve] extras alone, so nothing of the daemon is imported here.
"""

import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click

from daemon.cli.main import HELP
from daemon.cli.numbers import RealRange
from recognizer.paths import visible

USAGE, UNAVAILABLE = 2, 3


@click.command(context_settings=HELP)
@click.option(
    "--model", envvar="WUMU_MODEL", type=click.Path(path_type=Path), help="The model folder. [env: WUMU_MODEL]"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Append the events to this file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1…")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Allow pictures by path below this folder, links followed; may be repeated.",
)
@click.option("--trust", multiple=True, metavar="ADDRESS", help="Believe X-Forwarded-For of this address or network.")
@click.option("--max-batch", type=click.IntRange(1, 4096), default=32, show_default=True, help="Pictures at a time.")
@click.option(
    "--max-wait-ms",
    type=RealRange(0, 10_000),
    default=200.0,
    show_default=True,
    help="For pictures that are being decoded, to fill a batch.",
)
@click.option("--max-waiting", type=click.IntRange(1), default=256, show_default=True, help="Beyond these: 429.")
@click.option("--max-mib", type=click.IntRange(1, 1024), default=32, show_default=True, help="Largest picture, MiB.")
@click.option("--decode-workers", type=click.IntRange(0, 256), default=0, help="Decode in so many other processes.")
@click.option("--low-confidence", type=RealRange(0, 1), default=0.3, show_default=True, help="Withhold below.")
def command(  # noqa: PLR0913 - the options of a verb
    *,
    model: Path | None,
    host: str,
    port: int,
    log: Path | None,
    device: str,
    roots: tuple[str, ...],
    trust: tuple[str, ...],
    max_batch: int,
    max_wait_ms: float,
    max_waiting: int,
    max_mib: int,
    decode_workers: int,
    low_confidence: float,
) -> None:
    """Recognise pictures over HTTP: POST /recognize, GET /healthz, GET /metrics.

    \b
    Exit codes:
      0  it was asked to end, and answered what it had taken
      2  the call was wrong
      3  the model can't be loaded, or the address can't be used
    Examples:
      wumu serve --model digits --log events.jsonl
      curl -F image=@7.png http://127.0.0.1:8000/recognize
      wumu serve --model digits --root /data/upload
      curl --json '{"path": "/data/upload/7.png"}' http://127.0.0.1:8000/recognize
    """
    # torch's waiting threads would spin on the processors that decode
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it would say of a picture stands in the answer
    from recognizer.decode_worker import DecodeWorkers, WorkerFailed  # noqa: PLC0415
    from recognizer.device.opening import LaneSettings  # noqa: PLC0415
    from recognizer.emit import configure  # noqa: PLC0415  # torch and uvicorn cost seconds that --help need not pay
    from recognizer.inspect import Limits  # noqa: PLC0415
    from recognizer.manifest import ModelError  # noqa: PLC0415
    from recognizer.pipeline import Recognizer  # noqa: PLC0415
    from recognizer.serve.server import run  # noqa: PLC0415
    from recognizer.serve.settings import WAITING_BYTES, Settings, proxies  # noqa: PLC0415
    from recognizer.sinks import FileSink  # noqa: PLC0415
    from recognizer.source import Access  # noqa: PLC0415

    if model is None:
        _fail("no model was named", "--model DIR or WUMU_MODEL", UNAVAILABLE)
    try:
        trusted = proxies(trust)
    except ValueError as fault:
        _fail(f"--trust: {fault}", "an address or a network: --trust 10.0.0.0/8", USAGE)
    settings = Settings(
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        max_waiting=max_waiting,
        max_upload_bytes=max_mib << 20,
        max_waiting_bytes=max(WAITING_BYTES, max_mib << 21),
        decode_threads=decode_workers or os.cpu_count() or 1,
        paths=bool(roots),
        trusted_proxies=trusted,
    )
    configure(sink=None if log is None else FileSink(log))
    listener = _listener(host, port)
    try:
        recognizer = Recognizer.load(
            model,
            device,
            limits=Limits(max_file_bytes=max_mib << 20),
            low_confidence=low_confidence,
            access=Access(roots or None),
            lane=LaneSettings(largest=max_batch),
        )
    except ModelError as error:
        _fail(f"{error} ({error.code})", error.hint, UNAVAILABLE)
    with ExitStack() as stack:
        try:
            workers = stack.enter_context(DecodeWorkers(decode_workers)) if decode_workers else None
        except WorkerFailed as fault:
            _fail(str(fault), "or decode in this process: --decode-workers 0", UNAVAILABLE)
        address = f"http://{host}:{listener.getsockname()[1]}"
        click.echo(f"wumu serve: listening on {address} with {visible(recognizer.model_name, 200)}", err=True)
        run(recognizer, settings, listener, None if workers is None else workers.decode)


def _listener(host: str, port: int) -> socket.socket:
    from recognizer.serve.server import listen  # noqa: PLC0415

    try:
        return listen(host, port)
    except OSError as fault:
        problem = f"can't listen on {host} port {port}: {fault.strerror or fault}"
        _fail(problem, "name another --host or --port", UNAVAILABLE)


def _fail(message: str, hint: str, code: int) -> NoReturn:
    click.echo(f"wumu serve: {visible(message, 2_000)}", err=True)
    click.echo(f"  what to do: {visible(hint, 2_000)}", err=True)
    sys.exit(code)
