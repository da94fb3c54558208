"""What a message says: in both languages, with hostile values, and when a template fails."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.alerts.model import Alert, State
from daemon.notify.channel import Notice, Occasion
from daemon.notify.render import TEMPLATES, message_id, render, render_self
from daemon.watch import Trouble, Word
from detectors.finding import Expected, Finding, Reason
from detectors.suspects import Suspect
from recognizer.events import Event
from rules.model import Language, Rule, Severity
from rules.remedy import choose
from tests.support.findings import finding

AT_MS = 1_795_372_621_000
OUR_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "body",
    "div",
    "span",
    "p",
    "table",
    "tr",
    "td",
    "ul",
    "ol",
    "li",
    "pre",
    "code",
    "b",
    "a",
    "br",
}
PATH = "/srv/photos/upload/百灵鸟\u200b.jpg"


def streak(**changes: Any) -> Finding:
    return finding(AT_MS, details={"value": "path_invisible_character"}, **changes)


def notice(found: Finding | None = None, occasion: Occasion = Occasion.FIRING, **given: Any) -> Notice:
    found = found or streak()
    events = given.pop("samples", (Event(timestamp=AT_MS, event_type="input_error", file_path=PATH, host="gpu-1"),))
    alert = Alert(
        id="alert-1",
        rule_id="path-errors",
        key=found.key,
        state=State.RESOLVED if occasion is Occasion.RESOLVED else State.FIRING,
        severity=Severity.CRITICAL,
        active_at_ms=AT_MS,
        last_seen_ms=AT_MS,
        finding=found,
        peak=given.pop("peak", found),
        fired_at_ms=AT_MS,
        resolved_at_ms=AT_MS + 750_000 if occasion is Occasion.RESOLVED else None,
    )
    rule = Rule(
        id="path-errors",
        detector=None,  # type: ignore[arg-type]
        summary=given.pop("summary", "The same error in a row"),
        severity=Severity.CRITICAL,
        runbook=given.pop("runbook", "https://wiki.example.com/x"),
    )
    return Notice(
        alert=alert,
        rule=rule,
        occasion=occasion,
        decided_at_ms=AT_MS + 900_000,
        samples=events,
        remedies={language: choose(found, events, language, lambda _: True) for language in Language},
        **given,
    )


def rendered(given: Notice, language: Language = Language.EN, **options: Any) -> Any:
    made = render(given, channel="ops", language=language, **options)
    assert made.failure is None
    return made.message


def test_the_subject_says_it_all() -> None:
    """Severity, rule, what, how often and where: enough to decide whether to get up."""
    expected = "[CRITICAL] path-errors: 3 path_invisible_character errors in a row on gpu-1"
    assert rendered(notice()).subject == expected
    assert (
        rendered(notice(), Language.ZH).subject
        == "[严重] path-errors：连续 3 次 path_invisible_character 错误（主机 gpu-1）"
    )


def test_the_body_answers_the_questions() -> None:
    """What is wrong, since when, where, what to do, what was checked, examples, and where to look."""
    suspect = Suspect(
        field="file_dir",
        value="/srv/photos/upload",
        bad=9,
        bad_total=10,
        base=1,
        base_total=20,
        lift=9,
        significance=0.0,
    )
    message = rendered(notice(suspects=(suspect,)), time_zone="Asia/Shanghai")
    for part in (
        "at most 2 events expected",
        "Since: 2026-11-23 02:36:01 CST",
        "90% of the bad events have file_dir = /srv/photos/upload, against 5% of the baseline",
        "The path holds an invisible character",
        "is U+200B ZERO WIDTH SPACE",
        "A file exists at the cleaned path /srv/photos/upload/百灵鸟.jpg",
        "ls -lb -- '/srv/photos/upload/百灵鸟.jpg'",
        "/srv/photos/upload/百灵鸟‹U+200B›.jpg",
        "wumu explain path-errors",
        "https://wiki.example.com/x",
    ):
        assert part in message.text
    assert "\u200b" not in message.text + message.html + message.subject


def test_a_resolved_message_tells_duration_and_peak() -> None:
    """The end says how long it lasted and how bad it was, and gives no more advice."""
    message = rendered(notice(occasion=Occasion.RESOLVED, peak=streak(observed=17.0)))
    assert message.subject == "[RESOLVED] path-errors: over after 12m30s on gpu-1 (peak 17 events)"
    assert "What to do" not in message.text


def test_a_repeat_tells_how_long() -> None:
    """A repeat is told apart from the first message by its duration."""
    assert rendered(notice(occasion=Occasion.REPEAT)).subject.endswith("on gpu-1, for 15m")


@pytest.mark.parametrize(
    ("reason", "details", "says"),
    [
        (
            Reason.VALUE_TOO_HIGH,
            {"measure": "percentile", "field": "duration_ms", "percent": 95},
            "p95 of duration_ms is 1.83 s",
        ),
        (
            Reason.VALUE_TOO_HIGH,
            {"measure": "max", "field": "duration_ms", "percent": None},
            "max of duration_ms is 1.83 s",
        ),
        (
            Reason.LATENCY_SHIFT,
            {"field": "duration_ms", "percent": 50.0, "usual": 240.0},
            "p50 of duration_ms shifted to 1.83 s",
        ),
        (Reason.LATENCY_SHIFT, {}, "duration_ms shifted to 1.83 s"),
        (
            Reason.METRIC_UNUSUAL,
            {"field": "duration_ms", "measure": "max", "usual": 240.0},
            "max of duration_ms is unusual at 1.83 s",
        ),
        (Reason.LABEL_STUCK, {"field": "top1_label", "label": "cat"}, "top1_label sticks at cat: 1.83 s"),
        (Reason.LABEL_UNSEEN, {"field": "top1_label", "label": "cat"}, "top1_label is cat, never seen before"),
        (Reason.TOO_MANY_EVENTS, {"within_ms": 300_000}, "1.83 s within 5m on gpu-1"),
    ],
)
def test_the_measure_is_named(reason: Reason, details: dict[str, Any], says: str) -> None:
    """A number means something only with the name of what was measured, and what is usual."""
    message = rendered(notice(finding(AT_MS, reason=reason, details=details, unit="ms", observed=1830.0)))
    assert says in message.subject
    assert ("Usual: 240 ms" in message.text) == ("usual" in details)


def test_a_field_keeps_its_name_at_the_beginning_of_a_sentence() -> None:
    """Who copies Top1_label into a query finds nothing; a plain word begins with a capital."""
    details = {"field": "top1_label", "label": "cat"}
    assert "\ntop1_label sticks" in rendered(notice(finding(AT_MS, reason=Reason.LABEL_STUCK, details=details))).text
    assert "\nThe traffic is unusual" in rendered(notice(finding(AT_MS, reason=Reason.RATE_UNUSUAL))).text


def test_a_number_without_a_unit_stands_alone() -> None:
    """``avg of mean is unusual at 1.7``, and not ``1.7 mean``."""
    details = {"field": "mean", "measure": "avg"}
    found = finding(AT_MS, reason=Reason.METRIC_UNUSUAL, details=details, unit="mean", observed=1.7)
    assert "avg of mean is unusual at 1.7 on gpu-1" in rendered(notice(found)).subject
    moved = finding(AT_MS, reason=Reason.LABEL_DRIFT, unit="effect size", observed=0.31)
    assert "the mix of top1_label moved by 0.31 (Cohen's w) on gpu-1" in rendered(notice(moved)).subject


def test_late_and_drill_are_said() -> None:
    """A message that comes late says so; a drill cannot be mistaken for the real thing."""
    assert "comes late" in rendered(notice(late=True)).text
    drill = rendered(notice(occasion=Occasion.DRILL))
    assert drill.subject.startswith("[DRILL] ")
    assert "nothing is wrong" in drill.text


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("occasion", [Occasion.FIRING, Occasion.RESOLVED])
def test_every_reason_can_be_told(reason: Reason, language: Language, occasion: Occasion) -> None:
    """No combination falls back to the plain form, also without samples, key and expectation."""
    bare = finding(AT_MS, key=(), reason=reason, details={}, expected=Expected(), unit="ms", observed=1830.0)
    message = rendered(notice(bare, occasion, samples=()), language)
    assert "{" not in message.subject
    assert message.subject


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("over", [False, True])
def test_every_trouble_of_our_own_can_be_told(trouble: Trouble, language: Language, over: bool) -> None:
    """wumu speaks about itself in both languages; begin and end share a thread and differ in their id."""
    word = Word(trouble=trouble, name="ops", detail="no route\nto host", since_ms=AT_MS, over=over)
    made = render_self(word, channel="mail", language=language, now_ms=AT_MS)
    assert made.failure is None
    assert "no route‹U+000A›to host" in made.message.text
    other = render_self(
        Word(trouble=trouble, name="ops", detail="x", since_ms=AT_MS, over=not over),
        channel="mail",
        language=language,
        now_ms=AT_MS,
    )
    assert other.message.thread == made.message.thread
    assert other.message.id != made.message.id


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)


def tags(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    return parser


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=200))
def test_no_event_text_breaks_a_message(text: str) -> None:
    """Whatever an event holds: rendered without fallback, inert in HTML, one line a subject, valid JSON."""
    sample = Event(
        timestamp=AT_MS,
        event_type="input_error",
        file_path=text,
        error=text,
        host=text,
        request_id=text,
        top1_label=text,
        top1_score=float("nan"),
        reason=text,
    )
    found = finding(AT_MS, key=(("host", text), ("file_dir", None)), details={"value": text})
    suspect = Suspect(
        field="host", value=text, bad=1, bad_total=0, base=0, base_total=0, lift=float("inf"), significance=0.0
    )
    message = rendered(notice(found, samples=(sample,), suspects=(suspect,)))
    assert "\n" not in message.subject
    for shown in (message.subject, message.text, message.html):
        shown.encode()
    assert json.loads(orjson.dumps(message.data))["id"] == message.id
    assert tags(message.html).tags <= OUR_TAGS


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
        "{% for %}",
        "${HOME}",
        "%s",
        "{0.__class__}",
    ],
)
def test_markup_and_templates_in_events_are_printed(text: str) -> None:
    """Event text is text: it is neither markup, nor a template, nor a format string."""
    sample = Event(timestamp=AT_MS, event_type="input_error", file_path=text, reason="file_missing", error=text)
    message = rendered(notice(finding(AT_MS, details={"value": text}), samples=(sample,), summary=text))
    assert text in message.text
    assert "script" not in tags(message.html).tags
    assert "img" not in tags(message.html).tags


@pytest.mark.parametrize("runbook", ["javascript:alert(1)", "data:text/html,x", "/wiki", None])
def test_only_web_addresses_become_links(runbook: str | None) -> None:
    """A runbook that is no http(s) address is not a link; the mail loads nothing from anywhere."""
    page = tags(rendered(notice(runbook=runbook)).html)
    assert page.links == []
    assert page.tags.isdisjoint({"img", "link", "script", "style", "iframe"})


@pytest.mark.parametrize(
    "template", ["{{ view.nothing }}", "{% for %}", "{{ view.__class__.__mro__ }}", None, "{{ 'x' * 300000 }}"]
)
def test_a_failing_template_loses_no_alert(tmp_path: Path, template: str | None) -> None:
    """An undefined name, bad syntax, an escape, a missing file, a flood: the plain form is sent and says why."""
    (tmp_path / "message.txt.j2").write_text((TEMPLATES / "message.txt.j2").read_text(encoding="utf-8"))
    if template is not None:
        (tmp_path / "message.html.j2").write_text(template)
    made = render(notice(), channel="ops", language=Language.EN, templates=tmp_path)
    assert made.failure
    assert made.message.id == rendered(notice()).id
    assert made.message.subject.startswith("[CRITICAL] path-errors: error_streak, observed 3 events")
    assert "wumu explain path-errors" in made.message.text
    assert made.message.data["alert"] == {"id": "alert-1", "rule": "path-errors"}


def test_ids_are_stable_and_apart() -> None:
    """The same telling has the same id; another alert, occasion, count or channel has another."""
    given = [
        ("a", Occasion.FIRING, 0, "ops"),
        ("b", Occasion.FIRING, 0, "ops"),
        ("a", Occasion.REPEAT, 0, "ops"),
        ("a", Occasion.FIRING, 1, "ops"),
        ("a", Occasion.FIRING, 0, "oops"),
    ]
    ids = [message_id(*one) for one in given]
    assert ids == [message_id(*one) for one in given]
    assert len(set(ids)) == len(ids)


def test_the_webhook_object() -> None:
    """The documented fields, with both languages' remedies."""
    data = rendered(notice()).data
    assert (data["version"], data["type"], data["occasion"]) == (1, "alert.firing", "firing")
    assert data["alert"]["cause"] == "path_invisible_character"
    assert data["alert"]["expected"] == {"low": None, "high": 2.0}
    assert set(data["remedy"]) == {"en", "zh"}
    assert data["samples"][0]["file_path"] == "/srv/photos/upload/百灵鸟‹U+200B›.jpg"


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [
        (0.01, "one such alarm in 1 hour", "平均每 1 小时才有一次这样的警报"),
        (0.5, "one such alarm in 12 hours", "平均每 12 小时才有一次这样的警报"),
        (45.2, "one such alarm in 45 days", "平均每 45 天才有一次这样的警报"),
        (3_649.6, "one such alarm in 3,650 days", "平均每 3,650 天才有一次这样的警报"),
        (3_650.0, "less than one such alarm in ten years", "十年不到一次这样的警报"),
        (float("inf"), "less than one such alarm in ten years", "十年不到一次这样的警报"),
    ],
)
def test_how_unusual_it_is(days: float, english: str, chinese: str) -> None:
    """A statistical finding says how often chance alone gives such an alarm, beside what was expected."""
    found = finding(AT_MS, reason=Reason.METRIC_UNUSUAL, details={"field": "response_size"}, chance_days=days)
    for language, clause in ((Language.EN, english), (Language.ZH, chinese)):
        message = rendered(notice(found), language)
        assert message.text.count(clause) == 2  # in the sentence, which is all that a chat shows, and among the facts
        assert clause in message.html
    assert rendered(notice(found)).data["alert"]["chance_days"] == (days if days < float("inf") else None)


def test_a_limit_that_was_set_by_hand_has_no_chance() -> None:
    message = rendered(notice())
    assert "By chance" not in message.text
    assert message.data["alert"]["chance_days"] is None
