"""Draws docs/backtest.png: a day of one host's inference, half an hour of it slow, as `wumu backtest` shows it.

python -m benchmarks.backtest_picture
"""

import random
from pathlib import Path

from daemon.picture import draw_replayed
from daemon.replay import DAY_MS, HOUR_MS, replay
from daemon.store.conformance.support import batch
from daemon.store.duckdb.store import DuckDBStore
from detectors.frame import Interval
from detectors.statistical.latency import Latency
from recognizer.events import Event
from rules.model import Rule

PICTURE = Path("docs/backtest.png")
BEGIN_MS = 1_795_219_200_000
SLOW_MS = (BEGIN_MS + 15 * HOUR_MS, BEGIN_MS + 15 * HOUR_MS + HOUR_MS // 2)
APART_MS = 3_000
TYPICAL_MS, SPREAD, SLOWER = 48.0, 0.25, 1.4


def day(seed: int) -> list[Event]:
    """Twenty requests a minute with log-normal durations."""
    chance = random.Random(seed)
    return [
        Event(
            timestamp=at_ms,
            event_type="inference_complete",
            host="gpu-1",
            model_name="birds-v3",
            event_id=str(at_ms),
            duration_ms=TYPICAL_MS
            * chance.lognormvariate(0, SPREAD)
            * (SLOWER if SLOW_MS[0] <= at_ms < SLOW_MS[1] else 1.0),
        )
        for at_ms in range(BEGIN_MS, BEGIN_MS + DAY_MS, APART_MS)
    ]


def main() -> None:
    rule = Rule(id="slow-inference", detector=Latency(group_by=("host",)))
    store = DuckDBStore(None)
    store.append(batch(day(seed=1)))
    (replayed,) = replay([rule], store, Interval(BEGIN_MS, BEGIN_MS + DAY_MS))
    draw_replayed(replayed, store, PICTURE)
    store.close()
    print(f"{PICTURE}: {len(replayed.alerts)} alerts")


if __name__ == "__main__":
    main()
