"""Pictures into the file of an embedded store, all at once: the same events as their lines make, without the lines.

A history of days would take minutes as lines; DuckDB unfolds the columns in seconds. Only for pictures that are shipped
once and in time; the others go the way of every log line (`benchmarks.scenarios.lines`).
"""

from dataclasses import fields
from pathlib import Path

import duckdb

from benchmarks.scenarios.fleet import HOSTS, Fleet
from benchmarks.scenarios.lines import ERRORS
from benchmarks.scenarios.traffic import Pictures
from daemon.store.duckdb import schema

_COMMON = """
    '{kind}' AS event_type, '{kind}-' || name AS event_id, model_name, host_name AS host, 4000 + host AS pid,
    'r-' || name AS request_id, 1 AS schema_version, path || suffix AS file_path, file_dir
"""
_EVENTS = {
    "input_start": (
        "true",
        "0",
        """issues AS path_issues, if(issues IS NULL, NULL, path) AS path_cleaned,
        if(issues IS NULL, NULL, true) AS path_cleaned_exists, height * width // 8 AS file_size""",
    ),
    "input_error": (
        "NOT hangs AND (reason != '' OR failure != '')",
        "if(reason != '', 2, floor(3 + preprocess_ms + inference_ms))",
        """issues AS path_issues, if(issues IS NULL, NULL, path) AS path_cleaned,
        if(issues IS NULL, NULL, true) AS path_cleaned_exists, reason || failure AS reason, error""",
    ),
    "input_success": (
        "NOT hangs AND reason = ''",
        "3",
        """[height, width, channels] AS shape, channels, dtype, 'jpeg' AS image_format,
        if(channels = 1, ['image_grayscale'], NULL) AS image_issues""",
    ),
    "preprocess_complete": (
        "NOT hangs AND reason = ''",
        "floor(3 + preprocess_ms)",
        """[1, 3, 224, 224] AS output_shape, round(preprocess_ms, 3) AS duration_ms, true AS resized,
        true AS normalized, conversion AS channel_conversion, round(224 / height, 4) AS scale_ratio,
        round(mean, 5) AS mean, round(variance, 5) AS variance""",
    ),
    "inference_complete": (
        "NOT hangs AND reason = '' AND failure = ''",
        "floor(3 + preprocess_ms + inference_ms)",
        """round(inference_ms, 3) AS duration_ms, best[1] AS top1_label, round(score, 6) AS top1_score,
        best AS top3_labels, [round(score, 6), round((1 - score) * 0.6, 6), round((1 - score) * 0.3, 6)] AS top3_scores,
        logits_dim, device, batch_size""",
    ),
    "business_output": (
        "NOT hangs AND reason = ''",
        "floor(4 + preprocess_ms + inference_ms)",
        """if(failure = '', http_status, 500) AS http_status, 512 AS response_size,
        if(failure = '' AND http_status < 400, 'success', 'error') AS status,
        score < 0.3 AS low_confidence_filtered, client_ip""",
    ),
}
"""Of every event type: which pictures have it, how long after their beginning (ms), and its own fields."""


def write(path: Path, pictures: Pictures, fleet: Fleet) -> None:
    """Adds the events to the store's file, which nobody else may have open. Makes it where there is none."""
    connection = duckdb.connect(str(path), config={"threads": "1"})
    try:
        schema.prepare(connection)
        connection.register("raw", {column.name: getattr(pictures, column.name) for column in fields(pictures)})
        _tables(connection, fleet)
        connection.execute("CREATE TEMP TABLE pictures AS " + _UNFOLDED)
        for kind, (where, after_ms, own) in _EVENTS.items():
            connection.execute(
                f"INSERT INTO events BY NAME SELECT at_ms + clock_ms + CAST({after_ms} AS BIGINT) AS timestamp, "  # noqa: S608
                f"{_COMMON.format(kind=kind)}, {own} FROM pictures WHERE {where}"
            )
    finally:
        connection.close()


_UNFOLDED = """
SELECT raw.*, models.model_name, models.logits_dim, hosts.host_name, folders.file_dir, folders.client_ip, errors.error,
       folders.file_dir || '/' || name || '.jpg' AS path,
       if(reason LIKE 'path\\_%' ESCAPE '\\', [reason], NULL) AS issues,
       [models.labels[1 + (label + step) % models.logits_dim] FOR step IN [0, 1, 2]] AS best
FROM raw JOIN models ON models.place = raw.model JOIN hosts ON hosts.place = raw.host
JOIN folders ON folders.place = raw.folder LEFT JOIN errors ON errors.word = raw.reason || raw.failure
"""


def _tables(connection: duckdb.DuckDBPyConnection, fleet: Fleet) -> None:
    """What the columns refer to by number or by word."""
    connection.execute(
        "CREATE TEMP TABLE models (place BIGINT, model_name VARCHAR, labels VARCHAR[], logits_dim BIGINT)"
    )
    connection.executemany(
        "INSERT INTO models VALUES (?, ?, ?, ?)",
        [[place, one.name, list(one.labels), len(one.labels)] for place, one in enumerate(fleet.models)],
    )
    connection.execute("CREATE TEMP TABLE hosts (place BIGINT, host_name VARCHAR)")
    connection.executemany("INSERT INTO hosts VALUES (?, ?)", [[place, name] for place, name in enumerate(HOSTS)])
    connection.execute("CREATE TEMP TABLE folders (place BIGINT, file_dir VARCHAR, client_ip VARCHAR)")
    connection.executemany(
        "INSERT INTO folders VALUES (?, ?, ?)",
        [[place, one.path, one.client_ip] for place, one in enumerate(fleet.folders)],
    )
    connection.execute("CREATE TEMP TABLE errors (word VARCHAR, error VARCHAR)")
    connection.executemany("INSERT INTO errors VALUES (?, ?)", [list(pair) for pair in ERRORS.items()])
