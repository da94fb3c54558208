"""What an error of a bulk request means for the event it is about. Pure.

The status is not enough: a closed index answers 400 like a broken line does, and a broken line may answer 500. Taking
the one for the other would either drop everything or try one line for ever.
"""

import enum
import re


class Verdict(enum.StrEnum):
    """What becomes of one event."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # it is there already
    RETRY = "retry"  # the cluster is busy
    POISON = "poison"  # this line will never be taken
    OPERATOR = "operator"  # no line will be taken until somebody repairs something


_POISON_TYPES = frozenset(
    {
        "document_parsing_exception",
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "not_x_content_exception",
        "x_content_parse_exception",
        "x_content_e_o_f_exception",
        "json_parse_exception",
        "json_e_o_f_exception",
        "parse_exception",
        "parsing_exception",
        "number_format_exception",
        "date_time_parse_exception",
        "max_bytes_length_exceeded_exception",
        "stream_constraints_exception",
    }
)
_RETRY_TYPES = frozenset(
    {
        "es_rejected_execution_exception",
        "circuit_breaking_exception",
        "unavailable_shards_exception",
        "no_shard_available_action_exception",
        "process_cluster_event_timeout_exception",
        "node_closed_exception",
        "node_disconnected_exception",
        "no_node_available_exception",
        "master_not_discovered_exception",
        "primary_missing_exception",
        "timeout_exception",
    }
)
_POISON_REASON = re.compile(r"immense term|field name|total fields|too large|nested depth|Provided id", re.IGNORECASE)
_BUSY_STATUSES = frozenset({429, 502, 503, 504})


def judge(status: int, error_type: str, reason: str) -> Verdict:
    """The verdict on one item of a bulk answer. What is not known keeps the event: it is the operator's to see."""
    if status < 300:
        return Verdict.STORED
    if status == 409 or error_type == "version_conflict_engine_exception":
        return Verdict.DUPLICATE
    if error_type in _POISON_TYPES:
        return Verdict.POISON
    if status in _BUSY_STATUSES or error_type in _RETRY_TYPES:
        return Verdict.RETRY
    if error_type == "illegal_argument_exception" and _POISON_REASON.search(reason):
        return Verdict.POISON
    return Verdict.OPERATOR


def way_out(error_type: str, reason: str) -> str:
    """What an operator does about a fault that stops everything."""
    for mark, hint in _WAYS_OUT:
        if mark in error_type or mark in reason:
            return hint
    return "correct it on the cluster; wumu keeps its place in the log and goes on by itself"


_WAYS_OUT = (
    ("index_closed_exception", "open the index (POST /<index>/_open); wumu goes on by itself"),
    (
        "cluster_block_exception",
        "remove the block (index.blocks.*, cluster.blocks.*, full disk); wumu goes on by itself",
    ),
    ("maximum", "raise cluster.max_shards_per_node or delete old indices; wumu goes on by itself"),
    ("pipeline", "create the ingest pipeline or remove index.default_pipeline; wumu goes on by itself"),
    ("index_not_found_exception", "let indices be created (action.auto_create_index); wumu goes on by itself"),
    ("alias", "an alias or data stream has the name of a daily index: remove it or choose another prefix"),
    ("security_exception", "give the user the rights create_index and write on the store's indices"),
)
