"""The shipped unit, run for real: start, tell, reload, hang, crash, stop."""

import json
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.acceptance.scenario import incident, settings
from tests.support.daemon import eventually
from tests.support.http_receiver import Receiver, http_receiver
from tests.support.systemd import Systemd, require_systemd

ROOT = Path(__file__).parent.parent.parent
PLACE = "/run/wumu-test"
LOG = f"{PLACE}/logs/service.log"
CONFIG = f"{PLACE}/alerts.yaml"
DROP_IN = f"""\
# The interpreter and the code of the tests, where the unit may see them; everything else is the shipped unit.
[Service]
ExecStart=
ExecStart={PLACE}/python/bin/python3.{sys.version_info.minor} -m daemon.cli run --config {CONFIG}
Environment=PYTHONPATH={PLACE}/code:{PLACE}/site PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH={PLACE}/python/lib
BindReadOnlyPaths={sys.base_prefix}:{PLACE}/python
BindReadOnlyPaths={sysconfig.get_path("purelib")}:{PLACE}/site
BindReadOnlyPaths={ROOT}:{PLACE}/code
WatchdogSec=20
RestartSec=100ms
"""


def told(receiver: Receiver) -> set[str]:
    """The hosts about which a firing alert was told."""
    bodies = [json.loads(request.body) for request in list(receiver.requests)]
    return {body["alert"]["key"].get("host", "") for body in bodies if body["occasion"] == "firing"}


@pytest.mark.systemd
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_unit_from_start_to_stop(tmp_path: Path) -> None:
    require_systemd()
    unit = (ROOT / "deploy/wumu.service").read_text(encoding="utf-8")
    with http_receiver() as receiver, Systemd({"wumu.service": unit}) as systemd:
        config = settings(tmp_path / "alerts.yaml", Path(LOG), receiver.url).read_text(encoding="utf-8")
        systemd.write("/run/units/wumu.service.d/test.conf", DROP_IN)
        systemd.write(CONFIG, config)
        systemd.write(LOG, "")
        systemd.path(f"{PLACE}/logs").chmod(0o755)
        systemd.run("systemctl", "daemon-reload")

        def happen(host: str) -> None:
            """Something goes wrong on a host, and it is told."""
            with systemd.path(LOG).open("a", encoding="utf-8") as log:
                log.writelines(json.dumps(event) + "\n" for event in incident(time.time_ns() // 1_000_000, host))
            eventually(lambda: host in told(receiver), f"{host} is told: {systemd.output('wumu')}")

        systemd.run("systemctl", "start", "wumu", timeout_s=120)
        assert "the first turn is done" in systemd.output("wumu")
        happen("after-start")

        systemd.write(CONFIG, config.replace("times: 3", "times: 3\n    tmies: 4"))
        systemd.run("systemctl", "reload", "wumu")
        eventually(lambda: "not reloaded" in systemd.output("wumu"), "a bad configuration is refused")
        happen("after-a-bad-reload")
        systemd.write(CONFIG, config.replace("tick: 1s", "tick: 2s"))
        systemd.run("systemctl", "reload", "wumu")
        eventually(lambda: "reloaded: 19 rules" in systemd.output("wumu"), "a good configuration is taken")
        happen("after-a-good-reload")

        systemd.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "wumu")
        systemd.wait_until("wumu", lambda unit: unit["NRestarts"] == "1" and unit["ActiveState"] == "active")
        happen("after-a-hang")

        systemd.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "wumu")
        systemd.wait_until("wumu", lambda unit: unit["NRestarts"] == "2" and unit["ActiveState"] == "active")
        happen("after-a-crash")

        systemd.run("systemctl", "stop", "wumu", timeout_s=90)
        assert systemd.show("wumu")["Result"] == "success"
        names = [(json.loads(r.body)["alert"]["id"], r.headers["webhook-id"]) for r in receiver.requests]
        assert len(dict(names)) == len({name for _, name in names}), "an alert was told again under a new name"
        assert "Traceback" not in systemd.output("wumu")
