"""The shipped unit: systemd accepts it whole, and it leaves little to take."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.systemd import Systemd, require_systemd

UNIT = Path(__file__).parents[2] / "deploy" / "wumu.service"
PROGRAM = "/opt/wumu/bin/wumu"
CREDENTIAL = "/etc/wumu/credentials/smtp-password"
_LOOK_AROUND = """#!/bin/sh
echo state "$STATE_DIRECTORY" "$WUMU_STATE"
touch "$STATE_DIRECTORY/mine" && echo wrote its state
for place in /etc/wumu /var/log /opt/wumu /usr; do touch "$place/mine" 2>/dev/null && echo wrote "$place"; done
echo secret "[$(cat "$CREDENTIALS_DIRECTORY/smtp-password")]"
cat /var/log/service.log
cat /etc/wumu/alerts.yaml
echo arguments "$@"
exec systemd-notify --ready
"""


@pytest.fixture
def analyze() -> str:
    path = shutil.which("systemd-analyze")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("systemd-analyze is not installed")
    if path is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    return path


def test_systemd_finds_nothing_to_complain_about(analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_its_exposure_is_at_most_one_and_a_half(analyze: str) -> None:
    command = [analyze, "security", "--offline=true", "--threshold=15", "--no-pager", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.systemd
@pytest.mark.parametrize("secret", ["", "tiger"], ids=["no credential file", "credential"])
def test_it_runs_with_its_state_its_secret_and_the_logs_of_others_and_may_write_nothing_else(secret: str) -> None:
    require_systemd()
    with Systemd({"wumu.service": UNIT.read_text()}) as systemd:
        systemd.write(PROGRAM, _LOOK_AROUND, mode=0o755)
        systemd.write("/etc/wumu/alerts.yaml", "the rules\n")
        if secret:
            systemd.write(CREDENTIAL, secret, mode=0o600)
        systemd.write("/var/log/service.log", "a line of another service\n", mode=0o640)
        systemd.run("chgrp", "adm", "/var/log/service.log")
        systemd.run("systemctl", "start", "--no-block", "wumu")
        systemd.wait_until("wumu", lambda _: "arguments" in systemd.output("wumu"))
        assert systemd.output("wumu").splitlines()[:6] == [
            "state /var/lib/wumu /var/lib/wumu",
            "wrote its state",
            f"secret [{secret}]",
            "a line of another service",
            "the rules",
            "arguments run --config /etc/wumu/alerts.yaml",
        ]
