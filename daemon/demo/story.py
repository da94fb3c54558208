"""The demo from beginning to end: a model, pictures, a service, the daemon, what went wrong and what was sent."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from daemon.alerts.model import Alert, State
from daemon.app import LEDGER
from daemon.demo.pictures import DemoPicture, write_pictures
from daemon.demo.receivers import Hook, Mailbox
from daemon.demo.service import Service
from daemon.demo.settings import write_settings
from daemon.errors import LedgerError, WumuError
from daemon.ledger.ledger import Ledger
from detectors.finding import Reason
from recognizer.emit import configure
from recognizer.sinks import FileSink
from recognizer.train import train

SEED = 7
LEARNING_S = 50.0
PATIENCE_S = 75.0
STATISTICAL: dict[str, dict[str, Any]] = {
    "latency": {"min_history": "40s", "history": "30m"},
    "confidence_drift": {"min_history": "40s", "history": "30m"},
}

Say = Callable[[str], None]


class Demo:
    """One run in a folder of its own, which is emptied first."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.mailbox = Mailbox()
        self.hook = Hook()
        self._say = say
        self._log = folder / "logs" / "recognizer.log"
        self._settings = folder / "alerts.yaml"
        self._state = folder / "state"

    def run(self) -> None:
        """The whole story. Raises WumuError when it does not come to its end."""
        with ExitStack() as stack:
            stack.callback(self.mailbox.close)
            stack.callback(self.hook.close)
            self._prepare()
            pictures = self._pictures()
            model = self._model()
            configure(sink=FileSink(self._log))
            service = Service(model, [p.path for p in pictures if p.reason is None and p.label], SEED)
            stack.callback(service.stop)
            self._say(f"The service recognises {len(pictures)} pictures and writes what happens to {self._log}")
            service.serve([picture.path for picture in pictures])
            stack.enter_context(self._daemon())
            self._wait_for(Reason.ERROR_STREAK, "path errors in a row")
            service.start()
            self._say(f"Ordinary traffic for {LEARNING_S:.0f} s: the daemon learns what is usual")
            time.sleep(LEARNING_S)
            self._say("The device becomes slow ...")
            service.weather.slow = True
            self._wait_for(Reason.LATENCY_SHIFT, "a latency spike")
            service.weather.slow = False
            self._say("The lens becomes dirty: the pictures are noisy ...")
            service.weather.dirty = True
            self._wait_for(Reason.CONFIDENCE_DRIFT, "a drop in confidence")
            self._wait_until(lambda: len(self.mailbox.mails) >= len(self.firing()), "the mails")

    def alerts(self) -> list[Alert]:
        """Everything that fired, the oldest first; nothing while the daemon has not begun."""
        try:
            ledger = Ledger.read_only(self._state / LEDGER)
        except LedgerError:
            return []
        try:
            return [alert for alert in reversed(ledger.alerts()) if alert.fired_at_ms is not None]
        finally:
            ledger.close()

    def firing(self) -> list[Alert]:
        return [alert for alert in self.alerts() if alert.state is State.FIRING]

    def mail_about(self, rule_id: str) -> EmailMessage | None:
        """The first mail about a rule."""
        return next((mail for mail in self.mailbox.mails if rule_id in str(mail["Subject"])), None)

    def _prepare(self) -> None:
        if self.folder.exists():
            if any(self.folder.iterdir()) and not (self.folder / MARK).exists():
                raise WumuError(f"{self.folder} holds something else than a demo", hint="name another folder")
            shutil.rmtree(self.folder)
        self._log.parent.mkdir(parents=True)
        (self.folder / MARK).touch()

    def _pictures(self) -> list[DemoPicture]:
        pictures = write_pictures(self.folder / "pictures", SEED)
        faulty = [picture for picture in pictures if picture.about]
        self._say(f"{len(pictures)} real pictures lie under {self.folder / 'pictures'}, {len(faulty)} of them at fault")
        return pictures

    def _model(self) -> Path:
        model = self.folder / "model"
        self._say("Training a small model on scikit-learn's digits ...")
        started = time.monotonic()
        accuracy = train(model, SEED)
        self._say(f"  {accuracy:.1%} right on digits it never saw, {time.monotonic() - started:.0f} s")
        return model

    @contextmanager
    def _daemon(self) -> Iterator[None]:
        write_settings(self._settings, self._log, self.mailbox.port, self.hook.url, STATISTICAL)
        self._say(f"wumu run --config {self._settings} --state {self._state}")
        places = ["--config", str(self._settings), "--state", str(self._state)]
        command = [sys.executable, "-m", "daemon.cli", "run", *places]
        with (self.folder / "daemon.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
            self._process = process
            try:
                yield
            finally:
                process.terminate()
                process.wait()

    def _wait_for(self, reason: Reason, what: str) -> None:
        def found() -> bool:
            return any(alert.finding.reason is reason for alert in self.alerts())

        started = time.monotonic()
        self._wait_until(found, what)
        self._say(f"  alert: {what}, noticed after {time.monotonic() - started:.0f} s")

    def _wait_until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if self._process.poll() is not None:
                raise WumuError("the daemon ended early", hint=f"see {self.folder / 'daemon.log'}")
            if time.monotonic() > end:
                raise WumuError(f"{what} did not come within {PATIENCE_S:.0f} s", hint=f"see {self.folder}/daemon.log")
            time.sleep(0.2)


MARK = ".wumu-demo"
