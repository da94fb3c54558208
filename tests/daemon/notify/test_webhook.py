"""Webhooks against a real HTTP receiver: the signature, the verdict on each answer, and what is never contacted."""

import base64
import json
import secrets
import ssl
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.clock import ManualClock
from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message
from daemon.notify.checks import check_send_fails_well
from daemon.notify.webhook import WebhookChannel, WebhookParameters
from tests.support.http_receiver import Receiver, Reply, http_receiver

Make = Callable[..., Message]
Secret = Callable[..., dict[str, str]]
NOW_MS = 1_795_372_621_000


def channel(receiver: Receiver, clock: ManualClock | None = None, **given: object) -> WebhookChannel:
    parameters = WebhookParameters.model_validate({"url": receiver.url, "allow_private": True} | given)
    return WebhookChannel("hook", parameters, clock or ManualClock(NOW_MS))


def failure(sending: WebhookChannel, message: Message, timeout_s: float = 10) -> DeliveryError:
    return check_send_fails_well(sending, message, timeout_s)


def key() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def test_the_body_is_the_messages_data(message: Make) -> None:
    """The receiver gets the data as JSON with the message's id."""
    with http_receiver() as receiver:
        channel(receiver).send(message(data={"text": "百灵鸟", "n": None}), 10)
    (request,) = receiver.requests
    assert json.loads(request.body) == {"text": "百灵鸟", "n": None}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert "webhook-signature" not in request.headers


