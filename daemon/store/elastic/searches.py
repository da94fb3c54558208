"""The searches a question needs, as data. Pure: no connection, no clock.

One `Search` is one header and one body of an ``_msearch``. What the answers mean is `daemon.store.elastic.decode`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import orjson

from daemon.errors import StoreError
from daemon.store.base import Ask, Sample
from daemon.store.elastic.aggregations import as_map, inner_buckets, measured_by
from daemon.store.elastic.filters import TIME_FIELD, Clause, clause, none_of, one_of, within
from detectors.condition import Exists, all_of
from detectors.duration import DAY_MS
from detectors.frame import Interval
from detectors.query import AnyMeasure, Measure, Statistic, Unmatched
from recognizer.events import FIELD_NAMES

LOST_LISTED = 10
"""Values without an end that are listed for one bucket of an `Unmatched` measure; more are read value by value."""
STARTS_LISTED = 100
"""Starts of one such value in one bucket whose keys are told: Elasticsearch's own limit."""
RAW_PAGE = 10_000
"""Events in one page of what is read event by event: Elasticsearch's own limit."""

_BUCKETS_PER_ANSWER = 60_000
"""Elasticsearch refuses answers of more than 65,536 buckets."""
_PAGE = 10_000
_PAGE_OF_CARDINALITIES = 1_000
"""Each counter of distinct values may take 48 KiB of the cluster's memory."""
_NAMED_DAYS = 40
_LOST_BUCKETS = 20
FILTER_PATH = ",".join(
    (
        "responses.status",
        "responses.error.type",
        "responses.error.reason",
        "responses.error.root_cause.type",
        "responses.error.root_cause.reason",
        "responses.timed_out",
        "responses._shards.total",
        "responses._shards.failed",
        "responses.hits.total.value",
        "responses.hits.hits._source",
        "responses.hits.hits.sort",
        "responses.hits.hits.fields",
        "responses.aggregations",
        "-responses.aggregations.**.from",
        "-responses.aggregations.**.to",
        "-responses.aggregations.**.hits.total",
        "-responses.aggregations.**.max_score",
        "-responses.aggregations.**._*",
        "-responses.aggregations.**.*_as_string",
        "-responses.aggregations.**.variance*",
        "-responses.aggregations.**.std_deviation*",
    )
)
"""What is kept of the answers. Names of aggregations are digits and letters that none of the exclusions hits."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search over the events of ``reach``. ``pages`` tells how it goes on: by a composite's after_key ("keys"),
    by the sort values of the last hit ("hits"), or not at all."""

    reach: Interval
    body: Mapping[str, Any]
    pages: str = ""

    def after(self, position: Any) -> "Search":
        """The next page."""
        if self.pages == "hits":
            return replace(self, body={**self.body, "search_after": position})
        rows = self.body["aggs"]["rows"]
        composite = {**rows["composite"], "after": position}
        return replace(self, body={**self.body, "aggs": {"rows": {**rows, "composite": composite}}})

    def lines(self, prefix: str) -> bytes:
        """Header and body, as they stand in an ``_msearch``. Raises StoreError when JSON can't hold them."""
        header = {
            "index": index_names(prefix, self.reach),
            "ignore_unavailable": True,
            "allow_no_indices": True,
            "request_cache": False,
        }
        try:
            return orjson.dumps(header) + b"\n" + orjson.dumps(self.body) + b"\n"
        except orjson.JSONEncodeError as error:
            raise StoreError(
                f"the question can't be written down: {error}",
                hint="nest its conditions less deeply, and compare with whole characters only",
            ) from error


def index_name(prefix: str, timestamp_ms: int) -> str:
    """The daily index of a time. Raises OverflowError outside the years 1 to 9999."""
    try:
        return f"{prefix}-{_day(timestamp_ms // DAY_MS):%Y.%m.%d}"
    except (ValueError, OverflowError) as error:
        raise OverflowError(f"{timestamp_ms} ms lies outside the years 1 to 9999") from error


def index_pattern(prefix: str) -> str:
    """All daily indices of a prefix, and no other index that begins with it."""
    return f"{prefix}-*.*.*"


