"""The conformance suite of event stores: what every `EventStore` promises, each promise a named check.

Run it on your own store with pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_my_store(check):
        check_store(MyStore, [check])

The checks state what the protocol leaves open:

- Only fields of the event contract can be asked for; any other name is a StoreError that names the nearest field.
- An event is the same as another when event_id and timestamp are equal. What becomes of two different events under
  one event_id is not defined.
- Numbers compare exactly where an integer field meets an integer; where a float is involved they compare as IEEE
  doubles. Not-a-number and infinities do not occur.
- Aggregates of a list field take every element, COUNT the events in which the field has one. An empty list is no value.
- AVG, SUM and SUM_OF_SQUARES agree within a relative 1e-9 (of the sum of absolute values); percentiles lie within
  `percentile_bounds`: one value or one percent of the values off the exact rank.
- Keys are texts as `daemon.store.contract.key_text` writes them; series are sorted by key, a missing value first.
- A bucket exists when an event matches the query's ``where``; a measure's own ``where`` only narrows the measure.
- ``top`` ranks by the first measure over the whole interval, equals by key, keys without a number last.
- A `Histogram` compares values and edges as doubles, its field holds single numbers; a `Tally` is exact on any number
  of shards, its field holds texts.
- ``Runs`` and ``Unmatched`` need a field with a single value. The end of an `Unmatched` counts from one bucket before
  the start of the start's bucket to before the interval's end plus settle_ms, whatever the query's ``where``. With
  ``bucket_ms=0`` the bucket is the interval.
- Buckets are multiples of bucket_ms since 1970 UTC, local clocks don't matter; the first may begin before the interval.
"""

from collections.abc import Iterable

from daemon.store.conformance import appending, conditions, distributions, measures, samples, series
from daemon.store.conformance.agreement import check_agreement
from daemon.store.conformance.measures import expect_close, percentile_bounds
from daemon.store.conformance.support import ConformanceError, MakeStore, StoreCheck

__all__ = [
    "CHECKS",
    "ConformanceError",
    "MakeStore",
    "StoreCheck",
    "check_agreement",
    "check_store",
    "expect_close",
    "percentile_bounds",
]

CHECKS: tuple[StoreCheck, ...] = tuple(
    StoreCheck(check.__name__, check)
    for room in (appending, conditions, measures, distributions, series, samples)
    for check in room.CHECKS
)


def check_store(make_store: MakeStore, checks: Iterable[StoreCheck] = CHECKS) -> None:
    """Runs the checks, each on a store of its own. Raises ConformanceError at the first promise that is broken."""
    for check in checks:
        store = make_store()
        try:
            check.run(store)
        finally:
            store.close()
