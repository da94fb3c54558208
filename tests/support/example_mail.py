"""The mail of the documentation's picture: ``python -m tests.support.example_mail docs/alert-mail.png`` draws it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from daemon.alerts.model import Alert, State
from daemon.notify.channel import Message, Notice, Occasion
from daemon.notify.render import render
from detectors.condition import all_of, equals
from detectors.finding import Evidence, Expected, Finding, Reason
from detectors.frame import Interval
from detectors.matching.streak import Streak
from detectors.suspects import Suspect
from recognizer.events import Event
from rules.model import Language, Rule, Severity
from rules.remedy import choose

AT_MS = 1_795_372_621_000
FOLDER = "/srv/photos/upload"
CAUSE = "path_invisible_character"


def example_mail(language: Language = Language.EN, folder: str = FOLDER) -> Message:
    """Three pictures whose paths hold invisible characters; the file exists at the first one's cleaned path."""
    samples = _samples(folder)
    finding = Finding(
        key=(("host", "gpu-1"),),
        at_ms=AT_MS,
        since_ms=AT_MS - 9_000,
        reason=Reason.ERROR_STREAK,
        observed=3,
        expected=Expected(high=2),
        unit="events",
        score=1.0,
        evidence=Evidence(
            Interval(AT_MS - 9_000, AT_MS), bad=all_of(equals("event_type", "input_error"), equals("reason", CAUSE))
        ),
        details={"field": "reason", "value": CAUSE},
    )
    rule = Rule(
        id="path-errors-in-a-row",
        detector=Streak(),
        summary="The same path error three times in a row on one machine",
        severity=Severity.CRITICAL,
        runbook="https://wiki.example.com/runbooks/paths",
    )
    alert = Alert(
        id="a41c9e07b2d853f6",
        rule_id=rule.id,
        key=finding.key,
        state=State.FIRING,
        severity=rule.severity,
        active_at_ms=finding.since_ms,
        last_seen_ms=AT_MS,
        finding=finding,
        peak=finding,
        fired_at_ms=AT_MS,
    )
    suspect = Suspect(
        field="file_dir", value=folder, bad=3, bad_total=3, base=11, base_total=240, lift=21.8, significance=1e-4
    )
    notice = Notice(
        alert=alert,
        rule=rule,
        occasion=Occasion.FIRING,
        decided_at_ms=AT_MS + 1_200,
        samples=samples,
        suspects=(suspect,),
        remedies={language: choose(finding, samples, language, lambda _: True)},
    )
    return render(notice, channel="mail", language=language, time_zone="Asia/Shanghai").message


def _samples(folder: str) -> tuple[Event, ...]:
    names = ("百灵鸟\u200b.jpg", "cat\u200b.png", "\ufeffdog.jpg")
    return tuple(
        Event(
            timestamp=AT_MS - 9_000 + place * 3_000,
            event_type="input_error",
            host="gpu-1",
            request_id=f"9f31c07{place}",
            file_path=f"{folder}/{name}",
            reason=CAUSE,
            error="cv2.imread returned None",
        )
        for place, name in enumerate(names)
    )


def draw(html: str, picture: Path) -> None:
    """Take a picture of the page. Raises FileNotFoundError where there is no Chromium."""
    browse(html, "--force-device-scale-factor=1.25", "--window-size=720,1460", f"--screenshot={picture}")


def browse(html: str, *options: str) -> str:
    """What a headless Chromium prints for the page. Raises FileNotFoundError where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise FileNotFoundError("no Chromium on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "mail.html"
        page.write_text(html, encoding="utf-8")
        alone = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
        return subprocess.run(
            [browser, *alone, f"--user-data-dir={folder}/profile", *options, page.as_uri()],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout


if __name__ == "__main__":
    draw(example_mail().html, Path(sys.argv[1]))
