"""Where the daemon may connect to. The address that was checked is the address that is connected to.

A receiver's name is under somebody else's control: it may resolve to the cloud's metadata service, to this machine,
or to a good address when it is checked and a bad one a moment later. So the name is resolved once, each address is
judged, and the connection goes to the judged address; the name is kept for the Host header, SNI and the certificate.
"""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.deadline import Deadline

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA = frozenset(
    map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Metadata services of clouds outside link-local: Azure, Alibaba, Oracle, AWS and Google over IPv6."""

_NEVER: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("link-local", (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))),
    ("multicast", (ipaddress.ip_network("224.0.0.0/4"), ipaddress.ip_network("ff00::/8"))),
    ("unspecified", (ipaddress.ip_network("0.0.0.0/8"), ipaddress.ip_network("::/128"))),
    ("reserved", (ipaddress.ip_network("240.0.0.0/4"),)),
)
_EMBEDDED_LAST = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))
"""IPv6 ranges whose last 32 bits are an IPv4 address: compatible, mapped, NAT64, local NAT64."""
_LOOPBACK_V6 = ipaddress.IPv6Address("::1")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)


def forbidden(address: Address, *, allow_private: bool) -> str | None:
    """Why the daemon must not connect there, in a word or two; None where it may.

    Own lists, because ``is_global`` calls multicast, NAT64 and (in Python 3.11) 6to4 addresses global. An IPv6
    address that carries an IPv4 address is judged by that one too.
    """
    if address in _METADATA:
        return "cloud metadata service"
    for name, networks in _NEVER:
        if any(address.version == network.version and address in network for network in networks):
            return name
    carried = _carried(address)
    if carried is not None:
        return forbidden(carried, allow_private=allow_private)
    if not allow_private and not address.is_global:
        return "loopback" if address.is_loopback else "private"
    return None


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside a transition address: RFC 4291, 6052, 8215, 3056, 4380, 5214."""
    if isinstance(address, ipaddress.IPv4Address) or address == _LOOPBACK_V6:
        return None
    bits = int(address)
    if any(address in network for network in _EMBEDDED_LAST) or (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(bits & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address((bits >> 80) & 0xFFFFFFFF)
    if address in _TEREDO:
        return ipaddress.IPv4Address(~bits & 0xFFFFFFFF)
    return None


@dataclass(frozen=True, slots=True)
class Egress:
    """The policy of one channel. ``allow_private`` admits receivers inside one's own network, loopback included."""

    allow_private: bool = False

    def connect(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """A connection to the first allowed address of ``host`` that answers.

        Raises DeliveryError ADDRESS_FORBIDDEN when no address is allowed, OSError when none answers.
        """
        refused: list[str] = []
        failure: OSError | None = None
        for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            address = ipaddress.ip_address(place[0])
            why = forbidden(address, allow_private=self.allow_private)
            if why is not None:
                refused.append(f"{address} ({why})")
                continue
            try:
                return _open(family, kind, protocol, place, deadline)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure
        raise DeliveryError(
            f"{host} resolves to {', '.join(refused)}: connecting there is not allowed",
            reason=DeliveryReason.ADDRESS_FORBIDDEN,
            retryable=False,
            hint="" if self.allow_private else "for a receiver in your own network set allow_private: true",
        )


def _open(family: int, kind: int, protocol: int, place: tuple[object, ...], deadline: Deadline) -> socket.socket:
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(deadline.timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline.watch(connection)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


class GuardedAdapter(HTTPAdapter):
    """The requests adapter whose connections are made by an `Egress` and watched by a `Deadline`. For one request."""

    def __init__(self, egress: Egress, deadline: Deadline) -> None:
        self._egress = egress
        self._deadline = deadline
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002  # the signature of requests
        """Pools whose connections ask the policy; called by HTTPAdapter itself."""
        egress, deadline = self._egress, self._deadline

        def new_connection(connection: HTTPConnection) -> socket.socket:
            host = connection.host
            try:
                return egress.connect(host, connection.port, deadline)
            except socket.gaierror as error:
                raise NameResolutionError(host, connection, error) from error
            except OSError as error:
                raise NewConnectionError(connection, str(error)) from error

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return new_connection(self)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return new_connection(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
