"""What every kind of channel must keep to. Public: run it on a channel kind of your own."""

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Channel, Message
from daemon.notify.registry import ChannelKind

VERDICTS: Mapping[DeliveryReason, frozenset[bool]] = {
    DeliveryReason.CONNECTION: frozenset({True}),
    DeliveryReason.TIMEOUT: frozenset({True}),
    DeliveryReason.TLS: frozenset({True}),
    DeliveryReason.RATE_LIMITED: frozenset({True}),
    DeliveryReason.SECRET_UNREADABLE: frozenset({True}),
    DeliveryReason.UNEXPECTED: frozenset({True}),
    DeliveryReason.AUTHENTICATION: frozenset({True, False}),
    DeliveryReason.REFUSED: frozenset({True, False}),
    DeliveryReason.RECIPIENT_REFUSED: frozenset({True, False}),
    DeliveryReason.MESSAGE_REFUSED: frozenset({True, False}),
    DeliveryReason.ADDRESS_FORBIDDEN: frozenset({False}),
    DeliveryReason.REDIRECT: frozenset({False}),
    DeliveryReason.GONE: frozenset({False}),
}
"""Whether a failure of that reason may, or may not, be worth a retry."""
LONGEST_TEXT = 4_000


def check_failure(error: DeliveryError, secrets: Iterable[str] = ()) -> None:
    """Raise AssertionError unless the failure is consistent, told in one visible line, and free of secrets."""
    _require(error.retryable in VERDICTS[error.reason], f"{error.reason} with retryable={error.retryable}")
    _require(error.after_s is None or error.after_s >= 0, f"after_s is {error.after_s}")
    text = f"{error}{error.hint}"
    _require(text.isprintable(), f"not one visible line: {text!r}")
    _require(0 < len(text) <= LONGEST_TEXT, f"{len(text)} characters")
    whole = "".join(traceback.format_exception(error)) + text
    for secret in secrets:
        _require(secret not in whole, "a secret stands in the failure or its traceback")


def check_channel_kind(kind: ChannelKind, parameters: Mapping[str, Any], secrets: Iterable[str] = ()) -> Channel:
    """Raise AssertionError unless the kind keeps the protocol; the channel it makes otherwise.

    ``parameters`` are good ones; ``secrets`` are what their secret sources hold. Nothing is connected to: making a
    channel must neither connect nor read a secret, for `wumu check` makes them all.
    """
    for wrong in ({**parameters, "no_such_parameter": 1}, {}):
        _require(_refuses(kind, wrong), f"{wrong} is accepted")
    made = kind.parameters.model_validate(dict(parameters))
    _require(bool(made.model_config.get("frozen")), "the parameters can be changed")
    _require(bool(made.model_config.get("hide_input_in_errors")), "a validation error shows the input")
    _require("language" in kind.parameters.model_fields, "the language can't be chosen")
    channel = kind.make("a-name", made)
    _require(channel.name == "a-name", "the channel does not keep its name")
    for secret in secrets:
        _require(secret not in f"{channel!r}{made!r}{vars(channel)!r}", "a secret stands in the channel's repr")
    return channel


def check_send_fails_well(
    channel: Channel, message: Message, timeout_s: float, secrets: Iterable[str] = ()
) -> DeliveryError:
    """Raise AssertionError unless sending raises a sound DeliveryError; the error otherwise."""
    try:
        channel.send(message, timeout_s)
    except DeliveryError as error:
        check_failure(error, secrets)
        return error
    raise AssertionError("the message was accepted")


def _refuses(kind: ChannelKind, parameters: Mapping[str, Any]) -> bool:
    try:
        kind.parameters.model_validate(parameters)
    except ValidationError:
        return True
    return False


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not holds:
        raise AssertionError(otherwise)
