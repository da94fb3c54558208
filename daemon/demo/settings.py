"""The demo's alerts.yaml: the shipped one, with places and channels of the demo, and its days shortened to seconds."""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from daemon.shipped import shipped

BUCKET = "2s"
"""The statistical rules judge minutes; the demo has no time for that and lets a minute last so long."""

_STATISTICAL = {"latency", "confidence_drift"}


def write_settings(
    path: Path, log: Path, smtp_port: int, hook_url: str, statistical: dict[str, dict[str, Any]]
) -> None:
    """Write the configuration. ``statistical`` are further parameters of the kinds it names."""
    yaml = YAML()
    settings = yaml.load(shipped("alerts.yaml"))
    settings["ingest"] = {"paths": [str(log)], "poll": "1s"}
    settings["tick"] = "1s"
    settings["channels"] = {
        "mail": {
            "kind": "mail",
            "host": "127.0.0.1",
            "port": smtp_port,
            "security": "none",
            "from": "wumu@example.com",
            "to": ["ops@example.com"],
        },
        "hook": {"kind": "webhook", "url": hook_url, "allow_private": True},
    }
    settings["defaults"]["notify"] = ["mail", "hook"]
    for rule in settings["rules"]:
        if rule["kind"] in _STATISTICAL:
            rule.update({"bucket": BUCKET} | statistical.get(rule["kind"], {}))
    text = StringIO()
    yaml.dump(settings, text)
    path.write_text(text.getvalue(), encoding="utf-8")
