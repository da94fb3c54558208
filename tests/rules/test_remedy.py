"""The remedy that fits, filled in with values that nobody can break out of: commands run in a real bash."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.condition import AnyCharacter, all_of, equals
from detectors.finding import Evidence, Finding, Reason
from detectors.frame import Interval
from recognizer.events import Event
from rules.model import Language
from rules.remedy import Remedy, choose
from rules.shell import quote
from rules.where import parse as parse_where
from tests.support.findings import finding

HOSTILE = (
    "it's",
    'say "x"',
    "$(touch canary)",
    "`touch canary`",
    "; touch canary;",
    "| touch canary",
    "a\ntouch canary\n",
    "a' ; touch canary ; '",
    "a\\' ; touch canary #",
    "${IFS}touch${IFS}canary",
    "!! !touch",
    "-rf",
    "--help",
    "~root",
    "* ? [a-z] {a,b}",
    "\udce9\udcff",
    "tab\tand\x1b[31mred",
    "\u200b\ufeff\u202e",
    "=ls",
    "",
)


def event(path: str | None = None, **given: object) -> Event:
    return Event(timestamp=1, event_type="input_error", file_path=path, **given)  # type: ignore[arg-type]


def streak(value: str) -> Finding:
    return finding(1_000_000, details={"value": value})


def drift() -> Finding:
    return finding(1_000_000, reason=Reason.LATENCY_SHIFT, details={})


def echoed(words: list[str], tmp_path: Path, **environment: str) -> list[bytes]:
    """What a real bash takes the words for."""
    script = "printf '%s\\0' " + " ".join(words)
    out = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=True)
    return out.stdout.split(b"\0")[:-1]


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_quoting_in_a_real_bash(tmp_path: Path, locale: str) -> None:
    """Every hostile value arrives as the one argument it is, in a UTF-8 locale and in none."""
    words = [word for text in HOSTILE if (word := quote(text)) is not None]
    assert echoed(words, tmp_path, LC_ALL=locale) == [as_bytes(text) for text in HOSTILE]
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
        min_size=1,
        max_size=40,
    )
)
def test_any_text_survives_quoting(texts: list[str]) -> None:
    """Quoted and read back by bash, any text is itself; the quoted form holds nothing invisible and no line break."""
    words = [str(quote(text)) for text in texts]
    script = "printf '%s\\0' " + " ".join(words)
    out = subprocess.run(["bash", "-c", script], env={"LC_ALL": "C"}, capture_output=True, check=True).stdout
    assert out.split(b"\0")[:-1] == [as_bytes(text) for text in texts]
    assert all(word.isprintable() for word in words)


def test_a_nul_has_no_quoted_form() -> None:
    """No argument of a program can hold one."""
    assert quote("a\0b") is None


def test_the_reason_of_the_streak_picks_the_page() -> None:
    """A streak names its reason; the page is that reason's."""
    remedy = choose(streak("file_empty"), [event("/a.jpg", reason="file_missing")], Language.EN)
    assert remedy.reason == "file_empty"


def test_the_most_frequent_reason_of_the_samples_picks_the_page() -> None:
    """Without a named reason the majority of the bad events decides."""
    samples = [event("/a.jpg", reason=reason) for reason in ("image_tiny", "file_empty", "file_empty")]
    assert (
        choose(finding(1_000_000, reason=Reason.RATIO_TOO_HIGH, details={}), samples, Language.ZH).reason
        == "file_empty"
    )


def test_the_path_explains_a_foreign_error() -> None:
    """A service that gives no reason: its path's own fault does."""
    samples = [event("/srv/a\u200b.jpg", error="imread returned None", reason="unspecified")]
    assert choose(streak("unspecified"), samples, Language.EN).reason == "path_invisible_character"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [([event("/srv/a.jpg", reason="unspecified")], "unspecified"), ([], "error_streak"), ([event()], "error_streak")],
)
def test_without_a_cause_the_finding_decides(samples: list[Event], expected: str) -> None:
    """The page of the finding itself, or of an error without a reason."""
    assert choose(finding(1_000_000, details={"value": "ENOENT"}), samples, Language.EN).reason == expected


