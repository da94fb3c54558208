"""Who asks: the address of the peer, or what a trusted proxy says of it."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from recognizer.serve.settings import Network

_MOST_HOPS = 32


def caller_address(peer: str | None, forwarded: str | None, trusted: tuple[Network, ...]) -> str | None:
    """The address nearest to the caller that can be believed.

    X-Forwarded-For grows to the right: each proxy appends whom it heard. From the right on every trusted proxy is
    passed over; the first that is none is the caller. What stands further left is the caller's own claim.
    """
    here = _address(peer)
    if here is None or forwarded is None:
        return None if here is None else str(here)
    for claim in reversed(forwarded.split(",")[-_MOST_HOPS:]):
        if not any(here in network for network in trusted):
            break
        before = _address(claim.strip())
        if before is None:
            break
        here = before
    return str(here)


@lru_cache(maxsize=1024)
def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address((text or "").strip("[]"))
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped
