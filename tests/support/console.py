"""A place where wumu has been at work: a log with ordinary, faulty and hostile events, a configuration, a state."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from daemon.cli.main import main
from tests.acceptance.scenario import ZWSP, bare, incident, settings, write_log

LONG_FOLDER = "/data/" + "x" * 300
HOSTILE_PATH = "/data/a\nb\x1b[2J\u202egnp.exe"
HOSTILE_ERROR = "bad\n\x1b]0;title\x07 [bold]x[/bold]"


def verb(*arguments: str | Path) -> Result:
    """A verb in this process. A traceback fails the test."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@dataclass(frozen=True, slots=True)
class Place:
    """``pictures`` is a real folder in which the cleaned path of one event exists."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "alerts.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "service.log"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def picture(self) -> Path:
        return self.folder / "百灵.png"

    @property
    def options(self) -> tuple[str | Path, ...]:
        return "--config", self.config, "--state", self.state

    def write(self, **changes: Any) -> None:
        """The configuration, and a log whose last lines are no events."""
        now_ms = time.time_ns() // 1_000_000 - 5_000
        self.picture.write_bytes(b"a picture")
        write_log(self.log, [*incident(now_ms), *_events(now_ms, self.picture)])
        settings(self.config, self.log, **changes)

    def write_malformed(self) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write('no event\n{"timestamp": "never"}\n')


def _events(now_ms: int, picture: Path) -> Iterator[dict[str, Any]]:
    """A hostile one, a long one, one whole request, and one picture that stands at its cleaned path."""
    yield bare(now_ms, "input_error", "gpu-9\x1b[31m", file_path=HOSTILE_PATH, error=HOSTILE_ERROR, request_id="r\n1")
    yield bare(now_ms + 10, "input_error", "gpu-2", file_path=f"{LONG_FOLDER}/y.png", request_id="r2")
    whole = {"request_id": "req-3", "file_path": "/data/[bold]9[/bold].png"}
    yield bare(now_ms + 20, "input_start", "gpu-2", **whole)
    yield bare(now_ms + 30, "inference_complete", "gpu-2", top1_label=f"狗{ZWSP}", top1_score=0.2, **whole)
    yield bare(now_ms + 40, "business_output", "gpu-2", http_status=200, request_id="req-3")
    yield bare(now_ms + 50, "input_error", "gpu-2", file_path=f"{picture}{ZWSP}", error="imread: None")
