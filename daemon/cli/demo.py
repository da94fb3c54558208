"""`wumu demo`: see it work, with nothing to set up."""

import os
import time
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.common import echo_json, echo_table, faults_shown, json_option, key_text, time_text
from daemon.cli.main import HELP
from daemon.errors import WumuError
from recognizer.paths import visible

if TYPE_CHECKING:
    from daemon.demo.story import Demo

SHOWN_RULE = "path-errors-in-a-row"


@click.command(context_settings=HELP)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Where everything is written; emptied first.",
)
@json_option
@faults_shown
def command(folder: Path, *, as_json: bool) -> None:
    """Train a small model, recognise real pictures with real faults, run the daemon on the log, let a latency spike and
    a drop in confidence happen, and show the alerts, a mail and a webhook body.

    \b
    Examples:
      wumu demo
      wumu demo --folder /tmp/wumu-demo
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's idle threads must not spin beside the daemon
    from daemon.demo.story import Demo  # noqa: PLC0415  # torch and scikit-learn cost seconds that --help need not pay

    started = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - started:5.1f} s] {visible(text)}", err=as_json)

    demo = Demo(folder.absolute(), say)
    demo.run()
    mail = demo.mail_about(SHOWN_RULE)
    post = next((post for post in demo.hook.posts if post[1].get("alert", {}).get("rule") == SHOWN_RULE), None)
    if mail is None or post is None:
        raise WumuError(f"nothing was received about {SHOWN_RULE}", hint=f"see {folder}/daemon.log")
    page = folder.absolute() / "mail.html"
    page.write_text(_part(mail, "html"), encoding="utf-8")
    if as_json:
        alerts = [
            {"rule": alert.rule_id, "key": dict(alert.key), "reason": alert.finding.reason, "state": alert.state}
            for alert in demo.alerts()
        ]
        mails = len(demo.mailbox.mails)
        echo_json(
            {"alerts": alerts, "mails": mails, "mail": _part(mail, "plain"), "html": str(page), "webhook": post[1]}
        )
    else:
        _show(demo, mail, page, post)


def _show(demo: "Demo", mail: EmailMessage, page: Path, post: tuple[dict[str, str], dict[str, Any]]) -> None:
    click.echo("\n=== The alerts (wumu alerts --all)\n")
    echo_table(
        ("since", "state", "rule", "key", "reason", "observed"),
        [
            (
                time_text(alert.finding.since_ms),
                alert.state,
                alert.rule_id,
                key_text(alert.key),
                alert.finding.details.get("value") or alert.finding.reason,
                f"{alert.peak.observed:.4g} {alert.finding.unit}",
            )
            for alert in demo.alerts()
        ],
    )
    click.echo(f"\n=== One of {len(demo.mailbox.mails)} mails: {mail['Subject']}\n\n{_part(mail, 'plain')}")
    click.echo(f"The same as HTML: {page}")
    click.echo(f"\n=== One of {len(demo.hook.posts)} webhook bodies (webhook-id {post[0].get('webhook-id')})\n")
    echo_json(post[1])
    places = f"--config {demo.folder}/alerts.yaml --state {demo.folder}/state"
    click.echo(f"\nAll of it lies in {demo.folder}; look around with:")
    click.echo(f"  wumu trace {demo.folder}/pictures/upload/百灵.png {places}")
    click.echo(f"  wumu explain slow-inference {places}")


def _part(mail: EmailMessage, kind: str) -> str:
    """The text of a mail in its plain or its html form."""
    body = mail.get_body((kind,))
    return "" if body is None else str(body.get_content())
