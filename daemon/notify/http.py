"""One POST to a receiver that may be slow, endless, hostile or gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from daemon.errors import DeliveryError, DeliveryReason
from daemon.notify.deadline import Deadline
from daemon.notify.egress import Egress, GuardedAdapter
from daemon.notify.guarded import shown_reply
from recognizer.paths import visible

REPLY_BYTES = 2_048
"""Read of an answer that is no success; the body of a success is not read at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``said`` is the visible beginning of a failure's body, without secrets."""

    status: int
    retry_after: str | None
    said: str


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    ca_file: Path | None,
    timeout_s: float,
    secrets: Sequence[str],
) -> Answer:
    """Send once and tell the answer, whatever its status. No redirect, no proxy, no retry.

    Raises DeliveryError where no answer came. ``secrets`` are blotted out of what is reported.
    """
    if ca_file is not None and not ca_file.is_file():
        raise DeliveryError(
            f"ca_file {ca_file} can't be used: there is no such file",
            reason=DeliveryReason.TLS,
            retryable=True,
            hint="it must be a PEM file that the daemon may read",
        )
    with Deadline(timeout_s) as deadline, requests.Session() as session:
        session.trust_env = False  # a proxy or .netrc of the environment would go round the egress policy
        adapter = GuardedAdapter(Egress(allow_private=allow_private), deadline)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            with session.post(
                url,
                data=body,
                headers={"User-Agent": "wumu", **headers},
                timeout=timeout_s,
                allow_redirects=False,
                stream=True,
                verify=str(ca_file) if ca_file else True,
            ) as response:
                if deadline.expired:  # a head that was cut off by the deadline reads like a whole one
                    raise TimeoutError
                said = "" if response.ok else shown_reply(_beginning(response), secrets)
                return Answer(response.status_code, response.headers.get("Retry-After"), said)
        except (requests.RequestException, OSError) as error:
            raise _failure(error, str(urlsplit(url).hostname), deadline) from error


def reach(url: str, *, allow_private: bool, timeout_s: float) -> None:
    """Connect to the receiver and hang up. Raises DeliveryError as `post` does."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    with Deadline(timeout_s) as deadline:
        try:
            Egress(allow_private=allow_private).connect(host, port, deadline).close()
        except OSError as error:
            raise _failure(error, host, deadline) from error


def _beginning(response: requests.Response) -> bytes:
    """The first bytes of the answer, at most one read: an endless or slow body costs nothing."""
    try:
        return bytes(response.raw.read1(REPLY_BYTES, decode_content=False))
    except (requests.RequestException, HTTPError, OSError):
        return b""


def _failure(error: Exception, host: str, deadline: Deadline) -> DeliveryError:
    if deadline.expired or isinstance(error, (requests.Timeout, TimeoutError)):
        text = f"{host} did not answer within {deadline.timeout_s:g} s"
        return DeliveryError(text, reason=DeliveryReason.TIMEOUT, retryable=True)
    if isinstance(error, requests.exceptions.SSLError):
        return DeliveryError(
            f"TLS with {host} failed: {_innermost(error)}",
            reason=DeliveryReason.TLS,
            retryable=True,
            hint="for a certificate of your own authority set ca_file; a name that differs needs the right url",
        )
    return DeliveryError(
        f"no answer from {host}: {_innermost(error)}", reason=DeliveryReason.CONNECTION, retryable=True
    )


def _innermost(error: BaseException) -> str:
    """What lay at the root, without the layers of the HTTP library."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return visible(str(error), 300)
