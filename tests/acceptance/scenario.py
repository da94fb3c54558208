"""One scenario for every store: what a service writes when things go wrong, as bare and as full events."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

MINUTE_MS = 60_000
ZWSP = "\u200b"


def incident(now_ms: int, host: str = "gpu-1", folder: str = "/data/upload") -> list[dict[str, Any]]:
    """Three pictures in a row whose path has a zero-width space at its end."""
    return [
        bare(now_ms - 3_000 + 1_000 * n, "input_error", host, file_path=f"{folder}/{n}.png{ZWSP}", error="imread: None")
        | {"reason": "path_invisible_character"}
        for n in range(3)
    ]


def bare(timestamp_ms: int, event_type: str, host: str, **fields: Any) -> dict[str, Any]:
    """An event of a foreign service: the five fields that everyone has, and a few more."""
    return {"timestamp": timestamp_ms, "event_type": event_type, "model_name": "m", "host": host, "pid": 1} | fields


def history(now_ms: int, minutes: int = 30) -> Iterator[dict[str, Any]]:
    """Half an hour of a service of two hosts up to now: one folder fails, and one host answers with errors."""
    for step in range(minutes * 24):
        at_ms = now_ms - minutes * MINUTE_MS + step * 2_500
        host = ("gpu-1", "gpu-2")[step % 2]
        bad = step % 3 == 0 and step > minutes * 12
        folder = "/data/broken" if bad else f"/data/{step % 4}"
        yield bare(at_ms, "input_error" if bad else "input_success", host, file_path=f"{folder}/{step}.png") | (
            {"reason": "image_truncated"} if bad else {}
        )
        yield bare(at_ms + 100, "inference_complete", host, duration_ms=20.0 + step % 7, top1_score=0.9)
        yield bare(at_ms + 200, "business_output", host, http_status=503 if host == "gpu-2" else 200)


def write_log(path: Path, events: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> int:
    """Append; how many lines."""
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    with path.open("a", encoding="utf-8") as log:
        log.writelines(line + "\n" for line in lines)
    return len(lines)


def settings(path: Path, log: Path, hook_url: str = "", **changes: Any) -> Path:
    """An alerts.yaml with the shipped rules that reads ``log`` and tells ``hook_url``."""
    yaml = YAML()
    document = yaml.load(Path("alerts.yaml").read_text(encoding="utf-8"))
    document["ingest"] = {"paths": [str(log)], "poll": "1s"}
    document["tick"] = "1s"
    if hook_url:
        document["channels"] = {"hook": {"kind": "webhook", "url": hook_url, "allow_private": True}}
        document["defaults"]["notify"] = ["hook"]
    document.update(changes)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path
