"""The command `wumu`: one file per verb, loaded only when it is called."""

import contextlib
import importlib
import io
import os
import sys
from typing import Any, NoReturn

try:
    import click
except ModuleNotFoundError:  # the bare instrumentation has no dependencies, but pip installs the command all the same
    sys.exit("wumu: the command needs an extra: pip install 'wumu[daemon]' or 'wumu[recognizer]'")

VERBS = {
    "run": "the daemon: read logs, judge them on a schedule, send alerts",
    "once": "one turn of the daemon over what is there, then stop",
    "check": "everything that is wrong with an alerts.yaml, at once",
    "init": "write an alerts.yaml and the systemd unit to start from",
    "doctor": "look at the installation, the store, the channels and the logs",
    "alerts": "the alerts, their history and what was sent about them",
    "dead-letters": "lines that are no events or that the store refused: look at them, try them again",
    "explain": "why a rule did or did not fire: the request, the counts, the verdict",
    "mark": "mark a planned change: baselines start anew",
    "expected": "an alert was normal: it ends, and its rule learns so",
    "backtest": "what the rules would have found in the events that are kept",
    "tune": "what other settings of the rules would have cost, and which are proposed",
    "query": "events that match a KQL filter",
    "search": "pictures by a word of their path, as it is written or as it sounds",
    "trace": "every event of one picture, invisible characters made visible",
    "recognize": "recognise pictures, one line each",
    "serve": "recognise pictures over HTTP",
    "doctor-path": "what is wrong with a path, and which existing file was meant",
    "fix-paths": "the shell script that gives faulty file names better ones",
    "model": "look at a model, check it, bring it into the native format",
    "demo": "pictures in, a remedied alert out, in under five minutes",
}

EXIT_CODES = """\b
Exit codes:
  0  it went well
  1  it found something: problems in a file, firing alerts, pictures that failed
  2  the call was wrong: an unknown option, a configuration or a filter that can't be read
  3  it could not be done now: no store, no ledger, no model"""


HELP = {"help_option_names": ["-h", "--help"]}
"""Given to every verb: a verb alone and a verb of the command have the same options."""
VERB = "wumu.verb"
EXTRAS = {
    "recognize": "recognizer",
    "serve": "recognizer,serve",
    "fastapi": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "doctor-path": "recognizer",
    "fix-paths": "recognizer",
    "model": "recognizer",
    "demo": "demo",
    "matplotlib": "pictures",
    "elasticsearch": "elasticsearch",
    "elastic_transport": "elasticsearch",
}
"""The extra that brings what a verb needs, or a module; the others need the daemon's."""
OWN = frozenset({"daemon", "rules", "detectors", "recognizer"})
"""The packages of wumu: what can't be imported from them is a fault of wumu's, not of the installation."""


ROOM = "see permissions and room: ls -l, df -h"
RELOAD = "install the library that is named, or give the process more memory (ulimit -v, MemoryMax=)"


def refused(fault: OSError) -> str:
    """What the system would not do, in words."""
    where = f"{fault.filename}: " if fault.filename else ""
    return f"the system refused: {where}{fault.strerror or fault}"


def drop_output() -> None:
    """What is still in the buffer of stdout goes nowhere, instead of failing once more at exit."""
    with contextlib.suppress(io.UnsupportedOperation):  # a stream in memory has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _give_up(ctx: click.Context, fault: str, remedy: str) -> NoReturn:
    from recognizer.paths import visible  # noqa: PLC0415  # --help need not pay for it

    click.echo(f"wumu {ctx.meta[VERB]}: {visible(fault, 2_000)}\n  what to do: {remedy}", err=True)
    ctx.exit(3)


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        ctx.meta[VERB] = cmd_name
        command = importlib.import_module(f"daemon.cli.{cmd_name.replace('-', '_')}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name}: its command is no click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. A module that is missing, at the start or where it is needed, belongs to an extra.

        What the system refuses anywhere, such as room for the output, is one line and no traceback.
        """
        try:
            return super().invoke(ctx)
        except ImportError as missing:
            module = (missing.name or "").split(".")[0]
            if module in OWN:
                raise
            if not isinstance(missing, ModuleNotFoundError):  # no library of the system, or no memory to load it into
                _give_up(ctx, f"what it needs can't be loaded: {missing.path or missing.name}: {missing}", RELOAD)
            verb = ctx.meta[VERB]
            extra = EXTRAS.get(module) or EXTRAS.get(verb, "daemon")
            click.echo(
                f"wumu {verb} needs the module {module}, which is not installed: pip install 'wumu[{extra}]'", err=True
            )
            ctx.exit(3)
        except BrokenPipeError:  # the reader (head, say) has seen enough
            drop_output()
            ctx.exit(0)
        except OSError as fault:
            drop_output()
            _give_up(ctx, refused(fault), ROOM)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, epilog=EXIT_CODES, context_settings=HELP)
@click.version_option(package_name="wumu")
def main() -> None:
    """Anomaly detection and alerting over image-recognition logs.

    \b
    Examples:
      wumu demo                         see it work, nothing to set up
      wumu init && wumu run             start with the shipped rules
      wumu check alerts.yaml            before a reload
      wumu trace /data/upload/7.png     what happened to one picture
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a label in Chinese must not end a verb in an ASCII locale
