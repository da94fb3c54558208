"""What `wumu serve` is allowed to do and to spend."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

Network = IPv4Network | IPv6Network
MULTIPART_BYTES: Final = 64 * 1024
"""What a multipart body may hold beside the picture: boundaries, headers, small fields."""

WAITING_BYTES: Final = 512 * 1024 * 1024
"""What all requests may hold together, unless one alone may hold half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and policies of the service.

    max_batch          pictures asked together at most
    max_wait_ms        how long the first picture of a batch waits for others that are being decoded, milliseconds
    max_waiting        pictures that wait or are worked on; further requests are answered 429
    max_waiting_bytes  what these and the bodies that are coming in may hold together; beyond, 429 too
    max_pictures       pictures in one request at most
    max_upload_bytes   largest picture that is taken in, and all pictures of a request together
    head_seconds       how long the request line and headers may take to arrive, seconds; then 408
    body_seconds       how long the body may take from there, seconds; then 408
    answer_seconds     how long an answer may take from there, seconds; then 503
    decode_threads     threads that decode and prepare
    paths              whether pictures may be named by path; only files below the recognizer's roots are read
    trusted_proxies    addresses whose X-Forwarded-For is believed
    """

    max_batch: int = 32
    max_wait_ms: float = 200.0
    max_waiting: int = 256
    max_waiting_bytes: int = WAITING_BYTES
    max_pictures: int = 64
    max_upload_bytes: int = 32 * 1024 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 30.0
    decode_threads: int = 2
    paths: bool = False
    trusted_proxies: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        counts = (self.max_batch, self.max_waiting, self.max_pictures, self.max_upload_bytes, self.decode_threads)
        if min(counts) < 1:
            raise ValueError(
                "max_batch, max_waiting, max_pictures, max_upload_bytes and decode_threads must be at least 1"
            )
        if self.max_waiting_bytes < self.max_upload_bytes + MULTIPART_BYTES:
            raise ValueError("max_waiting_bytes must hold one request of max_upload_bytes")
        if self.max_wait_ms < 0 or min(self.head_seconds, self.body_seconds, self.answer_seconds) <= 0:
            raise ValueError("max_wait_ms must not be negative; head_, body_ and answer_seconds must be positive")


def proxies(addresses: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from addresses or CIDR; ValueError names the one that is neither."""
    return tuple(ip_network(one) for one in addresses)
