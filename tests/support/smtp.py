"""A real SMTP server (aiosmtpd) in a thread, that refuses, stalls or breaks off as it is told."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted transaction."""

    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class Script:
    """What the server answers. ``recipients`` maps an address to its RCPT replies, the last of which stays."""

    recipients: dict[str, list[str]] = field(default_factory=dict)
    sender: str | None = None
    data: list[str] = field(default_factory=list)
    drop_after_data: bool = False
    stall_at: str | None = None
    stalled: threading.Event = field(default_factory=threading.Event)


class Mailbox:
    """The server's handler: what it accepted is in ``mails``, wait for it with ``wait_for``."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self._changed = threading.Condition()

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Mail]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.mails) >= count, seconds), f"{len(self.mails)} mails"
            return list(self.mails)

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._maybe_stall("MAIL")
        if self.script.sender:
            return self.script.sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.commands.append(f"RCPT {address}")
        replies = self.script.recipients.get(address, ["250 OK"])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._maybe_stall("DATA")
        if self.script.data:
            return self.script.data.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        with self._changed:
            self.mails.append(Mail(tuple(envelope.rcpt_tos), content))
            self._changed.notify_all()
        if self.script.drop_after_data:
            self.script.drop_after_data = False
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 accepted"

    async def _maybe_stall(self, command: str) -> None:
        if self.script.stall_at == command:
            self.script.stalled.set()
            await asyncio.Event().wait()


class _Controller(Controller):
    """Learns its free port before it connects to itself to see whether it is up."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd has no annotations here


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    mailbox: Mailbox


@contextmanager
def smtp_server(
    script: Script | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[Server]:
    """A server on 127.0.0.1. ``starttls`` and ``tls`` are server contexts, ``login`` the accepted user and password."""
    mailbox = Mailbox(script or Script())
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0, "ready_timeout": 10.0}
    if login is not None:
        expected = tuple(part.encode() for part in login)

        def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
            good = (data.login, data.password) == expected
            message = None if good else f"535 5.7.8 {data.password.decode()} is wrong"
            return AuthResult(success=good, handled=good, message=message)

        options |= {
            "authenticator": authenticate,
            "auth_required": True,
            "auth_require_tls": tls is None,
        }
    if starttls is not None:
        options["tls_context"] = starttls
    if tls is not None:
        options["ssl_context"] = tls
    controller = _Controller(mailbox, **options)
    controller.start()
    try:
        yield Server("127.0.0.1", controller.port, mailbox)
    finally:
        controller.stop()
