"""`wumu search`: pictures by a word of their path, as it is written or as it sounds."""

from pathlib import Path
from typing import Any

import click

from daemon.cli.ask import Duration, ask, now_ms
from daemon.cli.common import (
    FOUND,
    USAGE,
    config_option,
    echo_json,
    echo_table,
    fail,
    faults_shown,
    json_option,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.search import synonym_groups, with_synonyms
from recognizer.paths import visible


@click.command(context_settings=HELP)
@click.argument("word")
@click.option("--since", type=Duration(), default="30d", show_default=True, help="How far to look back.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="The newest so many.")
@click.option(
    "--synonyms",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of words that mean the same: one group a line, separated by commas.",
)
@config_option
@state_option
@json_option
@faults_shown
def command(
    word: str,
    since: int,
    limit: int,
    synonyms: Path | None,
    config_path: Path,
    state_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Find pictures by WORD: bailing finds bailing.png, bai-ling.jpg and 百灵.png, and 百灵 finds them too.

    Chinese names are found by their sound where the recognizer that wrote the events had pypinyin; the events of
    other services by their plain name.

    \b
    Examples:
      wumu search bailing
      wumu search 百灵 --since 7d --json
      wumu search lark --synonyms birds.txt

    Exit code 1 when nothing is found.
    """
    terms = [word] if synonyms is None else with_synonyms(word, _groups(synonyms))
    found = ask("search", {"terms": terms, "since_ms": now_ms() - since, "limit": limit}, config_path, state_dir)
    if as_json:
        echo_json(found)
    else:
        _show(found)
    if not found:
        click.echo(f"no picture is called {visible(' or '.join(terms))}", err=True)
        raise SystemExit(FOUND)


def _groups(path: Path) -> list[tuple[str, ...]]:
    try:
        return synonym_groups(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as fault:
        fail(f"{path} is no UTF-8: byte {fault.start}", "iconv -f GBK -t UTF-8 converts it", USAGE)
    except ValueError as fault:
        fail(f"{path}: {fault}", code=USAGE)


def _show(found: list[dict[str, Any]]) -> None:
    rows = [
        (time_text(one["timestamp"]), one["requests"], _ended(one), one["host"], one["file_path"], one["request_id"])
        for one in found
    ]
    if rows:
        echo_table(("time", "times", "ended", "host", "path", "request"), rows)


def _ended(one: dict[str, Any]) -> str:
    if (label := one.get("top1_label")) is not None:
        score = one.get("top1_score")
        return f"{label} {score:.2f}" if score is not None else str(label)
    return str(one.get("reason") or one.get("status") or one.get("http_status") or "")
