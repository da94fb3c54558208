"""Every kind of channel passes the conformance checks, and the checks notice what is wrong."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message
from daemon.notify.checks import VERDICTS, check_channel_kind, check_failure, check_send_fails_well
from daemon.notify.registry import CHANNELS, ChannelKind, make_channels
from rules.model import Plugin

CANARY = base64.b64encode(b"canary-4711-canary-4711-canary").decode()
NOWHERE = "192.0.2.1"


@pytest.fixture
def parameters(secret_file: Callable[..., dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Good parameters of every kind, with a secret that must be seen nowhere; the receiver does not exist."""
    secret = secret_file(CANARY)
    mail = {"host": NOWHERE, "from": "a@example.com", "to": "b@example.com", "username": "u", "password": secret}
    return {
        "mail": mail,
        "webhook": {"url": f"http://{NOWHERE}:9/", "secret": secret, "headers": {"X-T": secret}, "allow_private": True},
    }


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_every_kind_conforms(kind: str, parameters: dict[str, dict[str, Any]], message: Callable[..., Message]) -> None:
    """Strict parameters, no secret in sight, and a receiver that is not there is a sound failure in time."""
    channel = check_channel_kind(CHANNELS[kind], parameters[kind], [CANARY])
    error = check_send_fails_well(channel, message(), 0.2, [CANARY])
    assert error.reason in {DeliveryReason.CONNECTION, DeliveryReason.TIMEOUT}


def test_all_reasons_have_a_verdict() -> None:
    """A new reason must say whether it is worth a retry."""
    assert set(VERDICTS) == set(DeliveryReason)


def test_channels_are_made_by_name(parameters: dict[str, dict[str, Any]]) -> None:
    """The configuration's channels come out under their names, without a connection."""
    plugins = {
        f"my-{kind}": Plugin(kind=kind, parameters=CHANNELS[kind].parameters.model_validate(parameters[kind]))
        for kind in CHANNELS
    }
    assert {name: channel.name for name, channel in make_channels(plugins).items()} == {name: name for name in plugins}


class _Loose(BaseModel):
    token: str = "x"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    token: str
    language: str | None = None


class _Leaky:
    def __init__(self, name: str, parameters: _Strict) -> None:
        self.name = name
        self._token = parameters.token

    def send(self, message: Message, timeout_s: float) -> None:
        return


def test_the_checks_notice_what_is_wrong(message: Callable[..., Message]) -> None:
    """Loose parameters, a leaked secret, a contradiction and a success in the wrong place are caught."""
    with pytest.raises(AssertionError, match="is accepted"):
        check_channel_kind(ChannelKind(_Loose, _Leaky), {})
    with pytest.raises(AssertionError, match="a secret stands"):
        check_channel_kind(ChannelKind(_Strict, _Leaky), {"token": CANARY}, [CANARY])
    with pytest.raises(AssertionError, match="retryable=True"):
        check_failure(DeliveryError("gone", reason=DeliveryReason.GONE, retryable=True))
    with pytest.raises(AssertionError, match="one visible line"):
        check_failure(DeliveryError("a\nb", reason=DeliveryReason.TIMEOUT, retryable=True))
    with pytest.raises(AssertionError, match="a secret stands"):
        check_failure(DeliveryError(f"bad {CANARY}", reason=DeliveryReason.TIMEOUT, retryable=True), [CANARY])
    with pytest.raises(AssertionError, match="accepted"):
        check_send_fails_well(_Leaky("x", _Strict(token="t")), message(), 1)
