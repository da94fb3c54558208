"""What the verbs that replay history share: where the events are, which rules, which time, how far it is."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, TypeVar

import click

from daemon.app import CONTROL, LEDGER, embedded, open_store
from daemon.baseline import Mark
from daemon.cli.ask import Moment, now_ms
from daemon.cli.common import config_option, read_config, state_option
from daemon.control import NotRunning, call
from daemon.errors import BadRequest, WumuError
from daemon.evaluate import Source
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.picture import figure
from daemon.remote import RemoteStore
from daemon.store.base import Ask
from detectors.duration import HOUR_MS
from detectors.frame import Interval
from detectors.query import MINUTE_MS, Query
from rules.model import Config, Rule

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Past:
    """What there is to replay."""

    source: Source
    interval: Interval
    marks: Sequence[Mark]
    _rules: Sequence[Rule]
    _tell: Callable[[int, str, float], None]

    def rules(self) -> Iterator[tuple[Rule, Callable[[float], None]]]:
        """Each rule, with what is to be told the part of it that is done."""
        for place, rule in enumerate(self._rules):
            yield rule, partial(self._tell, place, rule.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says is to be replayed."""

    names: tuple[str, ...]
    since_ms: int
    until_ms: int | None
    config_path: Path
    state_dir: Path

    @contextmanager
    def open(self, *, drawn: bool) -> Iterator[Past]:
        """The events at hand, only to be asked; a bar shows how far it is. Raises WumuError, also where pictures are to
        be ``drawn`` and can't be: before an hour of work, not after it.
        """
        config = read_config(self.config_path, warn=False)
        rules = _chosen(config, self.names)
        with _events(config, self.state_dir) as source, _progress(len(rules)) as tell:
            if drawn:
                figure(1, 1)
            yield Past(source, _stretch(source, self.since_ms, self.until_ms), _marks(self.state_dir), rules, tell)


def wanted(command: Callable[Concatenate[Wanted, ...], R]) -> Callable[..., R]:
    """RULE..., --since, --until, --config and --state, given to the command as one `Wanted`."""

    @click.argument("names", metavar="[RULE]...", nargs=-1)
    @click.option("--since", type=Moment(), default="7d", show_default=True, help="From when: a time, or how long ago.")
    @click.option("--until", type=Moment(), help="Up to when; now by default.")
    @config_option
    @state_option
    @functools.wraps(command)
    def run(
        names: tuple[str, ...], since: int, until: int | None, config_path: Path, state_dir: Path, **others: Any
    ) -> R:
        return command(Wanted(names, since, until, config_path, state_dir), **others)

    return run


@contextmanager
def _events(config: Config, state_dir: Path) -> Iterator[Source]:
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


def _marks(state_dir: Path) -> Sequence[Mark]:
    """The planned changes that were marked, if there is a ledger."""
    if not (state_dir / LEDGER).exists():
        return ()
    with closing(Ledger.read_only(state_dir / LEDGER)) as ledger:
        return Marks(ledger).all()


def _chosen(config: Config, names: Sequence[str]) -> list[Rule]:
    """The rules of these names; all without a name. Raises BadRequest."""
    rules = {rule.id: rule for rule in config.rules}
    for name in names:
        if name not in rules:
            raise BadRequest(f"there is no rule {name}", hint=f"the rules are: {', '.join(rules)}")
    return [rules[name] for name in dict.fromkeys(names)] if names else list(rules.values())


def _stretch(source: Source, since_ms: int, until_ms: int | None) -> Interval:
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
def _progress(rules: int) -> Iterator[Callable[[int, str, float], None]]:
    """A bar on the terminal: to be told which rule goes on and the part of it that is done."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with click.progressbar(length=1_000 * rules, file=sys.stderr, item_show_func=lambda name: name) as bar:

        def tell(place: int, rule: str, part: float) -> None:
            bar.update(round(1_000 * (place + part)) - bar.pos, rule)

        yield tell
