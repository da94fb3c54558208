"""Whom the service believes about the caller's address."""

import pytest

from recognizer.serve.caller import caller_address
from recognizer.serve.settings import proxies

TRUSTED = proxies(("10.0.0.0/8", "::1", "192.0.2.1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "6.6.6.6", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, 10.0.0.9, 192.0.2.1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, ", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7\r\nX: y", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", ", ".join(["10.0.0.2"] * 10_000), "10.0.0.2"),
        (None, "203.0.113.7", None),
        ("a unix socket", None, None),
    ],
)
def test_the_nearest_address_that_can_be_believed(peer: str | None, forwarded: str | None, found: str | None) -> None:
    assert caller_address(peer, forwarded, TRUSTED) == found


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        proxies(("10.0.0.0/8", "nonsense"))
