"""Mail over SMTP: verified TLS by default, each recipient with a result of its own."""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message
from daemon.notify.deadline import Deadline
from daemon.notify.guarded import read_secret, shown_reply
from daemon.secrets import SecretSource
from recognizer.paths import visible
from rules.model import Language

SUBJECT_CHARACTERS = 200
_POLICY = SMTP.clone(cte_type="7bit")
"""Every server takes 7bit; 8BITMIME need not be offered."""
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _mail_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f"not a mail address: {visible(value, 100)!r}; write it bare and in ASCII: ops@example.com")
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class Security(StrEnum):
    """How the connection is protected. There is no fallback from one to another."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


class MailParameters(BaseModel):
    """A mail channel of alerts.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    host: str = Field(min_length=1, description="the SMTP server")
    port: int | None = Field(default=None, ge=1, le=65535, description="587 for starttls, 465 for tls, 25 for none")
    security: Security = Field(default=Security.STARTTLS, description="starttls, tls, or none for a relay you trust")
    ca_file: Path | None = Field(default=None, description="PEM file of your own certificate authority")
    username: str | None = Field(default=None, description="log in as; needs a password and TLS")
    password: SecretSource | None = Field(default=None, description="where the password lies")
    from_: MailAddress = Field(alias="from", description="sender address")
    to: Annotated[tuple[MailAddress, ...], BeforeValidator(_as_list)] = Field(
        min_length=1, description="recipients; each gets its own result"
    )
    language: Language | None = Field(default=None, description="en or zh; the configuration's language if absent")
    subject_prefix: str = Field(default="", max_length=40, description="put before every subject")
    timeout_s: float = Field(default=30, gt=0, le=300, description="for the whole conversation, seconds")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if self.username is not None and self.security is Security.NONE:
            raise ValueError("security: none would send the password unprotected; use starttls or tls")
        return self


class MailChannel:
    """Sends a message as text and HTML. Who got it is never mailed again; a refused recipient delays no other.

    A server that took the mail but lost its answer gets it again with the same Message-ID. While some recipients
    are to be tried again (4xx), those refused for good (5xx) are asked along with them.
    """

    def __init__(self, name: str, parameters: MailParameters) -> None:
        self.name = name
        self._parameters = parameters

    def __repr__(self) -> str:
        return f"MailChannel({self.name!r}, {self._parameters.host!r})"

    def send(self, message: Message, timeout_s: float) -> None:
        """Deliver to every recipient that has not got it. Raises DeliveryError."""
        recipients = tuple(address for address in self._parameters.to if address not in message.delivered)
        if not recipients:
            return
        secret = self._secret()
        content = compose(message, self._parameters).as_bytes()
        with self._conversation(secret, timeout_s) as client:
            results = client.deliver(recipients, content)
        _raise_unless_all(results, message.delivered, secret)

    def check(self, timeout_s: float) -> None:
        """Connect, protect the connection and log in, as `send` would. Raises DeliveryError."""
        with self._conversation(self._secret(), timeout_s):
            pass

    def _secret(self) -> str | None:
        return read_secret(self._parameters.password) if self._parameters.password is not None else None

    @contextmanager
    def _conversation(self, secret: str | None, timeout_s: float) -> Iterator["_Client"]:
        """A server that is ready to take mail; its faults come out as DeliveryError."""
        parameters = self._parameters
        with Deadline(min(timeout_s, parameters.timeout_s)) as deadline:
            try:
                with closing(_Client(parameters, deadline)) as client:
                    client.prepare(secret)
                    yield client
                    with suppress(smtplib.SMTPException, OSError):  # it is accepted; a lost farewell changes nothing
                        client.quit()
            except (smtplib.SMTPException, OSError) as error:
                raise _failure(error, parameters, deadline, secret) from error


def compose(message: Message, parameters: MailParameters) -> EmailMessage:
    """The mail: deterministic, so that a repeated delivery is the same mail and can be recognised as such."""
    domain = parameters.from_.rpartition("@")[2]
    mail = EmailMessage(policy=_POLICY)
    mail["Subject"] = _header_text(f"{parameters.subject_prefix} {message.subject}".strip())
    mail["From"] = parameters.from_
    mail["To"] = ", ".join(parameters.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_at_ms / 1_000, UTC))
    mail["Message-ID"] = f"<{_token(message.id)}@{domain}>"
    # all mails of an alert answer the same absent one: readers show them as one conversation
    mail["In-Reply-To"] = mail["References"] = f"<alert.{_token(message.thread)}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Wumu-Occasion"] = message.occasion.value
    mail["X-Wumu-Alert"] = _token(message.thread)
    mail.set_content(_encodable(message.text))
    if message.html:
        mail.add_alternative(_encodable(message.html), subtype="html")
        # "=_" occurs in no encoded text, so the boundary can't occur in a part
        mail.set_boundary(f"=_{_token(message.id)}")
    return mail


def _header_text(text: str) -> str:
    """Visible text that stays what it is. The email package decodes ``=?utf-8?q?=0ABcc:?=`` in what it is given and
    writes the line break into the head of the mail; a blank keeps it from seeing an encoded word."""
    return visible(text, SUBJECT_CHARACTERS).replace("=?", "= ?")


