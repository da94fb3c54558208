"""The faults that are foreseen. Each carries one line for a human: what happened and what to do."""

import enum


class WumuError(Exception):
    """A foreseen fault. ``str(error)`` is the message, ``hint`` the way out; no traceback is shown for it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(WumuError):
    """The configuration can't be used."""


class BadRequest(WumuError):
    """What was asked can't be answered as it was written: no such rule, a filter that can't be read."""


class StoreError(WumuError):
    """The event store refused something for good (a wrong query, an operator's fault)."""


class StoreUnavailable(StoreError):
    """The event store does not answer now; the same call may succeed later."""


class LedgerError(WumuError):
    """The ledger can't be read or written."""


class LedgerLocked(LedgerError):
    """Another daemon holds this ledger."""


class DeliveryReason(enum.StrEnum):
    """Why a delivery failed."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTHENTICATION = "authentication"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    RECIPIENT_REFUSED = "recipient_refused"
    ADDRESS_FORBIDDEN = "address_forbidden"
    REDIRECT = "redirect"
    GONE = "gone"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105  # the reason's name, not a secret
    MESSAGE_REFUSED = "message_refused"
    UNEXPECTED = "unexpected"


class DeliveryError(WumuError):
    """A message could not be delivered. The verdict travels with the error, so the retry loop is written once.

    retryable   whether the same message may succeed later
    after_s     the receiver's wish (Retry-After), seconds
    delivered   recipients that did get it; they are not asked again
    """

    def __init__(
        self,
        message: str,
        *,
        reason: DeliveryReason,
        retryable: bool,
        after_s: float | None = None,
        delivered: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.retryable = retryable
        self.after_s = after_s
        self.delivered = delivered
