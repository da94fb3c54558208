"""`wumu init`: files to start from."""

from pathlib import Path

import click

from daemon.cli.common import FOUND, echo_json, faults_shown, json_option
from daemon.cli.main import HELP
from daemon.errors import WumuError
from daemon.shipped import shipped

FILES = {"alerts.yaml": "alerts.yaml", "wumu.service": "deploy/wumu.service"}


@click.command(context_settings=HELP)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
@faults_shown
def command(folder: Path, *, force: bool, as_json: bool) -> None:
    """Write alerts.yaml, with the shipped rules, and the systemd unit into FOLDER.

    \b
    Examples:
      wumu init
      wumu init /etc/wumu --force

    Exit code 1 when a file was there and was left as it is.
    """
    written, kept = [], []
    for name, source in FILES.items():
        path = folder / name
        if path.exists() and not force:
            kept.append(str(path))
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(shipped(source), encoding="utf-8")
        except OSError as fault:
            raise WumuError(
                f"{path} can't be written: {fault.strerror}", hint="choose a folder you may write"
            ) from fault
        written.append(str(path))
    if as_json:
        echo_json({"written": written, "kept": kept})
    else:
        for path_text in written:
            click.echo(f"wrote {path_text}")
        for path_text in kept:
            click.echo(f"kept {path_text} as it is; --force replaces it", err=True)
        click.echo("next: name your logs under ingest and a channel under channels, then: wumu check && wumu run")
    if kept:
        raise SystemExit(FOUND)