@pytest.mark.parametrize(
    ("where", "given", "expected"),
    [
        ('tensor_issues: "tensor_cropped"', {"tensor_issues": ["tensor_cropped"]}, "tensor_cropped"),
        ("dropped_before > 0", {"dropped_before": 3}, "event_gap"),
        ("dropped_before > 0", {}, "value_too_high"),
        ('event_type: "model_checked"', {"reason": "tensor_layout"}, "tensor_layout"),
        ("duration_ms > 9", {"tensor_issues": ["tensor_cropped"], "dropped_before": 3}, "value_too_high"),
    ],
)
def test_what_a_rule_asks_about_tensors_and_gaps_picks_the_page(
    where: str, given: dict[str, object], expected: str
) -> None:
    asked = parse_where(where)
    found = finding(
        1_000_000,
        reason=Reason.VALUE_TOO_HIGH,
        details={},
        evidence=Evidence(Interval(0, 1_000_000), bad=asked),
    )
    sample = Event(timestamp=1, event_type="preprocess_complete", **given)  # type: ignore[arg-type]
    assert choose(found, [sample], Language.EN).reason == expected


def test_slow_pictures_with_odd_names_are_still_a_latency_matter() -> None:
    """A path's fault explains errors, not durations."""
    slow = Event(timestamp=1, event_type="inference_complete", file_path="/srv/a\u200b.jpg", duration_ms=900.0)
    assert choose(drift(), [slow], Language.EN).reason == "latency_shift"


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("language", list(Language))
def test_every_finding_has_a_remedy_without_samples(reason: Reason, language: Language) -> None:
    """A store that is down while the mail is written costs the examples, not the advice."""
    remedy = choose(finding(1_000_000, reason=reason, details={}), [], language)
    assert remedy.steps
    assert "{{" not in f"{remedy}"


