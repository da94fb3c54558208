"""`wumu recognize`: recognise pictures, one line each, whatever happens to them.

Works with the [recognizer] extra alone, so nothing of the daemon is imported here; torch only once there is work.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from daemon.cli.main import HELP
from daemon.cli.numbers import RealRange
from recognizer.hints import HINTS
from recognizer.paths import visible

if TYPE_CHECKING:
    from recognizer.job import Job
    from recognizer.result import Result

    Ask = Callable[[Iterator[str]], Iterator[Result]]

FAILED, USAGE, NO_MODEL = 1, 2, 3


@click.command(context_settings=HELP)
@click.argument("arguments", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--model",
    envvar="WUMU_MODEL",
    type=click.Path(path_type=Path),
    help="The model folder. [env: WUMU_MODEL]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a picture.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Append the events to this file.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1…; all, or several by commas: a process for each.",
)
@click.option("--batch-size", type=click.IntRange(1, 4096), default=32, show_default=True, help="Pictures at a time.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Read only files below this folder, links followed; may be repeated.",
)
@click.option("--repair", is_flag=True, help="Read the existing file below --root that a faulty path certainly means.")
@click.option("--decode-workers", type=click.IntRange(0, 256), default=0, help="Decode in so many other processes.")
@click.option(
    "--canary-minutes",
    type=RealRange(min=0),
    help="Ask the model's canary again so often; a wrong answer ends the command.",
)
@click.option("-0", "--null", "by_nul", is_flag=True, help="The list on stdin is separated by NUL (find -print0).")
def command(  # noqa: PLR0913 - the options of a verb
    arguments: tuple[str, ...],
    *,
    model: Path | None,
    as_json: bool,
    log: Path | None,
    device: str,
    batch_size: int,
    roots: tuple[str, ...],
    repair: bool,
    decode_workers: int,
    canary_minutes: float | None,
    by_nul: bool,
) -> None:
    """Recognise each PATH: a file, a folder, a pattern in quotes, or - for a list on stdin.

    \b
    Exit codes:
      0  every picture was recognised
      1  some were not: each says why
      2  the call was wrong, or no picture was named
      3  the model can't be loaded
    Examples:
      wumu recognize --model digits upload/
      wumu recognize --model digits --json 'camera/**/*.png' > answers.jsonl
      find /data -newer stamp -print0 | wumu recognize --model digits -0 -
      wumu recognize --model digits --device all --log events.jsonl upload/
    A list that is still being written is answered picture by picture with --batch-size 1.
    """
    if repair and not roots:
        _fail("--repair needs --root", "name the folders in which a file may be read instead: --root DIR", USAGE)
    if "-" in arguments and getattr(sys.stdin, "buffer", None) is None:
        _fail("standard input is closed", "give it the list: find /data -print0 | wumu recognize -0 -", USAGE)
    _log_to(log)  # first: that the model was loaded, or refused, is an event too
    if model is None:
        hint = "--model DIR or WUMU_MODEL; to train the small digit model: python -m recognizer.train DIR"
        _fail("no model was named", hint, NO_MODEL)
    # torch's waiting threads would spin on the processors that decode: passive ones let twice as many pictures through.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it would say of a picture stands in the picture's line
    from recognizer.job import Job  # noqa: PLC0415  # torch costs seconds that --help need not pay
    from recognizer.manifest import ModelError  # noqa: PLC0415

    job = Job(
        model=model,
        log=log,
        roots=roots,
        repair=repair,
        canary_minutes=canary_minutes,
        decode_workers=decode_workers,
        batch_size=batch_size,
    )
    failures: Counter[str] = Counter()
    started, done = time.monotonic(), 0
    try:
        with _asked(job, device) as ask:
            started = time.monotonic()  # loading is over
            for result in _results(ask, arguments, by_nul=by_nul):
                done += 1
                if result.reason is not None:
                    failures[result.reason] += 1
                if as_json:
                    click.echo(result.to_json())
                else:
                    _show(result)
    except ModelError as error:  # when it is loaded, or later from the canary, asked again
        _fail(f"{error} ({error.code})", error.hint, NO_MODEL)
    except BrokenPipeError:  # the reader (head, say) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    if done == 0:
        _fail("there is no picture at what was named", "name files, folders with pictures, or - for a list", USAGE)
    _summarise(done, failures, time.monotonic() - started)
    sys.exit(FAILED if failures else 0)


def _fail(message: str, hint: str, code: int) -> NoReturn:
    click.echo(f"wumu recognize: {visible(message, 2_000)}", err=True)
    click.echo(f"  what to do: {visible(hint, 2_000)}", err=True)
    sys.exit(code)


@contextmanager
def _asked(job: "Job", device: str) -> Iterator["Ask"]:
    """What answers a list of paths: this process, or one for each device. Raises ModelError."""
    if device != "all" and "," not in device:
        recognizer = job.recognizer(device)
        with job.decoder() as decoder:
            yield lambda paths: recognizer.recognize(paths, batch_size=job.batch_size, decoder=decoder)
        return
    from recognizer.device.fleet import Fleet, devices  # noqa: PLC0415  # only where it is asked for

    with Fleet(devices(device), job) as fleet:
        yield fleet.recognize


def _log_to(path: Path | None) -> None:
    from recognizer.emit import configure  # noqa: PLC0415  # --help need not pay for it
    from recognizer.sinks import FileSink  # noqa: PLC0415

    configure(sink=None if path is None else FileSink(path))


def _results(ask: "Ask", arguments: tuple[str, ...], *, by_nul: bool) -> Iterator["Result"]:
    """The results, with a bar on the terminal while they go elsewhere."""
    paths, total = _paths(arguments, by_nul=by_nul)
    results = ask(paths)
    if not sys.stderr.isatty() or sys.stdout.isatty():  # on a terminal the lines themselves tell how far it is
        yield from results
        return
    columns = TextColumn("recognising"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        for result in results:
            progress.advance(task)
            yield result


def _paths(arguments: tuple[str, ...], *, by_nul: bool) -> tuple[Iterator[str], int | None]:
    """The paths and their number, unknown for a list that is still coming in."""
    from recognizer.files import expand, read_list  # noqa: PLC0415  # OpenCV comes with it

    if "-" not in arguments:
        named = list(expand(arguments))
        return iter(named), len(named)
    separator = b"\0" if by_nul else b"\n"

    def each() -> Iterator[str]:
        for argument in arguments:
            if argument == "-":
                yield from read_list(sys.stdin.buffer, separator=separator)
            else:
                yield from expand([argument])

    return each(), None


def _show(result: "Result") -> None:
    console = Console(soft_wrap=True, highlight=False)
    path = visible(result.file_path)
    if result.reason is None:
        others = "  ".join(f"{visible(one, 40)} {score:.2f}" for one, score in _pairs(result)[1:])
        odd = f"  ({', '.join(result.image_issues)})" if result.image_issues else ""
        label, score = _pairs(result)[0]
        console.print(
            Text.assemble((visible(label, 80), "bold"), f"  {score:.2f}  {path}", (f"  {others}{odd}", "dim"))
        )
        return
    console.print(Text.assemble((result.reason, "bold red"), f"  {path}"))
    console.print(Text.assemble(("  ", ""), visible(result.message)))
    console.print(Text.assemble(("  what to do: ", "dim"), HINTS[result.reason]))


def _pairs(result: "Result") -> list[tuple[str, float]]:
    return list(zip(result.labels, result.scores, strict=True))


def _summarise(done: int, failures: Counter[str], seconds: float) -> None:
    failed = failures.total()
    why = f" ({', '.join(f'{reason} {count}' for reason, count in failures.most_common())})" if failed else ""
    click.echo(f"{done - failed} recognised, {failed} failed{why}, {seconds:.1f} s", err=True)
