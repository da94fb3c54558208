"""Mail against a real SMTP server: who gets it, how often, and what a failure is called."""

import socketserver
import ssl
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.channel import Message, Occasion
from daemon.notify.checks import check_send_fails_well
from daemon.notify.mail import MailChannel, MailParameters, compose
from recognizer.paths import visible
from tests.support.smtp import Mailbox, Script, Server, smtp_server

Make = Callable[..., Message]
HOSTILE = (
    "a\nBcc: x@example.com",
    "a\r\n\r\nbody",
    "a\rb",
    "nul\0",
    "vt\vff\ffs\x1c",
    "nel\x85",
    "ls\u2028ps\u2029",
    "zw\u200b\ufeff",
    "rlo\u202egpj.exe",
    "surrogate\udce9",
    "x" * 70_000,
    "=?utf-8?q?=0ABcc:_x=40y?=",
    "=?utf-8?b?CkJjYzogeEB5?=",
    "",
)


def channel(server: Server, **given: object) -> MailChannel:
    standard = {
        "host": server.host,
        "port": server.port,
        "security": "none",
        "from": "wumu@example.com",
        "to": ["ops@example.com"],
    }
    return MailChannel("ops", MailParameters.model_validate(standard | given))


def failure(sending: MailChannel, message: Message, timeout_s: float = 10) -> DeliveryError:
    return check_send_fails_well(sending, message, timeout_s)


def test_text_and_html_arrive_with_stable_headers(message: Make) -> None:
    """A mail carries both forms; its id, thread and content are the same at every attempt."""
    with smtp_server() as server:
        sending = channel(server, to=["a@example.com", "b@example.com"])
        sending.send(message(), 10)
        sending.send(message(), 10)
        first, again = server.mailbox.wait_for(2)
    assert first.content == again.content
    assert first.recipients == ("a@example.com", "b@example.com")
    mail = first.message
    assert mail["Message-ID"] == "<msg_1@example.com>"
    assert mail["In-Reply-To"] == mail["References"] == "<alert.alert-1@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "three errors" in text.get_content()
    assert "<p>three errors" in html.get_content()


def test_two_mails_of_an_alert_share_a_thread(message: Make) -> None:
    """Firing and resolved have different ids and the same References, so that readers show one conversation."""
    with smtp_server() as server:
        sending = channel(server)
        sending.send(message(id="msg_firing"), 10)
        sending.send(message(id="msg_resolved"), 10)
        first, second = (mail.message for mail in server.mailbox.wait_for(2))
    assert first["Message-ID"] != second["Message-ID"]
    assert first["References"] == second["References"]


def test_chinese_text_survives(message: Make) -> None:
    """Chinese subjects and bodies are the same on the other side."""
    with smtp_server() as server:
        channel(server).send(message(subject="[严重] 路径：百灵鸟", text="第 23 个字符\n", html="<p>不可见</p>"), 10)
        (mail,) = server.mailbox.wait_for(1)
    assert mail.message["Subject"] == "[严重] 路径：百灵鸟"
    body = mail.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "第 23 个字符"


def parsed_headers(message: Message, parameters: MailParameters) -> list[str]:
    head = compose(message, parameters).as_bytes().split(b"\r\n\r\n")[0]
    return [line.split(b":")[0].decode().lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]


PARAMETERS = MailParameters.model_validate({"host": "h", "from": "a@example.com", "to": "b@example.com"})
PLAIN = Message(id="i", thread="t", occasion=Occasion.FIRING, created_at_ms=0, subject="s", text="t", html="h")


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=()), max_size=400))
def test_no_text_breaks_the_headers(message: Make, text: str) -> None:
    """Whatever stands in a file name: no exception, one Subject, no added header, and it decodes to visible text."""
    hostile = message(subject=text, text=text, html=f"<p>{text}", thread=text)
    assert parsed_headers(hostile, PARAMETERS) == parsed_headers(PLAIN, PARAMETERS)
    subject = message_from_bytes(compose(hostile, PARAMETERS).as_bytes(), policy=default)["Subject"]
    assert str(subject).split() == visible(text.strip(), 200).replace("=?", "= ?").split()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_delivered(message: Make, text: str) -> None:
    """The names that stop other alerters arrive, with exactly one Subject."""
    with smtp_server() as server:
        channel(server).send(message(subject=f"[CRITICAL] {text}", text=text, html=text), 10)
        (mail,) = server.mailbox.wait_for(1)
    assert len(mail.message.get_all("Subject", [])) == 1
    assert "Bcc" not in mail.message
    assert mail.recipients == ("ops@example.com",)


