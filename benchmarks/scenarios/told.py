"""What a message about an alert names as suspects: the product's own message is made, and read."""

from dataclasses import replace

from benchmarks.scenarios.truth import Named
from daemon.alerts.model import Alert
from daemon.notify.announce import Announcer
from daemon.notify.channel import Occasion
from daemon.notify.decide import Telling
from daemon.notify.webhook import WebhookParameters
from daemon.store.base import EventStore
from rules.model import Config, Plugin, Rule

_CHANNEL = "somebody"


def suspects_told(store: EventStore, rule: Rule, alert: Alert) -> tuple[Named, ...]:
    """The most suspect first. Nothing is sent."""
    plugin = Plugin(kind="webhook", parameters=WebhookParameters(url="https://hooks.example.com/"))
    heard = replace(rule, notify=(_CHANNEL,))
    announcer = Announcer(Config(rules=(heard,), channels={_CHANNEL: plugin}), store)
    ((_, message),) = announcer.messages([(heard, Telling(Occasion.FIRING, alert, 0))], alert.last_seen_ms)
    return tuple(
        tuple((part["field"], part["value"]) for part in (one, one["also"]) if part is not None)
        for one in message.data["suspects"]
    )
