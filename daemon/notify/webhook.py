"""Webhooks: one signed POST (Standard Webhooks), and a verdict on every answer."""

import base64
import binascii
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from standardwebhooks import Webhook

from daemon.clock import Clock, SystemClock
from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message
from daemon.notify.guarded import read_secret
from daemon.secrets import SecretSource
from recognizer.paths import visible
from rules.model import Language

SMALLEST_KEY_BYTES = 24
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4000}")
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent"})


def _receiver(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address; write for example https://alerts.example.com/hooks/wumu")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address holds a user name or password; put it into headers: with a secret instead")
    return value


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value) or value.lower() in _OURS or value.lower().startswith("webhook-"):
        raise ValueError(f"not a header you can set: {visible(value, 100)!r}")
    return value


def _header_text(value: str | SecretSource) -> str | SecretSource:
    if isinstance(value, str) and not _HEADER_VALUE.fullmatch(value):
        raise ValueError("a header value is one line of ASCII")
    return value


class WebhookParameters(BaseModel):
    """A webhook channel of alerts.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_receiver)] = Field(description="where to POST")
    secret: SecretSource | None = Field(default=None, description="signing key, whsec_ and base64 of 24 bytes or more")
    previous_secret: SecretSource | None = Field(default=None, description="the old key while receivers change over")
    headers: dict[
        Annotated[str, AfterValidator(_header_name)], Annotated[SecretSource | str, AfterValidator(_header_text)]
    ] = Field(default_factory=dict, description="further headers; a value may be a secret's place")
    allow_private: bool = Field(default=False, description="admit receivers in private networks and on this machine")
    ca_file: Path | None = Field(default=None, description="PEM file of your own certificate authority")
    language: Language | None = Field(default=None, description="en or zh; the configuration's language if absent")
    timeout_s: float = Field(default=15, gt=0, le=120, description="for the whole request, seconds")


class WebhookChannel:
    """POSTs `Message.data` as JSON. The id is the message's at every attempt, time and signature are new."""

    def __init__(self, name: str, parameters: WebhookParameters, clock: Clock | None = None) -> None:
        self.name = name
        self._parameters = parameters
        self._clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"WebhookChannel({self.name!r}, {urlsplit(self._parameters.url).hostname!r})"

    def send(self, message: Message, timeout_s: float) -> None:
        """Deliver once. Raises DeliveryError; any answer of 2xx is a success, a redirect is never followed."""
        # requests takes a third of the daemon's start-up time; a daemon that never calls a webhook never loads it
        from daemon.notify.http import post  # noqa: PLC0415

        parameters = self._parameters
        body = orjson.dumps(message.data, option=orjson.OPT_SORT_KEYS)
        keys = [(key, read_secret(key)) for key in (parameters.secret, parameters.previous_secret) if key is not None]
        private = {
            name: _secret_header(name, value)
            for name, value in parameters.headers.items()
            if not isinstance(value, str)
        }
        plain = {name: value for name, value in parameters.headers.items() if isinstance(value, str)}
        answer = post(
            parameters.url,
            body,
            {**plain, **private, **self._signed(message.id, body, keys), "Content-Type": "application/json"},
            allow_private=parameters.allow_private,
            ca_file=parameters.ca_file,
            timeout_s=min(timeout_s, parameters.timeout_s),
            secrets=(*(key for _, key in keys), *private.values()),
        )
        if not 200 <= answer.status < 300:
            reason, retryable, hint = _verdict(answer.status)
            raise DeliveryError(
                f"the receiver answered {answer.status}{': ' + answer.said if answer.said else ''}",
                reason=reason,
                retryable=retryable,
                after_s=self._wish_s(answer.retry_after) if retryable else None,
                hint=hint,
            )

    def check(self, timeout_s: float) -> None:
        """Resolve and connect, under the same policy as `send`, and read the secrets. Raises DeliveryError."""
        from daemon.notify.http import reach  # noqa: PLC0415  # as above

        parameters = self._parameters
        for source in (parameters.secret, parameters.previous_secret, *parameters.headers.values()):
            if isinstance(source, SecretSource):
                read_secret(source)
        reach(parameters.url, allow_private=parameters.allow_private, timeout_s=min(timeout_s, parameters.timeout_s))

    def _signed(self, message_id: str, body: bytes, keys: list[tuple[SecretSource, str]]) -> dict[str, str]:
        now = datetime.fromtimestamp(self._clock.now_ms() // 1_000, UTC)
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        if keys:
            headers["webhook-signature"] = " ".join(
                Webhook(_key_bytes(source, key)).sign(message_id, now, body.decode()) for source, key in keys
            )
        return headers

    def _wish_s(self, value: str | None) -> float | None:
        """Retry-After in seconds, whether it is a number or a date; None where it is neither."""
        text = (value or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - self._clock.now_ms() / 1_000)


def _secret_header(name: str, source: SecretSource) -> str:
    value = read_secret(source)
    if not _HEADER_VALUE.fullmatch(value):
        raise DeliveryError(
            f"the secret for header {name} in {source.place} is not one line of ASCII",
            reason=DeliveryReason.SECRET_UNREADABLE,
            retryable=True,
            hint="store exactly the header's value",
        )
    return value


def _key_bytes(source: SecretSource, secret: str) -> bytes:
    """The signing key. Strict, because the library's decoder drops what is no base64 and signs with the rest."""
    try:
        text = secret.removeprefix("whsec_")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SMALLEST_KEY_BYTES:
        raise DeliveryError(
            f"the signing key in {source.place} is not base64 of {SMALLEST_KEY_BYTES} bytes or more",
            reason=DeliveryReason.SECRET_UNREADABLE,
            retryable=True,
            hint='make one: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key


def _verdict(status: int) -> tuple[DeliveryReason, bool, str]:
    """(reason, whether a retry may help, hint) of a status that is no success."""
    if 300 <= status < 400:
        return DeliveryReason.REDIRECT, False, "redirects are not followed: put the final address into url:"
    if status == 425 or status >= 500:
        return DeliveryReason.REFUSED, True, ""
    match status:
        case 408:
            return DeliveryReason.TIMEOUT, True, ""
        case 429:
            return DeliveryReason.RATE_LIMITED, True, ""
        case 410:
            return DeliveryReason.GONE, False, "the receiver wants no more: remove the channel or correct its url"
        case 401 | 403 | 407:
            return DeliveryReason.AUTHENTICATION, False, "check the secret and the headers, then: wumu alerts --retry"
        case _:
            return DeliveryReason.MESSAGE_REFUSED, False, "check that url: is the right one"
