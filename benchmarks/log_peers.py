"""Other ways to write the same event, each as one would set it up: what is not installed is named and left out.

None of them is a dependency: pip install structlog python-json-logger ecs-logging loguru opentelemetry-sdk
"""

import importlib
import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

Write = Callable[[dict[str, Any]], object]
"""Writes one event of the type inference_complete."""


def _stdlib(path: Path, formatter: logging.Formatter) -> Write:
    logger = logging.Logger(str(path))  # noqa: LOG001 - one for each peer, with no parent
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return lambda event: logger.info("inference_complete", extra=event)


def _python_json_logger(path: Path) -> Write:
    found = importlib.import_module("pythonjsonlogger.orjson")
    return _stdlib(path, found.OrjsonFormatter())


def _ecs_logging(path: Path) -> Write:
    return _stdlib(path, importlib.import_module("ecs_logging").StdlibFormatter())


class _PlainJson(logging.Formatter):
    """The least that a JSON formatter of one's own does."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"timestamp": record.created, "event_type": record.msg, **vars(record)}, default=str)


def _plain_logging(path: Path) -> Write:
    return _stdlib(path, _PlainJson())


def _structlog(path: Path) -> Write:
    structlog = importlib.import_module("structlog")
    logger = structlog.wrap_logger(
        structlog.BytesLogger(path.open("ab")),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
    ).bind()
    return lambda event: logger.info("inference_complete", **event)


def _loguru(path: Path) -> Write:
    logger = importlib.import_module("loguru").logger
    logger.remove()
    logger.add(path, serialize=True)
    return lambda event: logger.bind(**event).info("inference_complete")


def _opentelemetry(path: Path) -> Write:
    logs = importlib.import_module("opentelemetry.sdk._logs")
    export = importlib.import_module("opentelemetry.sdk._logs.export")
    provider = logs.LoggerProvider()
    exporter = export.ConsoleLogRecordExporter(out=path.open("a", encoding="utf-8"))
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    logger = logging.Logger("opentelemetry")  # noqa: LOG001 - no parent
    logger.addHandler(logs.LoggingHandler(logger_provider=provider))
    return lambda event: logger.info("inference_complete", extra=event)


PEERS: dict[str, tuple[str, Callable[[Path], Write]]] = {
    "logging_json": ("", _plain_logging),
    "structlog_orjson": ("structlog", _structlog),
    "python_json_logger_orjson": ("python-json-logger", _python_json_logger),
    "ecs_logging": ("ecs-logging", _ecs_logging),
    "loguru_serialize": ("loguru", _loguru),
    "opentelemetry_sdk_simple": ("opentelemetry-sdk", _opentelemetry),
}
"""Name, distribution (none: the standard library) and how it is set up."""


def installed(folder: Path) -> tuple[dict[str, Write], dict[str, str], dict[str, str]]:
    """The peers that are here, ready to write below ``folder``, their versions, and why the others are not."""
    here: dict[str, Write] = {}
    versions: dict[str, str] = {}
    absent: dict[str, str] = {}
    for name, (distribution, make) in PEERS.items():
        try:
            here[name] = make(folder / f"{name}.jsonl")
        except ModuleNotFoundError as missing:
            absent[name] = f"not installed: {missing.name}"
        else:
            versions |= {distribution: version(distribution)} if distribution else {}
    return here, versions, absent