def test_signature_verifies_and_is_new_at_each_attempt(message: Make, secret_file: Secret) -> None:
    """Standard Webhooks' own verifier accepts it; the id stays, the time moves on; a changed body is refused."""
    secret, clock = key(), ManualClock(time.time_ns() // 1_000_000)
    with http_receiver() as receiver:
        sending = channel(receiver, clock, secret=secret_file(secret))
        sending.send(message(), 10)
        clock.advance_ms(60_000)
        sending.send(message(), 10)
    first, second = receiver.requests
    for request in (first, second):
        assert Webhook(secret).verify(request.body, dict(request.headers)) == message().data
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(first.body + b" ", dict(first.headers))


def test_both_keys_sign_during_rotation(message: Make, secret_file: Secret) -> None:
    """A receiver that knows only the old key, and one that knows only the new one, both accept."""
    new, old = key(), key()
    clock = ManualClock(time.time_ns() // 1_000_000)
    with http_receiver() as receiver:
        parameters = {"secret": secret_file(new, "new"), "previous_secret": secret_file(old, "old")}
        channel(receiver, clock, **parameters).send(message(), 10)
    (request,) = receiver.requests
    for secret in (new, old):
        assert Webhook(secret).verify(request.body, dict(request.headers))


@pytest.mark.parametrize("secret", ["short", "whsec_" + "A" * 12, "whsec_not base64 at all, but long enough to be one"])
def test_a_weak_or_broken_key_signs_nothing(message: Make, secret_file: Secret, secret: str) -> None:
    """A key that is no base64 of 24 bytes is refused before anything is sent, and not shown."""
    with http_receiver() as receiver:
        error = failure(channel(receiver, secret=secret_file(secret)), message())
    assert receiver.requests == []
    assert error.reason is DeliveryReason.SECRET_UNREADABLE
    assert secret not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (301, DeliveryReason.REDIRECT, False),
        (302, DeliveryReason.REDIRECT, False),
        (400, DeliveryReason.MESSAGE_REFUSED, False),
        (401, DeliveryReason.AUTHENTICATION, False),
        (403, DeliveryReason.AUTHENTICATION, False),
        (404, DeliveryReason.MESSAGE_REFUSED, False),
        (408, DeliveryReason.TIMEOUT, True),
        (410, DeliveryReason.GONE, False),
        (413, DeliveryReason.MESSAGE_REFUSED, False),
        (425, DeliveryReason.REFUSED, True),
        (429, DeliveryReason.RATE_LIMITED, True),
        (500, DeliveryReason.REFUSED, True),
        (503, DeliveryReason.REFUSED, True),
    ],
)
def test_every_status_has_its_verdict(message: Make, status: int, reason: DeliveryReason, retryable: bool) -> None:
    """The outcome table, status by status."""
    with http_receiver(Reply(status, body=b"no\nthanks")) as receiver:
        error = failure(channel(receiver), message())
    assert (error.reason, error.retryable) == (reason, retryable)
    assert f"answered {status}" in str(error)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_a_success(message: Make, status: int) -> None:
    """Accepted is accepted."""
    with http_receiver(Reply(status)) as receiver:
        channel(receiver).send(message(), 10)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        ("120", 120.0),
        (formatdate(NOW_MS / 1_000 + 90, usegmt=True), 90.0),
        (formatdate(NOW_MS / 1_000 - 90, usegmt=True), 0.0),
        ("9" * 40, 999_999_999.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_in_both_forms(message: Make, header: str, after_s: float | None) -> None:
    """Seconds and HTTP dates are understood, nonsense is ignored."""
    with http_receiver(Reply(429, headers={"Retry-After": header})) as receiver:
        assert failure(channel(receiver), message()).after_s == after_s


def test_a_redirect_is_never_followed(message: Make) -> None:
    """The target of a redirect gets no connection."""
    with http_receiver() as target, http_receiver(Reply(307, headers={"Location": target.url})) as receiver:
        assert failure(channel(receiver), message()).reason is DeliveryReason.REDIRECT
        assert target.requests == []


@pytest.mark.parametrize("reply", [Reply(stall=True), Reply(dribble=True)], ids=["says-nothing", "a-byte-at-a-time"])
def test_a_slow_receiver_is_left_in_time(message: Make, reply: Reply) -> None:
    """Neither silence nor a header that trickles in for ever outlasts the time limit."""
    with http_receiver(reply) as receiver:
        error = failure(channel(receiver), message(), timeout_s=0.4)
    assert (error.reason, error.retryable) == (DeliveryReason.TIMEOUT, True)


def test_an_endless_body_costs_nothing(message: Make) -> None:
    """A success is a success at its status line; of a failure only the beginning is read."""
    with http_receiver(Reply(200, endless=True), Reply(500, endless=True)) as receiver:
        channel(receiver).send(message(), 10)
        error = failure(channel(receiver), message())
    assert error.reason is DeliveryReason.REFUSED
    assert len(str(error)) < 700


def test_a_lost_reply_is_a_connection_failure(message: Make) -> None:
    """Read and hung up: the message may have arrived, so it comes again with the same id."""
    with http_receiver(Reply(lost=True), Reply()) as receiver:
        error = failure(channel(receiver), message())
        channel(receiver).send(message(), 10)
    assert (error.reason, error.retryable) == (DeliveryReason.CONNECTION, True)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_nobody_listening(message: Make) -> None:
    """A port without a receiver is a connection failure worth a retry."""
    with http_receiver() as receiver:
        sending = channel(receiver)
    error = failure(sending, message())
    assert (error.reason, error.retryable) == (DeliveryReason.CONNECTION, True)


def test_tls_is_verified(message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    """A certificate of one's own authority is accepted with ca_file, and refused without."""
    with http_receiver(tls=server_tls("localhost"), host="localhost") as receiver:
        channel(receiver, ca_file=ca_file).send(message(), 10)
        error = failure(channel(receiver), message())
    assert (error.reason, error.retryable) == (DeliveryReason.TLS, True)
    assert len(receiver.requests) == 1


def test_a_wrong_name_is_refused(message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    """The certificate must be for the name in the url, although the connection goes to an address."""
    with http_receiver(tls=server_tls("other.example.com"), host="localhost") as receiver:
        assert failure(channel(receiver, ca_file=ca_file), message()).reason is DeliveryReason.TLS
        assert receiver.requests == []
        missing = failure(channel(receiver, ca_file=ca_file.parent / "none"), message())
    assert (missing.reason, missing.retryable) == (DeliveryReason.TLS, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_private_addresses_need_leave(message: Make, host: str) -> None:
    """Without allow_private no spelling of this machine's address is connected to."""
    with http_receiver(host=host) as receiver:
        error = failure(channel(receiver, allow_private=False), message())
    assert receiver.requests == []
    assert (error.reason, error.retryable) == (DeliveryReason.ADDRESS_FORBIDDEN, False)
    assert "allow_private: true" in error.hint


def test_the_metadata_service_is_never_contacted(message: Make) -> None:
    """allow_private does not open the way to link-local addresses."""
    parameters = WebhookParameters(url="http://169.254.169.254/latest/meta-data", allow_private=True)
    error = failure(WebhookChannel("hook", parameters, ManualClock(NOW_MS)), message())
    assert error.reason is DeliveryReason.ADDRESS_FORBIDDEN


def test_a_proxy_of_the_environment_is_ignored(message: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect where the policy does not look."""
    with http_receiver() as proxy, http_receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        channel(receiver).send(message(), 10)
        assert (len(receiver.requests), len(proxy.requests)) == (1, 0)


def test_secret_headers_are_sent_and_never_shown(message: Make, secret_file: Secret) -> None:
    """The receiver echoes the token; neither the failure nor the channel's repr shows it."""
    token = "canary-4711"
    with http_receiver(Reply(400, body=f"bad token {token}".encode())) as receiver:
        headers = {"Authorization": secret_file(token + "\n"), "X-Team": "vision"}
        sending = channel(receiver, headers=headers)
        error = failure(sending, message())
    assert receiver.requests[0].headers["authorization"] == token
    assert receiver.requests[0].headers["x-team"] == "vision"
    assert token not in f"{error!r} {error} {error.hint} {sending!r}"
    assert "bad token [secret]" in str(error)


def test_a_secret_with_a_line_break_adds_no_header(message: Make, secret_file: Secret) -> None:
    """Header injection by a secret file is refused before a connection is made."""
    with http_receiver() as receiver:
        sending = channel(receiver, headers={"X-Token": secret_file("a\nX-Evil: 1")})
        assert failure(sending, message()).reason is DeliveryReason.SECRET_UNREADABLE
    assert receiver.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://example.com"},
        {"url": "https://user:hunter2@example.com"},
        {"url": "not a url"},
        {"headers": {"Host": "x"}},
        {"headers": {"webhook-id": "x"}},
        {"headers": {"X-A": "b\r\nX-Evil: 1"}},
        {"headers": {"X A": "b"}},
        {"secret": "hunter2"},
        {"timeout_s": 0},
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    """A mistake in alerts.yaml is told, and a literal secret is not repeated."""
    with pytest.raises(ValidationError) as caught:
        WebhookParameters.model_validate({"url": "https://example.com/hook"} | wrong)
    assert "hunter2" not in str(caught.value)


def test_requests_is_loaded_only_when_a_webhook_is_called() -> None:
    """The daemon starts without the HTTP library."""
    import subprocess

    code = "import sys, daemon.notify.registry; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
