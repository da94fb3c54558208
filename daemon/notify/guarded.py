"""Secrets at the edge of a channel: read when a message is sent, never to be seen in what a receiver answers."""

import base64
from collections.abc import Iterable

from daemon.errors import ConfigError, DeliveryError, DeliveryReason
from daemon.secrets import SecretSource
from recognizer.paths import visible

REPLY_CHARACTERS = 512


def read_secret(source: SecretSource) -> str:
    """The secret, or DeliveryError SECRET_UNREADABLE: worth a retry, for the operator can put it back."""
    try:
        return source.read()
    except ConfigError as error:
        raise DeliveryError(
            str(error), reason=DeliveryReason.SECRET_UNREADABLE, retryable=True, hint=error.hint
        ) from error


def shown_reply(reply: bytes | str, secrets: Iterable[str] = ()) -> str:
    """A receiver's words for the delivery log: one visible line, cut, and without the secrets it may echo."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    for secret in secrets:
        for form in (secret, base64.b64encode(secret.encode()).decode()):
            text = text.replace(form, "[secret]")
    return visible(" ".join(text.split()), REPLY_CHARACTERS)
