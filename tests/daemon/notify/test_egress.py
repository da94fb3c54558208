"""The egress policy: judged by address, whatever its spelling, and only the judged address is connected to."""

import ipaddress
import socket

import pytest

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.deadline import Deadline
from daemon.notify.egress import Egress, forbidden

NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "::",
    "255.255.255.255",
    "240.0.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:1:2:3:4:5601:5601",
    "2001:db8::5efe:a9fe:a9fe",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", NEVER)
def test_never_even_with_leave(address: str) -> None:
    """Metadata, link-local, multicast, unspecified and reserved addresses, however they are wrapped."""
    assert forbidden(ipaddress.ip_address(address), allow_private=True)
    assert forbidden(ipaddress.ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_only_with_leave(address: str) -> None:
    """Private and loopback addresses are admitted by allow_private alone."""
    assert forbidden(ipaddress.ip_address(address), allow_private=False)
    assert forbidden(ipaddress.ip_address(address), allow_private=True) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fine(address: str) -> None:
    """Ordinary receivers are not refused, translated ones included."""
    assert forbidden(ipaddress.ip_address(address), allow_private=False) is None


def test_the_checked_address_is_the_connected_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently on every look-up is resolved once: there is no second answer to be fooled by."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = [("10.255.255.1", port), ("127.0.0.1", port)]
        asked: list[str] = []

        def rebinding(host: str, wanted: int, **_: object) -> list[tuple[object, ...]]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answers[len(asked) % 2])]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        with Deadline(5) as deadline, Egress(allow_private=True).connect("evil.example.com", port, deadline) as made:
            assert made.getpeername() == ("127.0.0.1", port)
        assert asked == ["evil.example.com"]
        with Deadline(5) as deadline, pytest.raises(DeliveryError) as caught:
            Egress().connect("evil.example.com", port, deadline)
    assert caught.value.reason is DeliveryReason.ADDRESS_FORBIDDEN


def test_a_watched_connection_ends_with_the_deadline() -> None:
    """Time is up for a peer that keeps the line open without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as line:
        with Deadline(0.05) as deadline:
            deadline.watch(line)
            assert line.recv(1) == b""
        assert deadline.expired
