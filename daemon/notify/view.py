"""What a message shows, as plain visible text: the only thing the templates see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from daemon.alerts.model import Alert
from daemon.baseline import Mark
from daemon.notify.channel import Notice, Occasion
from daemon.notify.words import VALUE_CHARACTERS, Words, moment, plain_number, words
from daemon.watch import Word
from detectors.base import Learner
from detectors.finding import Finding, Reason
from detectors.suspects import Suspect
from recognizer.events import Event
from recognizer.paths import visible
from rules.model import Language
from rules.remedy import Remedy
from rules.shell import quote

SAMPLES_SHOWN = 5
SUSPECTS_SHOWN = 4
PATH_CHARACTERS = 200
ERROR_CHARACTERS = 160
RULES_CHARACTERS = 2_000
_FIELD_OF = {
    Reason.LATENCY_SHIFT: "duration_ms",
    Reason.CONFIDENCE_DRIFT: "top1_score",
    Reason.LABEL_DRIFT: "top1_label",
    Reason.LABEL_STUCK: "top1_label",
    Reason.LABEL_UNSEEN: "top1_label",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleView:
    """One bad event. ``more`` holds what else is known about it: reason, error, label and score, duration."""

    time: str
    path: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A message before it is laid out. Every string is visible text of one line, but ``remedy.command``."""

    language: str
    tag: str
    tone: str
    title: str
    subject: str
    sentence: str
    summary: str
    facts: tuple[tuple[str, str], ...] = ()
    suspects: tuple[str, ...] = ()
    remedy: Remedy | None = None
    samples: tuple[SampleView, ...] = ()
    footer: tuple[tuple[str, str], ...] = ()
    runbook: str | None = None


def view_of(notice: Notice, language: Language, time_zone: str) -> View:
    """The view of a message about an alert."""
    say, alert, rule = words(language), notice.alert, notice.rule
    over = notice.occasion is Occasion.RESOLVED
    finding = alert.peak if over else alert.finding
    tone = "resolved" if over else "drill" if notice.occasion is Occasion.DRILL else alert.severity.value
    told_with = {
        "late": notice.late,
        "drill": notice.occasion is Occasion.DRILL,
        "retired": notice.retired,
        "declared_normal": notice.declared_normal,
    }
    notes = [say("text", note) for note, applies in told_with.items() if applies]
    if finding.chance_days is not None and not over:
        notes.insert(0, say("chance", "note", clause=say.chance(finding.chance_days)))
    if notice.marked is not None and not over:
        notes.append(_marked(notice.marked, finding.since_ms, say))
    return View(
        language=language.value,
        tag=say("tag", tone),
        tone=tone,
        title=rule.id,
        subject=say("text", "subject", tag=say("tag", tone), rule=rule.id, what=_headline(notice, say)),
        sentence=" ".join([_sentence(notice, say), *notes]),
        summary=visible(rule.summary, 400),
        facts=tuple(_facts(notice, finding, say, time_zone)),
        suspects=tuple(_suspect(suspect, say) for suspect in notice.suspects[:SUSPECTS_SHOWN]),
        remedy=None if over else notice.remedies.get(language),
        samples=() if over else tuple(_sample(event, say, time_zone) for event in notice.samples[:SAMPLES_SHOWN]),
        footer=tuple(_footer(notice, say)),
        runbook=_link(rule.runbook),
    )


def view_of_word(word: Word, language: Language, time_zone: str) -> View:
    """The view of a message about wumu itself."""
    say = words(language)
    name = visible(word.name, VALUE_CHARACTERS)
    what = say("trouble", word.trouble.value, name=name)
    tone = "resolved" if word.over else "trouble"
    headline = say("trouble", "over", what=what) if word.over else what
    return View(
        language=language.value,
        tag=say("tag", tone),
        tone=tone,
        title="wumu",
        subject=say("text", "subject", tag=say("tag", tone), rule="wumu", what=headline),
        sentence=say("text", "sentence_bare", what=headline),
        summary="" if word.over else say("trouble_hint", word.trouble.value, name=name),
        facts=(
            (say("label", "since"), moment(word.since_ms, time_zone)),
            (say("label", "detail"), visible(word.detail, 600)),
        ),
    )


def view_of_mark(mark: Mark, rules: Sequence[str], language: Language, time_zone: str) -> View:
    """The view of a message about a planned change with which the baselines of ``rules`` start anew."""
    say = words(language)
    headline = say("mark", "headline", name=visible(mark.name, VALUE_CHARACTERS))
    return View(
        language=language.value,
        tag=say("tag", "mark"),
        tone="info",
        title="wumu",
        subject=say("text", "subject", tag=say("tag", "mark"), rule="wumu", what=headline),
        sentence=say("text", "sentence_bare", what=headline),
        summary=say("mark", "summary"),
        facts=(
            (say("mark", "happened"), moment(mark.at_ms, time_zone)),
            (say("mark", "rules"), visible(", ".join(rules), RULES_CHARACTERS)),
        ),
    )


def what_was_seen(finding: Finding, say: Words) -> str:
    """The finding as a clause with its number."""
    details = finding.details
    duration = details.get("within_ms")
    return say(
        "what",
        finding.reason.value,
        observed=say.number(finding.observed, finding.unit),
        count=plain_number(finding.observed),
        value=visible(str(details.get("value") or details.get("label") or ""), VALUE_CHARACTERS),
        within=say("text", "within", duration=say.number(duration, "ms")) if isinstance(duration, (int, float)) else "",
        measure=_measure(finding, say),
        where=say.where(finding.key),
    )


def lasted_ms(alert: Alert, now_ms: int) -> int:
    """From the first finding to the end, or to ``now_ms`` while it lasts."""
    return max(0, (alert.resolved_at_ms or now_ms) - alert.active_at_ms)


