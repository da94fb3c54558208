"""Facts → Message, for one channel's language and time zone. A message is never lost to its own looks."""

import hashlib
import html
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from daemon.baseline import Mark
from daemon.notify.channel import Message, Notice, Occasion
from daemon.notify.data import DATA_VERSION, data_of, data_of_mark, data_of_word
from daemon.notify.view import View, view_of, view_of_mark, view_of_word
from daemon.notify.words import words
from daemon.watch import Word
from recognizer.paths import visible
from rules.model import Language

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
CODE_STYLE = "font-family:ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;font-size:.92em"
MAX_CHARACTERS = 256 * 1024
"""A longer text or HTML counts as a failed template."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """``failure`` says why the plain built-in form had to be used; None when all went well."""

    message: Message
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    subject: str
    text: str
    html: str
    data: Mapping[str, Any]


def message_id(alert_id: str, occasion: Occasion, sequence: int, channel: str) -> str:
    """The name of a message: the same for the same telling, whenever and however often it is made."""
    text = "\0".join((alert_id, occasion.value, str(sequence), channel))
    return f"msg_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def render(
    notice: Notice,
    *,
    channel: str,
    language: Language,
    sequence: int = 0,
    time_zone: str = "UTC",
    templates: Path = TEMPLATES,
) -> Rendered:
    """The message about an alert for one channel. Never raises: what can't be laid out is told in plain words."""
    alert = notice.alert
    name = message_id(alert.id, notice.occasion, sequence, channel)

    def content() -> _Content:
        view = view_of(notice, language, time_zone)
        return _laid_out(view, data_of(notice, name, view.sentence), templates)

    tag = "RESOLVED" if notice.occasion is Occasion.RESOLVED else alert.severity.value.upper()
    seen = f"{alert.finding.reason.value}, observed {alert.finding.observed:g} {alert.finding.unit}"
    made, failure = _made_safely(
        content,
        f"[{tag}] {notice.rule.id}: {seen}",
        f"alert {alert.id} of {dict(alert.key)}; see: wumu explain {notice.rule.id}",
        {"id": name, "occasion": notice.occasion.value, "alert": {"id": alert.id, "rule": notice.rule.id}},
    )
    return Rendered(_message(made, name, alert.id, notice.occasion, notice.decided_at_ms), failure)


def render_self(
    word: Word,
    *,
    channel: str,
    language: Language,
    now_ms: int,
    time_zone: str = "UTC",
    templates: Path = TEMPLATES,
) -> Rendered:
    """The message about a trouble of wumu itself, or about its end. Never raises.

    The messages of one trouble share a thread, which is made of what it is about and since when it lasts.
    """
    thread = f"wumu-{word.trouble.value}-{hashlib.sha256(word.name.encode('utf-8', 'replace')).hexdigest()[:12]}"
    thread = f"{thread}-{word.since_ms}"
    name = message_id(thread, Occasion.SELF, int(word.over), channel)

    def content() -> _Content:
        view = view_of_word(word, language, time_zone)
        return _laid_out(view, data_of_word(word, name, view.sentence, now_ms), templates)

    made, failure = _made_safely(
        content,
        f"[WUMU] {'over: ' if word.over else ''}{word.trouble.value} {word.name}",
        word.detail,
        {"id": name, "occasion": Occasion.SELF.value},
    )
    return Rendered(_message(made, name, thread, Occasion.SELF, now_ms), failure)


def render_mark(
    mark: Mark,
    rules: Sequence[str],
    *,
    channel: str,
    language: Language,
    now_ms: int,
    time_zone: str = "UTC",
    templates: Path = TEMPLATES,
) -> Rendered:
    """The message about a planned change with which the baselines of ``rules`` start anew. Never raises."""
    thread = f"wumu-mark-{mark.id}"
    name = message_id("\0".join((thread, *rules)), Occasion.MARK, 0, channel)

    def content() -> _Content:
        view = view_of_mark(mark, rules, language, time_zone)
        return _laid_out(view, data_of_mark(mark, rules, name, view.sentence, now_ms), templates)

    made, failure = _made_safely(
        content,
        f"[WUMU] {mark.name}: new baselines",
        f"the baselines of these rules start anew: {', '.join(rules)}",
        {"id": name, "occasion": Occasion.MARK.value},
    )
    return Rendered(_message(made, name, thread, Occasion.MARK, now_ms), failure)


def _message(made: _Content, name: str, thread: str, occasion: Occasion, now_ms: int) -> Message:
    return Message(
        id=name,
        thread=thread,
        occasion=occasion,
        created_at_ms=now_ms,
        subject=made.subject,
        text=made.text,
        html=made.html,
        data=made.data,
    )


@cache
def _environment(templates: Path) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["code"] = _code
    return environment


def _code(text: str) -> Markup:
    """Text between backticks as HTML code, everything escaped."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    spans = [f'<code style="{CODE_STYLE}">{part}</code>' if place % 2 else part for place, part in enumerate(parts)]
    return Markup("".join(spans))  # noqa: S704  # escaped above


def _laid_out(view: View, data: Mapping[str, Any], templates: Path) -> _Content:
    environment = _environment(templates)
    labels = words(Language(view.language)).section("label")
    text, page = (
        environment.get_template(name).render(view=view, label=labels) for name in ("message.txt.j2", "message.html.j2")
    )
    if max(len(text), len(page)) > MAX_CHARACTERS:
        raise ValueError(f"the message has {max(len(text), len(page))} characters, more than {MAX_CHARACTERS}")
    return _Content(view.subject, text, page, data)


def _made_safely(
    make: Callable[[], _Content], subject: str, body: str, data: Mapping[str, Any]
) -> tuple[_Content, str | None]:
    """What ``make`` gives, or the plain form with the reason: an alert must not be lost to a template."""
    try:
        return make(), None
    except Exception as error:
        log.exception("a message could not be rendered; it is sent in its plain form")
        failure = visible(f"{type(error).__name__}: {error}", 300)
    subject, body = visible(subject, 200), visible(body, 1_000)
    text = f"{subject}\n\n{body}\n\n(plain form: {failure})\n"
    plain = {"version": DATA_VERSION, "type": "plain", **data, "text": subject, "failure": failure}
    return _Content(subject, text, f"<pre>{html.escape(text)}</pre>", plain), failure