def invisible(tmp_path: Path) -> tuple[Path, Path, Remedy]:
    faulty, clean = tmp_path / "百灵 'x'\u200b.jpg", tmp_path / "百灵 'x'.jpg"
    remedy = choose(streak("path_invisible_character"), [event(str(faulty))], Language.EN, lambda p: Path(p).exists())
    return faulty, clean, remedy


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_rename_works_on_a_real_file(tmp_path: Path, locale: str) -> None:
    """Pasted into bash, the command gives the file its clean name, whatever the locale."""
    faulty, clean, _ = invisible(tmp_path)
    faulty.write_bytes(b"picture")
    _, _, remedy = invisible(tmp_path)
    assert remedy.command is not None
    subprocess.run(
        ["bash", "-c", remedy.command], env={"LC_ALL": locale, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert clean.read_bytes() == b"picture"
    assert not faulty.exists()
    assert any("A file exists under the faulty name itself" in fact for fact in remedy.checked)


def test_the_rename_never_overwrites(tmp_path: Path) -> None:
    """With a file at both names, both stay as they are."""
    faulty, clean, remedy = invisible(tmp_path)
    faulty.write_bytes(b"faulty")
    clean.write_bytes(b"good")
    subprocess.run(["bash", "-c", str(remedy.command)], capture_output=True, check=False)
    assert (faulty.read_bytes(), clean.read_bytes()) == (b"faulty", b"good")


def test_character_position_and_cleaned_path_are_named(tmp_path: Path) -> None:
    """The remedy says which character it is, where it stands, and that a file exists at the cleaned path."""
    _, clean, _ = invisible(tmp_path)
    clean.write_bytes(b"good")
    faulty, _, remedy = invisible(tmp_path)
    facts = "\n".join(remedy.checked)
    position = str(faulty).index("\u200b") + 1
    assert f"Character {position} of {len(str(faulty))} is U+200B ZERO WIDTH SPACE" in facts
    assert f"A file exists at the cleaned path {clean}" in facts
    assert "‹U+200B›" in facts
    assert "\u200b" not in f"{remedy}"


def test_the_event_knows_better_than_the_daemon() -> None:
    """Whether the cleaned file exists is told by the machine that has it; the daemon's disk is not asked."""
    there = event("/srv/a\u200b.jpg", path_cleaned="/srv/a.jpg", path_cleaned_exists=True)
    facts = choose(streak("path_invisible_character"), [there], Language.ZH, lambda _: False).checked
    assert "清理后的路径 /srv/a.jpg 处有文件" in facts


@pytest.mark.parametrize("language", list(Language))
def test_the_existing_file_that_the_recognizer_found_is_named_and_only_looked_at(language: Language) -> None:
    """An event's word is shown and listed, never the target of a rename; what is hidden in it is visible."""
    told = event("/srv/photo.png", reason="path_case_mismatch", path_suggested="/srv/Photo\u202e.PNG")
    remedy = choose(streak("path_case_mismatch"), [told], language)
    assert any("/srv/Photo‹U+202E›.PNG" in fact for fact in remedy.checked)
    assert remedy.command is not None
    assert "ls -lb -- $'/srv/Photo\\xe2\\x80\\xae.PNG'" in remedy.command
    assert "mv " not in remedy.command


def test_a_forged_cleaned_path_is_not_used() -> None:
    """Whoever writes log lines can't choose where a rename goes."""
    forged = event("/srv/a\u200b.jpg", path_cleaned="/etc/cron.d/evil", path_cleaned_exists=True)
    assert "cron" not in f"{choose(streak('path_invisible_character'), [forged], Language.EN)}"


@pytest.mark.parametrize("path", ["/up/..%2f..%2fetc%2fcron.d%2fx", " /etc/cron.d/x"])
def test_a_rename_stays_in_its_folder(path: str) -> None:
    """Decoding a name must not make it climb: such a rename is not offered."""
    remedy = choose(streak("path_percent_encoded"), [event(path)], Language.EN)
    assert "mv " not in (remedy.command or "")


def test_a_folder_named_like_an_option_is_no_option(tmp_path: Path) -> None:
    """`find -delete` must not come out of a folder that is called -delete."""
    (tmp_path / "keep").write_bytes(b"")
    (tmp_path / "-delete").mkdir()
    remedy = choose(streak("file_empty"), [event("-delete/a.jpg")], Language.EN)
    assert remedy.command is not None
    subprocess.run(["bash", "-c", remedy.command], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "keep").exists()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("reason", ["path_invisible_character", "file_missing", "image_truncated", "unsafe_path"])
def test_no_value_breaks_out_of_a_command(tmp_path: Path, text: str, reason: str) -> None:
    """The whole command, run for real with hostile path, host and folder, touches nothing."""
    (tmp_path / "canary-guard").write_bytes(b"")
    sample = event(f"{tmp_path}/{text}/x.jpg", host=text, request_id=text, file_dir=text)
    command = choose(streak(reason), [sample], Language.EN).command
    harmless = "wumu() { :; }; ssh() { :; }; ping() { :; }; findmnt() { :; }\n"
    subprocess.run(
        ["bash", "-c", harmless + (command or "")], cwd=tmp_path, capture_output=True, check=False, timeout=30
    )
    assert [path.name for path in tmp_path.iterdir()] == ["canary-guard"]


def test_lines_without_a_value_are_left_out() -> None:
    """No request id: no trace line, and no empty one either."""
    remedy = choose(streak("file_missing"), [event("/srv/a.jpg")], Language.EN)
    assert remedy.command is not None
    assert "wumu trace" not in remedy.command
    assert "" not in remedy.command.splitlines()


def test_a_path_with_nul_gives_only_the_cleaned_one() -> None:
    """What no shell can write is not offered to be pasted."""
    command = choose(streak("path_nul"), [event("/srv/a\0.jpg")], Language.EN).command
    assert command is not None
    assert "/srv/a.jpg" in command


def test_the_query_is_kql_that_finds_the_bad_events() -> None:
    """The pasted filter is read back; ranges of characters, which KQL lacks, are left out of it."""
    bad = all_of(equals("event_type", "input_start"), AnyCharacter("file_path", ((0x200B, 0x200F),)))
    found = finding(
        1_000_000,
        reason=Reason.UNSAFE_PATH,
        details={},
        key=(("host", 'g"pu'), ("http_status", "500")),
        evidence=Evidence(Interval(0, 1), bad=bad),
    )
    remedy = choose(found, [], Language.EN)
    assert remedy.command is not None
    line = next(line for line in remedy.command.splitlines() if line.startswith("wumu query"))
    kql = subprocess.run(
        ["bash", "-c", f'wumu() {{ printf %s "$2"; }}; {line}'], capture_output=True, check=True, text=True
    ).stdout
    assert "any of" not in kql
    assert parse_where(kql)
