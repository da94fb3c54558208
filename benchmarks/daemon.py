"""The running daemon: how soon a mail comes, how much memory it takes, how fast it starts.

    python -m benchmarks.daemon [--probes 30] [--minutes 5]

A real `wumu run` at its default settings (a turn every 5 s), the shipped rules and one rule on minute buckets, a real
SMTP server, a service that writes as one of 1,000,000 events a day does (11.6 a second) after a backlog of 200,000.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.conditions import conditions
from daemon.demo.receivers import Mailbox
from tests.acceptance.scenario import bare, incident, write_log
from tests.support.daemon import Daemon, eventually

EVENTS_PER_SECOND = 1_000_000 / 86_400
BACKLOG = 200_000
BURST = 12
MINUTE_RULE = {
    "id": "minute-errors",
    "kind": "ratio",
    "where": "event_type: business_output",
    "bad": "http_status >= 500",
    "above": 0.5,
    "window": "1m",
    "at_least_events": 10,
    "group_by": ["host"],
}


class Probes(Mailbox):
    """Notes when the first mail about each probe's host came."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        super().__init__()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        answer = await super().handle_DATA(server, session, envelope)
        mail: EmailMessage = self.mails[-1]
        if found := re.search(r"(?:single|minute)-\d+", str(mail["Subject"])):
            self.came.setdefault(found.group(), time.time())
        return answer


def settings(path: Path, log: Path, port: int) -> Path:
    """The shipped rules at their default timing, and one rule that judges minutes."""
    yaml = YAML()
    document = yaml.load(Path("alerts.yaml").read_text(encoding="utf-8"))
    document["ingest"]["paths"] = [str(log)]
    document["channels"] = {
        "mail": {
            "kind": "mail",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "from": "w@example.com",
            "to": "o@example.com",
        }
    }
    document["defaults"]["notify"] = ["mail"]
    document["rules"].append(MINUTE_RULE)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path


def import_seconds() -> float:
    """Best of five: what importing the daemon adds to an empty interpreter."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    return min(run("import daemon.cli.run") for _ in range(5)) - min(run("pass") for _ in range(5))


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory now and at its highest."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+)", status, re.MULTILINE))
    return {"rss": int(values["VmRSS"]) / 1024, "peak": int(values["VmHWM"]) / 1024}


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, round(percent / 100 * len(values)))]


def ordinary(at_ms: int, number: int) -> dict[str, Any]:
    return bare(at_ms, "inference_complete", f"host-{number % 8}", duration_ms=20.0 + number % 7, top1_score=0.9)


def live(log: Path, probes: int, minutes: float, stop: threading.Event) -> dict[str, float]:
    """Write ordinary traffic and, at random moments, probes; when each probe was written."""
    chance = random.Random(1)
    began, written = time.time(), 0
    names = [f"{kind}-{n}" for n in range(probes) for kind in ("single", "minute")]
    due = sorted((chance.uniform(0, minutes * 60), name) for name in names)
    sent: dict[str, float] = {}
    while due or time.time() - began < minutes * 60:
        now = time.time()
        events = []
        while written < (now - began) * EVENTS_PER_SECOND:
            written += 1
            events.append(ordinary(round(now * 1_000), written))
        while due and due[0][0] <= now - began:
            name = due.pop(0)[1]
            at_ms = round(now * 1_000)
            single = name.startswith("single")
            events += (
                incident(at_ms, name) if single else [bare(at_ms, "business_output", name, http_status=503)] * BURST
            )
            sent[name] = now
        write_log(log, events)
        stop.wait(0.1)
    return sent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--probes", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    probes = Probes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "service.log"
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        write_log(log, [ordinary(start_ms + n * 17, n) for n in range(BACKLOG)])
        daemon = Daemon(settings(folder / "alerts.yaml", log, probes.port), folder / "state")
        daemon.start()
        daemon.wait_ready()
        sent = live(log, arguments.probes, arguments.minutes, threading.Event())
        eventually(lambda: set(sent) <= set(probes.came), "every probe's mail", deadline_s=180)
        memory = memory_mib(daemon.pid)
        daemon.stop()
    probes.close()
    waits = {
        kind: [probes.came[name] - sent[name] for name in sent if name.startswith(kind)]
        for kind in ("single", "minute")
    }
    result = {
        "benchmark": "daemon",
        "conditions": conditions(),
        "probes": arguments.probes,
        "single_event_rules_s": {f"p{p}": round(percentile(waits["single"], p), 2) for p in (50, 95)},
        "minute_rules_s": {f"p{p}": round(percentile(waits["minute"], p), 2) for p in (50, 95)},
        "memory_mib": {name: round(value, 1) for name, value in memory.items()},
        "import_s": round(import_seconds(), 3),
        "bars": {"single_event_p95_s": 8, "minute_p95_s": 75, "rss_mib": 250, "import_s": 1},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
