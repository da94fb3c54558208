"""`wumu demo`: see it work, with nothing to set up."""

import time
from pathlib import Path

import click

from daemon.cli.common import echo_json, echo_table, faults_shown, json_option, key_text, time_text
from daemon.demo.story import Demo
from recognizer.paths import visible


@click.command()
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
    started = time.monotonic()
    demo = Demo(
        folder.absolute(),
        lambda text: click.echo(f"[{time.monotonic() - started:5.1f} s] {visible(text)}", err=as_json),
    )
    demo.run()
    mail = demo.mail_about("path-errors-in-a-row")
    page = folder.absolute() / "mail.html"
    text = ""
    if mail is not None:
        plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
        text = plain.get_content() if plain else ""
        page.write_text(html.get_content() if html else "", encoding="utf-8")
    post = next(((headers, body) for headers, body in demo.hook.posts if "path-errors" in str(body)), None)
    if as_json:
        alerts = [
            {"rule": a.rule_id, "key": dict(a.key), "reason": a.finding.reason, "state": a.state} for a in demo.alerts()
        ]
        echo_json(
            {
                "alerts": alerts,
                "mails": len(demo.mailbox.mails),
                "mail": text,
                "html": str(page),
                "webhook": post and post[1],
            }
        )
        return
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
    if mail is not None:
        click.echo(f"\n=== One of {len(demo.mailbox.mails)} mails: {mail['Subject']}\n")
        click.echo(text)
        click.echo(f"The same as HTML: {page}")
    if post is not None:
        click.echo(f"\n=== One of {len(demo.hook.posts)} webhook bodies (webhook-id {post[0].get('webhook-id')})\n")
        echo_json(post[1])
    click.echo(f"\nAll of it lies in {folder.absolute()}; look around with:")
    click.echo(
        f"  wumu trace --config {folder}/alerts.yaml --state {folder}/state {folder.absolute()}/pictures/upload/百灵.png"
    )
    click.echo(f"  wumu explain --config {folder}/alerts.yaml --state {folder}/state slow-inference")
