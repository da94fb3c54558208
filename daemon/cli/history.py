"""What the verbs that replay history share: where the events are, which rules, which time, how far it is."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click

from daemon.app import CONTROL, LEDGER, embedded, open_store
from daemon.baseline import Mark
from daemon.cli.ask import now_ms
from daemon.control import NotRunning, call
from daemon.errors import BadRequest, WumuError
from daemon.evaluate import Source
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.remote import RemoteStore
from daemon.store.base import Ask
from detectors.duration import HOUR_MS
from detectors.frame import Interval
from detectors.query import MINUTE_MS, Query
from rules.model import Config, Rule


@contextmanager
def events(config: Config, state_dir: Path) -> Iterator[Source]:
    """The store to ask, only asked: the running daemon's where the file admits one process. Raises WumuError."""
    if embedded(config):
        try:
            call(state_dir / CONTROL, "status", {})
        except NotRunning:
            Ledger.read_only(state_dir / LEDGER).close()  # where there is none, no event was ever kept: say so
        else:
            yield RemoteStore(state_dir / CONTROL)
            return
    with closing(open_store(config, state_dir)) as store:
        yield store


def marks(state_dir: Path) -> Sequence[Mark]:
    """The planned changes that were marked, if there is a ledger."""
    if not (state_dir / LEDGER).exists():
        return ()
    with closing(Ledger.read_only(state_dir / LEDGER)) as ledger:
        return Marks(ledger).all()


def chosen(config: Config, names: Sequence[str]) -> list[Rule]:
    """The rules of these names; all without a name. Raises BadRequest."""
    rules = {rule.id: rule for rule in config.rules}
    for name in names:
        if name not in rules:
            raise BadRequest(f"there is no rule {name}", hint=f"the rules are: {', '.join(rules)}")
    return [rules[name] for name in dict.fromkeys(names)] if names else list(rules.values())


def stretch(source: Source, since_ms: int, until_ms: int | None) -> Interval:
    """The time to replay: from the first event that is kept. Raises WumuError where there is none."""
    end_ms = now_ms() if until_ms is None else min(until_ms, now_ms())
    if since_ms >= end_ms:
        raise BadRequest("--since must lie before --until", hint="for example: --since 7d --until 1d")
    hour_ms = _first_bucket_ms(source, Interval(since_ms, end_ms), HOUR_MS)
    minute_ms = _first_bucket_ms(source, Interval(hour_ms, min(end_ms, hour_ms + HOUR_MS)), MINUTE_MS)
    return Interval(max(since_ms, minute_ms), end_ms)


def _first_bucket_ms(source: Source, interval: Interval, bucket_ms: int) -> int:
    start_ms = interval.start_ms // bucket_ms * bucket_ms
    (frame,) = source.ask([Ask(Query(bucket_ms=bucket_ms), Interval(start_ms, interval.end_ms), start_ms)])
    if not frame.series:
        raise WumuError("there are no events in that time", hint="look further back with --since, or see: wumu doctor")
    return frame.series[0].bucket_start_ms[0]


@contextmanager
def progress(rules: int) -> Iterator[Callable[[int, str, float], None]]:
    """A bar on the terminal: to be told which rule goes on and the part of it that is done."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with click.progressbar(length=1_000 * rules, file=sys.stderr, item_show_func=lambda name: name) as bar:

        def tell(place: int, rule: str, part: float) -> None:
            bar.update(round(1_000 * (place + part)) - bar.pos, rule)

        yield tell
