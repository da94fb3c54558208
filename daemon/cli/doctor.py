"""`wumu doctor`: look at everything a 3 a.m. mail depends on."""

import importlib.metadata
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import click

from daemon.app import CONTROL, LEDGER, embedded, open_store
from daemon.cli.common import (
    FOUND,
    config_option,
    echo_json,
    faults_shown,
    json_option,
    read_config,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.control import NotRunning, call
from daemon.errors import WumuError
from daemon.notify.registry import make_channels
from daemon.watch import Trouble
from recognizer.paths import visible
from rules.model import Config

LITTLE_ROOM_BYTES = 1024**3
CONNECT_TIMEOUT_S = 10.0
OWN_PACKAGES = ("recognizer", "detectors", "rules", "daemon")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``hint`` says what to do when it is not well."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


_SEE_LOG = "see the daemon's log: journalctl -u wumu"
_WAYS_OUT: Mapping[str, str] = {
    Trouble.RULE_FAILING: "see its last turns: wumu explain RULE",
    Trouble.CHANNEL_FAILING: "nothing is lost: its messages are tried again; see whether its server works",
    Trouble.MESSAGE_UNDELIVERABLE: "mend the channel, then send what was given up again: wumu alerts --retry",
}


@click.command(context_settings=HELP)
@config_option
@state_option
@json_option
@faults_shown
def command(config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Check the configuration, the state folder, the store, the logs, the channels and the installation.

    Nothing is changed and nothing is sent; a channel's server is only connected to.

    \b
    Examples:
      wumu doctor
      wumu doctor --config /etc/wumu/alerts.yaml --json

    Exit code 1 when something is not well.
    """
    checks = [*_installation(), *_state(state_dir)]
    try:
        config = read_config(config_path, warn=False)
    except WumuError as fault:
        checks.append(Check("configuration", ok=False, detail=str(fault), hint=fault.hint))
    else:
        checks.append(Check("configuration", ok=True, detail=f"{config_path}: {len(config.rules)} rules"))
        checks += [*_daemon(config, state_dir), *_logs(config), *_channels(config)]
    if as_json:
        echo_json([{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in checks])
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {visible(check.detail, 1_000)}")
            if not check.ok and check.hint:
                click.echo(f"       what to do: {visible(check.hint, 1_000)}")
    if not all(check.ok for check in checks):
        raise SystemExit(FOUND)


def _installation() -> Iterator[Check]:
    """Other distributions own the import names of our packages too, and pip overwrites without a word."""
    owners = importlib.metadata.packages_distributions()
    clashes = {name: set(owners.get(name, ())) - {"wumu"} for name in OWN_PACKAGES}
    clash = ", ".join(f"{name} also comes from {', '.join(sorted(other))}" for name, other in clashes.items() if other)
    yield Check(
        "installation",
        ok=not clash,
        detail=clash or f"wumu {importlib.metadata.version('wumu')}",
        hint="install wumu in a virtual environment of its own",
    )


def _state(state_dir: Path) -> Iterator[Check]:
    folder = next(folder for folder in (state_dir, *state_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    yield Check(
        "state folder",
        ok=free >= LITTLE_ROOM_BYTES,
        detail=f"{state_dir}, {free / 1024**3:.1f} GiB free",
        hint="make room, or shorten retention in alerts.yaml",
    )
    if not os.access(folder, os.W_OK | os.X_OK):
        me = f"user {os.geteuid()} may not write {folder}"
        yield Check("state folder", ok=False, detail=me, hint="run wumu doctor as the daemon's user, or as root")


def _daemon(config: Config, state_dir: Path) -> Iterator[Check]:
    try:
        status: dict[str, Any] = call(state_dir / CONTROL, "status", {})
    except NotRunning:
        yield Check("daemon", ok=False, detail="not running", hint="wumu run, or: systemctl start wumu")
        yield _store(config, state_dir)
        return
    known = time_text(status["known_until_ms"], config.time_zone) or "not yet"
    yield Check("daemon", ok=status["ready"], detail=f"pid {status['pid']}, logs read up to {known}")
    yield Check("store", ok=status["store"]["ok"], detail=status["store"]["detail"])
    yield Check("outbox", ok=True, detail=f"{status['undelivered']} messages wait")
    for name, stages in status["learning"].items():
        known = ", ".join(f"{count} series {stage}" for stage, count in stages.items())
        yield Check(f"rule {name}", ok=True, detail=known)
    for name, detail in status["troubles"].items():
        yield Check(name, ok=False, detail=detail, hint=_WAYS_OUT.get(name.split()[0], _SEE_LOG))
    ingest = status["ingest"] or {}
    for path, problem in ingest.get("problems", {}).items():
        yield Check("log file", ok=False, detail=f"{path}: {problem}", hint="let the daemon's user read it")
    if malformed := ingest.get("malformed_total"):
        counts = ", ".join(f"{count} {reason}" for reason, count in malformed.items())
        folder = state_dir / "quarantine"
        yield Check(
            "lines put aside", ok=False, detail=counts, hint=f"each with its place and reason: {folder}/*.jsonl"
        )
    for note, count in ingest.get("notes_total", {}).items():
        yield Check("lines repaired", ok=True, detail=f"{count} {note}")


def _store(config: Config, state_dir: Path) -> Check:
    if embedded(config) and not (state_dir / LEDGER).exists():
        return Check("store", ok=True, detail=f"an embedded one, made in {state_dir} at the first start")
    try:
        store = open_store(config, state_dir)
    except WumuError as fault:
        return Check("store", ok=False, detail=str(fault), hint=fault.hint)
    try:
        health = store.health()
    finally:
        store.close()
    return Check("store", ok=health.ok, detail=health.detail)


def _logs(config: Config) -> Iterator[Check]:
    if not config.ingest.enabled:
        yield Check("logs", ok=True, detail="shipped by another program (ingest is off)")
        return
    for pattern in config.ingest.paths:
        found = len(glob(pattern, recursive=True))  # noqa: PTH207  # the pattern may be absolute
        yield Check(
            "logs", ok=found > 0, detail=f"{found} files match {pattern}", hint="is the path right, is it readable?"
        )
    if not config.ingest.paths:
        yield Check("logs", ok=False, detail="no log is named", hint="name them under ingest: paths in alerts.yaml")


def _channels(config: Config) -> Iterator[Check]:
    if not config.channels:
        yield Check("channels", ok=False, detail="nobody is told", hint="name a channel in alerts.yaml")
    for name, channel in make_channels(config.channels).items():
        try:
            channel.check(CONNECT_TIMEOUT_S)
        except WumuError as fault:
            hint = fault.hint or f"see that its server runs, and its address under channels: {name}: in alerts.yaml"
            yield Check(f"channel {name}", ok=False, detail=str(fault), hint=hint)
        else:
            yield Check(f"channel {name}", ok=True, detail="reachable")