def test_good_recipients_get_it_once(message: Make) -> None:
    """One of three is refused for now: the others get one mail, the retry reaches only the third."""
    script = Script(recipients={"b@example.com": ["451 4.3.0 later", "250 OK"]})
    with smtp_server(script) as server:
        sending = channel(server, to=["a@example.com", "b@example.com", "c@example.com"])
        error = failure(sending, message())
        assert error.reason is DeliveryReason.RECIPIENT_REFUSED
        assert error.retryable
        assert set(error.delivered) == {"a@example.com", "c@example.com"}
        sending.send(message(delivered=error.delivered), 10)
        mails = server.mailbox.wait_for(2)
    assert [mail.recipients for mail in mails] == [("a@example.com", "c@example.com"), ("b@example.com",)]


def test_a_recipient_refused_for_good_is_no_reason_to_retry(message: Make) -> None:
    """550 for one of two: the other has it, the failure is final and names the address."""
    with smtp_server(Script(recipients={"b@example.com": ["550 5.1.1 no such user"]})) as server:
        error = failure(channel(server, to=["a@example.com", "b@example.com"]), message())
        server.mailbox.wait_for(1)
    assert not error.retryable
    assert error.delivered == ("a@example.com",)
    assert "b@example.com: 550 5.1.1 no such user" in str(error)


def test_nobody_left_means_nothing_to_do(message: Make) -> None:
    """A message that every recipient has is a success without a connection."""
    with smtp_server() as server:
        channel(server).send(message(delivered=("ops@example.com",)), 10)
        assert server.mailbox.commands == []


@pytest.mark.parametrize(
    ("script", "reason", "retryable"),
    [
        (Script(sender="550 5.7.1 not you"), DeliveryReason.REFUSED, False),
        (Script(sender="451 4.3.0 later"), DeliveryReason.REFUSED, True),
        (Script(sender="421 4.7.0 too many mails"), DeliveryReason.RATE_LIMITED, True),
        (Script(recipients={"ops@example.com": ["421 closing"]}), DeliveryReason.REFUSED, True),
        (Script(data=["552 5.3.4 too big"]), DeliveryReason.MESSAGE_REFUSED, False),
        (Script(data=["452 4.3.1 disk full"]), DeliveryReason.MESSAGE_REFUSED, True),
        (Script(drop_after_data=True), DeliveryReason.CONNECTION, True),
    ],
)
def test_every_refusal_has_its_verdict(message: Make, script: Script, reason: DeliveryReason, retryable: bool) -> None:
    """The reason and whether a retry may help follow from what the server said, and its words are kept."""
    with smtp_server(script) as server:
        error = failure(channel(server), message())
    assert (error.reason, error.retryable) == (reason, retryable)


def test_a_lost_answer_after_data_is_repeated_with_the_same_id(message: Make) -> None:
    """The server took the mail and hung up: it comes twice, recognisably the same."""
    with smtp_server(Script(drop_after_data=True)) as server:
        failure(channel(server), message())
        channel(server).send(message(), 10)
        first, second = server.mailbox.wait_for(2)
    assert first.message["Message-ID"] == second.message["Message-ID"]


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_a_stalling_server_is_left_in_time(message: Make, command: str) -> None:
    """A server that says nothing any more costs the time limit and no more."""
    script = Script(stall_at=command)
    with smtp_server(script) as server:
        error = failure(channel(server), message(), timeout_s=0.3)
        assert script.stalled.is_set()
    assert (error.reason, error.retryable) == (DeliveryReason.TIMEOUT, True)