def index_day_ms(prefix: str, name: str) -> int | None:
    """The first millisecond of the day an index holds, None when it is none of ours."""
    try:
        day = datetime.strptime(name, f"{prefix}-%Y.%m.%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(day.timestamp()) * 1_000 if f"{prefix}-{day:%Y.%m.%d}" == name else None


def index_names(prefix: str, reach: Interval) -> str:
    """The indices an interval touches, comma separated; a pattern where these would be many."""
    first, last = reach.start_ms // DAY_MS, max(reach.start_ms, reach.end_ms - 1) // DAY_MS
    if last - first >= _NAMED_DAYS:
        return index_pattern(prefix)
    try:
        return ",".join(f"{prefix}-{_day(day):%Y.%m.%d}" for day in range(first, last + 1))
    except (ValueError, OverflowError):
        return index_pattern(prefix)


def _day(days: int) -> date:
    day = date.fromordinal(date(1970, 1, 1).toordinal() + days)
    if day.year < 1000:
        raise OverflowError("years before 1000 have no index of their own")
    return day


def bucket_length_ms(ask: Ask) -> int:
    """The length of the ask's buckets; the interval's own where there is one bucket."""
    return ask.query.bucket_ms or ask.interval.length_ms


def table(ask: Ask, measures: Sequence[AnyMeasure], *extra: Clause, bucket_ms: int) -> Search:
    """One row per key and bucket, with the measures: a composite, so that every key is reached, page by page.

    A question without keys and buckets is one row: then the measures stand at the top.
    """
    query = within(ask.interval, clause(ask.query.where), *extra)
    aggs = measured_by(measures)
    sources = _sources(ask.query.group_by, bucket_ms)
    if not sources:
        whole = {"filter": {"match_all": {}}, **({"aggs": aggs} if aggs else {})}
        return Search(ask.interval, _body(query, {"whole": whole}))
    return Search(ask.interval, _body(query, {"rows": _composite(sources, aggs, _page_size(measures))}), "keys")


def largest(ask: Ask, field: str, measures: Sequence[AnyMeasure], size: int) -> Search:
    """The ``size`` values of a text field with the largest first measure, a count, and the events without a value."""
    aggs = measured_by(measures)
    plain = not isinstance(aggs.get("0"), dict)
    order = [{"_count" if plain else "0": "desc"}, {"_key": "asc"}]
    terms = {"field": field, "size": size, "order": order}
    inner = {"aggs": aggs} if aggs else {}
    body = _body(
        within(ask.interval, clause(ask.query.where)),
        {"largest": {"terms": terms, **inner}, "none": {"missing": {"field": field}, **inner}},
    )
    return Search(ask.interval, body)


def lost(ask: Ask, measure: Unmatched, bucket_ms: int, *extra: Clause) -> Search:
    """The values that start in the bucket that begins at ``bucket_ms``, those without an end first, not all of them.

    A value's documents are its starts in the bucket and its ends in time for the bucket. So the documents of a value
    without an end are its starts, and tell the keys.
    """
    bucket = Interval(bucket_ms, bucket_ms + bucket_length_ms(ask))
    reach = Interval(bucket.start_ms - bucket.length_ms, ask.interval.end_ms + ask.query.settle_ms)
    start = clause(all_of(ask.query.where, measure.start, Exists(measure.field)))
    end = clause(all_of(measure.end, Exists(measure.field)))
    aggs: dict[str, Any] = {"ends": {"filter": end}}
    if ask.query.group_by:
        fields = _docvalues(ask.query.group_by)
        aggs["keys"] = {
            "top_hits": {"size": STARTS_LISTED, "_source": False, "sort": _by_time("asc"), "docvalue_fields": fields}
        }
    terms = {
        "field": measure.field,
        "size": LOST_LISTED,
        "order": [{"ends": "asc"}, {"_key": "asc"}],
        "collect_mode": "breadth_first",
        **as_map(measure.field),
    }
    query = within(reach, one_of([within(_overlap(bucket, ask.interval), start, *extra), end]))
    return Search(reach, _body(query, {"values": {"terms": terms, "aggs": aggs}}))


def lost_buckets(ask: Ask) -> list[int]:
    """The starts of the interval's buckets; none when there are too many to look at each with `lost`."""
    length_ms = bucket_length_ms(ask)
    if length_ms == 0 or ask.interval.length_ms // length_ms > _LOST_BUCKETS:
        return []
    first = ask.interval.start_ms - (ask.interval.start_ms % length_ms if ask.query.bucket_ms else 0)
    return list(range(first, ask.interval.end_ms, length_ms))


def starts(ask: Ask, measure: Unmatched, *extra: Clause) -> Search:
    """One row per key, bucket and value that starts."""
    query = within(ask.interval, clause(all_of(ask.query.where, measure.start, Exists(measure.field))), *extra)
    sources = [*_sources(ask.query.group_by, ask.query.bucket_ms), {"value": {"terms": {"field": measure.field}}}]
    return Search(ask.interval, _body(query, {"rows": _composite(sources, {}, _PAGE)}), "keys")


def ends(ask: Ask, measure: Unmatched) -> Search:
    """One row per value that ends, with the time of its last end."""
    reach = Interval(ask.interval.start_ms - 2 * bucket_length_ms(ask), ask.interval.end_ms + ask.query.settle_ms)
    sources = [{"value": {"terms": {"field": measure.field}}}]
    last = {"last": {"max": {"field": TIME_FIELD}}}
    query = within(reach, clause(all_of(measure.end, Exists(measure.field))))
    return Search(reach, _body(query, {"rows": _composite(sources, last, _PAGE)}), "keys")


def values(ask: Ask, field: str, reach: Interval, keys: Sequence[Clause]) -> Search:
    """One row per key, bucket and value of a field, for some keys. No keys: all."""
    chosen = [one_of(list(keys))] if keys else []
    query = within(reach, clause(all_of(ask.query.where, Exists(field))), *chosen)
    sources = [*_sources(ask.query.group_by, ask.query.bucket_ms), {"value": {"terms": {"field": field}}}]
    return Search(reach, _body(query, {"rows": _composite(sources, {}, _PAGE)}), "keys")


def outcomes(ask: Ask, field: str, reach: Interval, keys: Sequence[Clause]) -> Search:
    """The events behind some keys' runs in time order: their key fields and outcomes only. No keys: all."""
    return Search(
        reach,
        {
            "size": RAW_PAGE,
            "track_total_hits": False,
            "_source": False,
            "query": within(reach, clause(ask.query.where), *([one_of(list(keys))] if keys else [])),
            "docvalue_fields": _docvalues((*ask.query.group_by, field)),
            "sort": _by_time("asc"),
        },
        "hits",
    )


def events(sample: Sample, *, contract_alone: bool = False) -> Search:
    """Whole events, newest or oldest first; ``contract_alone`` leaves out the fields that it does not name."""
    return Search(
        sample.interval,
        {
            **({"_source": [TIME_FIELD, *FIELD_NAMES]} if contract_alone else {}),
            "size": sample.limit,
            "track_total_hits": False,
            "query": within(sample.interval, clause(sample.where)),
            "sort": _by_time("desc" if sample.newest_first else "asc"),
        },
    )


def key_clause(key: Mapping[str, Any]) -> Clause:
    """The events of one key, given the raw values of its fields; None: the events without a value."""
    present: list[Clause] = [{"term": {field: value}} for field, value in key.items() if value is not None]
    absent: list[Clause] = [{"exists": {"field": field}} for field, value in key.items() if value is None]
    parts: dict[str, Any] = {"filter": present} if present else {}
    return {"bool": parts | none_of(*absent)["bool"]} if absent else {"bool": parts}


def _overlap(one: Interval, other: Interval) -> Interval:
    return Interval(max(one.start_ms, other.start_ms), min(one.end_ms, other.end_ms))


def _docvalues(fields: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"field": name, "format": "epoch_millis"} if name == "timestamp" else {"field": name}
        for name in dict.fromkeys(fields)
    ]


