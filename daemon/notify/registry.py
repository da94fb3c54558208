"""The kinds of channel that alerts.yaml may name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from daemon.notify.channel import Channel
from daemon.notify.mail import MailChannel, MailParameters
from daemon.notify.webhook import WebhookChannel, WebhookParameters
from rules.model import Plugin


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """The model of a kind's parameters and what makes a channel of a name and such parameters."""

    parameters: type[BaseModel]
    make: Callable[[str, Any], Channel]


CHANNELS: Mapping[str, ChannelKind] = {
    "mail": ChannelKind(MailParameters, MailChannel),
    "webhook": ChannelKind(WebhookParameters, WebhookChannel),
}


def make_channels(plugins: Mapping[str, Plugin]) -> dict[str, Channel]:
    """The channels of a checked configuration, by name. Nothing is connected and no secret is read yet."""
    return {name: CHANNELS[plugin.kind].make(name, plugin.parameters) for name, plugin in plugins.items()}