def _headline(notice: Notice, say: Words) -> str:
    alert = notice.alert
    lasted = say.number(lasted_ms(alert, notice.decided_at_ms), "ms")
    if notice.occasion is Occasion.RESOLVED:
        peak = say.number(alert.peak.observed, alert.peak.unit)
        return say("text", "resolved", lasted=lasted, where=say.where(alert.key), peak=peak)
    what = what_was_seen(alert.finding, say)
    return say("text", "still", what=what, lasted=lasted) if notice.occasion is Occasion.REPEAT else what


def _sentence(notice: Notice, say: Words) -> str:
    alert = notice.alert
    if notice.occasion is Occasion.RESOLVED:
        lasted = say.number(lasted_ms(alert, notice.decided_at_ms), "ms")
        return say("text", "ended", lasted=lasted, peak=say.number(alert.peak.observed, alert.peak.unit))
    finding = alert.finding
    what = what_was_seen(finding, say)
    if what.split(maxsplit=1)[0].isalpha():  # the name of a field stays as it is
        what = what[:1].upper() + what[1:]
    expected = say.expected(finding.expected, finding.unit)
    return (
        say("text", "sentence", what=what, expected=expected) if expected else say("text", "sentence_bare", what=what)
    )


def _marked(mark: Mark, began_ms: int, say: Words) -> str:
    """``model v2 was marked 4m before.``"""
    name, before_ms = visible(mark.name, VALUE_CHARACTERS), began_ms - mark.at_ms
    if before_ms <= 0:
        return say("mark", "then", name=name)
    return say("mark", "before", name=name, duration=say.number(before_ms, "ms"))


def _measure(finding: Finding, say: Words) -> str:
    """``p95 of duration_ms``, as far as the detector tells it."""
    details = finding.details
    field = visible(str(details.get("field") or _FIELD_OF.get(finding.reason, finding.unit)), VALUE_CHARACTERS)
    percent, name = details.get("percent"), details.get("measure")
    if isinstance(percent, (int, float)):
        name = f"p{percent:g}"
    return (
        say("text", "measure", measure=visible(name, VALUE_CHARACTERS), field=field) if isinstance(name, str) else field
    )


def _facts(notice: Notice, finding: Finding, say: Words, time_zone: str) -> Iterable[tuple[str, str]]:
    alert = notice.alert
    yield say("label", "since"), moment(finding.since_ms, time_zone)
    if notice.occasion in (Occasion.RESOLVED, Occasion.REPEAT):
        yield say("label", "lasted"), say.number(lasted_ms(alert, notice.decided_at_ms), "ms")
    if notice.occasion is Occasion.RESOLVED:
        yield say("label", "peak"), say.number(alert.peak.observed, alert.peak.unit)
    else:
        yield say("label", "observed"), say.number(finding.observed, finding.unit)
    expected = say.expected(finding.expected, finding.unit)
    if expected:
        yield say("label", "expected"), expected
    if finding.chance_days is not None:
        yield say("chance", "label"), say.chance(finding.chance_days)
    usual = finding.details.get("usual")
    if isinstance(usual, (int, float)):
        yield say("label", "usual"), say.number(usual, finding.unit)
    for field, value in alert.key:
        yield field, visible(value, VALUE_CHARACTERS) if value is not None else "–"
    yield say("label", "decided"), moment(notice.decided_at_ms, time_zone)


def _suspect(suspect: Suspect, say: Words) -> str:
    share = suspect.bad / suspect.bad_total if suspect.bad_total else 0.0
    base = suspect.base / suspect.base_total if suspect.base_total else 0.0
    parts = [(suspect.field, suspect.value), *([suspect.also] if suspect.also is not None else [])]
    values = [say("text", "equals", field=field, value=visible(value, VALUE_CHARACTERS)) for field, value in parts]
    wording = "arrived" if suspect.arrived else "suspect"
    return say("text", wording, share=f"{share:.0%}", base=f"{base:.0%}", what=say("text", "together").join(values))


def _sample(event: Event, say: Words, time_zone: str) -> SampleView:
    more = [
        visible(event.reason or "", VALUE_CHARACTERS),
        visible(event.error or "", ERROR_CHARACTERS),
        say("text", "score", label=visible(event.top1_label, VALUE_CHARACTERS), score=f"{event.top1_score:.3g}")
        if event.top1_label is not None and event.top1_score is not None
        else "",
        say.number(event.duration_ms, "ms") if event.duration_ms is not None else "",
        visible(event.host or "", VALUE_CHARACTERS),
        visible(event.request_id or "", VALUE_CHARACTERS),
    ]
    return SampleView(
        time=moment(event.timestamp, time_zone),
        path=visible(event.file_path or "–", PATH_CHARACTERS),
        more=" · ".join(part for part in more if part),
    )


def _footer(notice: Notice, say: Words) -> Iterable[tuple[str, str]]:
    alert = notice.alert
    yield say("label", "alert"), alert.id
    yield say("label", "explain"), f"`wumu explain {quote(alert.rule_id)}`"
    yield say("label", "history"), f"`wumu alerts {quote(alert.id)}`"
    if isinstance(notice.rule.detector, Learner) and notice.occasion is not Occasion.RESOLVED:
        yield say("label", "normal"), f"`wumu expected {quote(alert.id)}`"
    yield say("label", "quiet"), say("label", "quiet_how", rule=alert.rule_id)


def _link(runbook: str | None) -> str | None:
    """The runbook, if it is a web address: anything else must not become a link."""
    return runbook if runbook and urlsplit(runbook).scheme in ("http", "https") else None
