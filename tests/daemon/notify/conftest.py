"""Certificates, messages and channels for the delivery tests."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.notify.channel import Message, Occasion


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Makes a server's TLS context with a certificate for the given names."""

    def make(*names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        return context

    return make


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Writes a secret only the owner can read and gives the configuration that points to it."""

    def write(secret: str, name: str = "secret", mode: int = 0o600) -> dict[str, str]:
        path = tmp_path / name
        path.write_text(secret, encoding="utf-8")
        path.chmod(mode)
        return {"file": str(path)}

    return write


@pytest.fixture
def message() -> Callable[..., Message]:
    """Makes a message; any of its fields can be given."""

    def make(**given: Any) -> Message:
        standard: dict[str, Any] = {
            "id": "msg_1",
            "thread": "alert-1",
            "occasion": Occasion.FIRING,
            "created_at_ms": 1_795_372_621_000,
            "subject": "[CRITICAL] rule: three errors in a row",
            "text": "three errors in a row\n",
            "html": "<p>three errors in a row</p>",
            "data": {"version": 1, "text": "three errors in a row"},
        }
        return Message(**standard | given)

    return make