def test_a_server_that_speaks_something_else(message: Make) -> None:
    """A wrong port is named as such, with what is there; its words are shown, not obeyed."""

    class Ssh(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-OpenSSH_9 \x1b[2J\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Ssh) as server:
        threading.Thread(target=server.handle_request).start()
        sending = channel(Server("127.0.0.1", server.server_address[1], Mailbox(Script())))
        error = failure(sending, message())
    assert "does not speak SMTP: it says 2.0-OpenSSH_9 ‹U+001B›[2J" in str(error)
    assert (error.reason, error.retryable) == (DeliveryReason.CONNECTION, True)
    assert "port:" in error.hint


def test_nobody_listening(message: Make) -> None:
    """A port without a server is a connection failure worth a retry."""
    with smtp_server() as server:
        sending = channel(server)
    error = failure(sending, message())
    assert (error.reason, error.retryable) == (DeliveryReason.CONNECTION, True)


def test_starttls_with_a_trusted_certificate(
    message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path, secret_file: Callable[..., dict[str, str]]
) -> None:
    """The default: STARTTLS, verified, then AUTH, then the mail."""
    with smtp_server(starttls=server_tls("127.0.0.1"), login=("wumu", "s3cret-canary")) as server:
        sending = channel(
            server, security="starttls", ca_file=ca_file, username="wumu", password=secret_file("s3cret-canary\n")
        )
        sending.send(message(), 10)
        assert len(server.mailbox.wait_for(1)) == 1


def test_tls_from_the_first_byte(message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    """security: tls speaks TLS before anything else."""
    with smtp_server(tls=server_tls("127.0.0.1")) as server:
        channel(server, security="tls", ca_file=ca_file).send(message(), 10)
        assert len(server.mailbox.wait_for(1)) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("trusted", [False, True], ids=["unknown-authority", "wrong-name"])
def test_a_false_certificate_gets_nothing(
    message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path, security: str, trusted: bool
) -> None:
    """An unknown authority and a wrong name are refused, and no mail leaves."""
    context = server_tls("other.example.com" if trusted else "127.0.0.1")
    starttls, tls = (context, None) if security == "starttls" else (None, context)
    with smtp_server(starttls=starttls, tls=tls) as server:
        sending = channel(server, security=security, **({"ca_file": ca_file} if trusted else {}))
        error = failure(sending, message())
        assert server.mailbox.mails == []
    assert (error.reason, error.retryable) == (DeliveryReason.TLS, True)


def test_no_fallback_to_plain_text(message: Make, secret_file: Callable[..., dict[str, str]]) -> None:
    """A server (or somebody between) that hides STARTTLS gets neither password nor mail."""
    with smtp_server() as server:
        error = failure(channel(server, security="starttls", username="wumu", password=secret_file("pw")), message())
        assert server.mailbox.mails == []
    assert error.reason is DeliveryReason.TLS
    assert "does not offer STARTTLS" in str(error)


def test_a_wrong_password_is_named_but_not_shown(
    message: Make, server_tls: Callable[..., ssl.SSLContext], ca_file: Path, secret_file: Callable[..., dict[str, str]]
) -> None:
    """The server echoes the password; the failure does not."""
    with smtp_server(starttls=server_tls("127.0.0.1"), login=("wumu", "right")) as server:
        sending = channel(
            server, security="starttls", ca_file=ca_file, username="wumu", password=secret_file("canary-4711")
        )
        error = failure(sending, message())
    assert (error.reason, error.retryable) == (DeliveryReason.AUTHENTICATION, True)
    assert "[secret] is wrong" in str(error)
    assert "canary-4711" not in f"{error!r} {error} {error.hint} {sending!r}"


def test_an_unreadable_secret_or_authority_is_told(message: Make, tmp_path: Path) -> None:
    """A missing secret or ca_file is worth a retry: the operator can put it back."""
    with smtp_server() as server:
        missing = {"file": str(tmp_path / "none")}
        error = failure(channel(server, security="starttls", username="u", password=missing), message())
        assert (error.reason, error.retryable) == (DeliveryReason.SECRET_UNREADABLE, True)
        error = failure(channel(server, security="starttls", ca_file=tmp_path / "none"), message())
        assert (error.reason, error.retryable) == (DeliveryReason.TLS, True)
        assert "ca_file" in str(error)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"security": "none", "username": "u", "password": {"env": "P"}}, "unprotected"),
        ({"username": "u"}, "belong together"),
        ({"to": []}, "at least 1"),
        ({"to": ["a@b\nBcc: x@y"]}, "not a mail address"),
        ({"from": "Ops <ops@example.com>"}, "not a mail address"),
        ({"password": "hunter2", "username": "u"}, "does not belong in this file"),
        ({"port": 0}, "greater than or equal"),
        ({"sekurity": "tls"}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], says: str) -> None:
    """A mistake in alerts.yaml is told in words, and a literal password is not repeated."""
    with pytest.raises(ValidationError) as caught:
        MailParameters.model_validate({"host": "h", "from": "a@example.com", "to": "b@example.com"} | wrong)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