def _by_time(order: str) -> list[dict[str, Any]]:
    return [
        {TIME_FIELD: {"order": order, "unmapped_type": "date"}},
        {"event_id": {"order": order, "unmapped_type": "keyword", "missing": "_first" if order == "asc" else "_last"}},
    ]


def _body(query: Clause, aggs: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": 0, "track_total_hits": False, "query": query, "aggs": aggs}


def _composite(sources: list[dict[str, Any]], aggs: Mapping[str, Any], size: int) -> dict[str, Any]:
    return {"composite": {"size": size, "sources": sources}, **({"aggs": aggs} if aggs else {})}


def _sources(group_by: tuple[str, ...], bucket_ms: int) -> list[dict[str, Any]]:
    """Keys by their position (field names could collide with the exclusions of FILTER_PATH), then the bucket."""
    sources: list[dict[str, Any]] = [
        {f"k{index}": {"terms": {"field": field, "missing_bucket": True}}} for index, field in enumerate(group_by)
    ]
    if bucket_ms:
        interval = {"field": TIME_FIELD, "fixed_interval": f"{bucket_ms}ms"}
        sources.append({"bucket": {"date_histogram": interval}})
    return sources


def fits_one_answer(measures: Sequence[AnyMeasure], keys: int) -> bool:
    """Whether Elasticsearch gives that many keys with the measures in one answer."""
    return keys * (1 + sum(map(inner_buckets, measures))) <= _BUCKETS_PER_ANSWER


def _page_size(measures: Sequence[AnyMeasure]) -> int:
    distinct = any(isinstance(m, Measure) and m.statistic is Statistic.CARDINALITY for m in measures)
    fitting = _BUCKETS_PER_ANSWER // (1 + sum(map(inner_buckets, measures)))
    return max(1, min(_PAGE_OF_CARDINALITIES if distinct else _PAGE, fitting))
