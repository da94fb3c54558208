"""What a channel is and what it is given."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from daemon.alerts.model import Alert
from daemon.baseline import Mark
from detectors.suspects import Suspect
from recognizer.events import Event
from rules.model import Language, Rule
from rules.remedy import Remedy


class Occasion(enum.StrEnum):
    """Why a message is sent."""

    FIRING = "firing"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    SELF = "self"
    MARK = "mark"
    DRILL = "drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A rendered message for one channel.

    ``id`` never changes for the same alert, occasion and channel, however often it is tried: receivers drop doubles
    by it. ``thread`` is the alert's id and joins its messages. All text is already safe to show; ``data`` is the
    webhook's JSON object. ``created_at_ms`` is when it was decided, not when it is sent.
    """

    id: str
    thread: str
    occasion: Occasion
    created_at_ms: int
    subject: str
    text: str
    html: str
    data: Mapping[str, Any] = field(default_factory=dict)
    delivered: tuple[str, ...] = ()


class Channel(Protocol):
    """A way out. `send` returns when the receiver has accepted the message and raises DeliveryError otherwise;
    `check` goes as far as it can without sending anything (`wumu doctor`)."""

    name: str

    def send(self, message: Message, timeout_s: float) -> None: ...

    def check(self, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Everything a message about an alert is rendered from: facts only, no text yet.

    ``samples`` are a few of the bad events, ``suspects`` what they share, ``remedies`` one per language that a
    channel may ask for. ``told`` counts the messages already sent about this alert (0: this is the first). ``retired``
    says that the alert ended only because its rule is gone or asks something else now, ``declared_normal`` that it did
    because somebody said so. ``marked`` is the planned change shortly before it began.
    """

    alert: Alert
    rule: Rule
    occasion: Occasion
    decided_at_ms: int
    samples: tuple[Event, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    remedies: Mapping[Language, Remedy] = field(default_factory=dict)
    told: int = 0
    late: bool = False
    retired: bool = False
    declared_normal: bool = False
    marked: Mark | None = None