def _token(text: str) -> str:
    """What may stand in a Message-ID unquoted."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:100]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


class _Client(smtplib.SMTP):
    """One SMTP conversation under a deadline, in TLS from the first byte if so configured."""

    def __init__(self, parameters: MailParameters, deadline: Deadline) -> None:
        self._parameters = parameters
        self._deadline = deadline
        self._context = _tls_context(parameters.ca_file)
        port = parameters.port or _PORTS[parameters.security]
        super().__init__(parameters.host, port, local_hostname=_own_name(), timeout=deadline.timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        self._deadline.watch(connection)
        if self._parameters.security is Security.TLS:
            return self._context.wrap_socket(connection, server_hostname=host)
        return connection

    def prepare(self, secret: str | None) -> None:
        """Protect the connection and log in."""
        self.ehlo_or_helo_if_needed()
        if self._parameters.security is Security.STARTTLS:
            if not self.has_extn("starttls"):
                raise DeliveryError(
                    f"{self._parameters.host} does not offer STARTTLS; nothing was sent",
                    reason=DeliveryReason.TLS,
                    retryable=True,
                    hint="use port 465 with security: tls, or security: none for a relay inside your own network",
                )
            self.starttls(context=self._context)
        if secret is not None:
            self.login(str(self._parameters.username), secret)

    def deliver(self, recipients: Sequence[str], content: bytes) -> dict[str, tuple[int, bytes]]:
        """The server's last word on each recipient: (code, text)."""
        code, reply = self.mail(self._parameters.from_)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, reply, self._parameters.from_)
        results: dict[str, tuple[int, bytes]] = {}
        for address in recipients:
            results[address] = self.rcpt(address)
            if results[address][0] == 421:
                raise smtplib.SMTPResponseException(*results[address])
        accepted = [address for address, (code, _) in results.items() if code in (250, 251)]
        if accepted:
            code, reply = self.data(content)
            if code != 250:
                raise smtplib.SMTPDataError(code, reply)
        return results


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise DeliveryError(
            f"ca_file {ca_file} can't be used: {error.strerror or error}",
            reason=DeliveryReason.TLS,
            retryable=True,
            hint="it must be a PEM file that the daemon may read",
        ) from error


def _own_name() -> str:
    """What we call ourselves in EHLO: no look-up that may hang, and an address literal where there is no domain."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _raise_unless_all(
    results: dict[str, tuple[int, bytes]], delivered_before: tuple[str, ...], secret: str | None
) -> None:
    refused = {address: result for address, result in results.items() if result[0] not in (250, 251)}
    if not refused:
        return
    words = "; ".join(f"{address}: {_words(*result, secret)}" for address, result in refused.items())
    delivered = tuple(address for address in results if address not in refused)
    raise DeliveryError(
        f"{len(refused)} of {len(results)} recipients refused: {words}",
        reason=DeliveryReason.RECIPIENT_REFUSED,
        retryable=any(code < 500 for code, _ in refused.values()),
        delivered=(*delivered_before, *delivered),
        hint="check the addresses under to:",
    )


def _words(code: int, reply: bytes | str, secret: str | None) -> str:
    return f"{code} {shown_reply(reply, (secret,) if secret else ())}"


def _failure(
    error: smtplib.SMTPException | OSError, parameters: MailParameters, deadline: Deadline, secret: str | None
) -> DeliveryError:
    """The verdict on a conversation that broke off."""
    server = f"{parameters.host}:{parameters.port or _PORTS[parameters.security]}"
    if deadline.expired or isinstance(error, TimeoutError):
        return _retryable(f"{server} did not finish within {deadline.timeout_s:g} s", DeliveryReason.TIMEOUT)
    if isinstance(error, ssl.SSLError):
        return _retryable(
            f"TLS with {server} failed: {visible(str(error), 300)}",
            DeliveryReason.TLS,
            hint="for a certificate of your own authority set ca_file; a name that differs needs the right host",
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _retryable(
            f"{server} refused the login of {parameters.username}: {_words(error.smtp_code, error.smtp_error, secret)}",
            DeliveryReason.AUTHENTICATION,
            hint="renew the password; it is read anew at each attempt",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _retryable(
            f"{server} offers no way to log in: {visible(str(error), 300)}",
            DeliveryReason.AUTHENTICATION,
            hint="leave out username and password, or use the server's submission port (587 or 465)",
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return _response_failure(error, server, secret)
    return _retryable(f"no conversation with {server}: {visible(str(error), 300)}", DeliveryReason.CONNECTION)


def _response_failure(error: smtplib.SMTPResponseException, server: str, secret: str | None) -> DeliveryError:
    """Greeting, HELO, STARTTLS, MAIL or DATA answered with a refusal."""
    said = _words(error.smtp_code, error.smtp_error, secret)
    if not 200 <= error.smtp_code < 600:
        return _retryable(
            f"{server} does not speak SMTP: it says {shown_reply(error.smtp_error, (secret,) if secret else ())}",
            DeliveryReason.CONNECTION,
            hint="see host:, port: and security: of the channel",
        )
    if b" 4.7." in b" " + _as_bytes(error.smtp_error):
        return _retryable(f"{server} wants fewer mails: {said}", DeliveryReason.RATE_LIMITED)
    of_the_message = isinstance(error, smtplib.SMTPDataError)
    # a server that greets with 5xx refuses the connection, not the message: later it may be another one
    for_good = error.smtp_code >= 500 and isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused))
    return DeliveryError(
        f"{server} refused the {'mail' if of_the_message else 'sender or the connection'}: {said}",
        reason=DeliveryReason.MESSAGE_REFUSED if of_the_message else DeliveryReason.REFUSED,
        retryable=not for_good,
    )


def _as_bytes(reply: bytes | str) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode(errors="replace")


def _retryable(text: str, reason: DeliveryReason, hint: str = "") -> DeliveryError:
    return DeliveryError(text, reason=reason, retryable=True, hint=hint)
