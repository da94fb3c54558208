"""Every reason has a page in every language, whose commands are sound."""

import re
import subprocess
from pathlib import Path

import pytest

from rules.model import Language
from rules.remedy_pages import PLACEHOLDERS, REASONS, fill, page, parse, reference
from rules.shell import quote

EVERY = [(reason, language) for reason in REASONS for language in Language]
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(("reason", "language"), EVERY)
def test_each_reason_has_a_page(reason: str, language: Language) -> None:
    """The page can be read, has steps, and is written in its language."""
    one = page(reason, language)
    assert len(one.steps) >= 2
    assert one.cause
    assert one.verify
    written = f"{one.title}{one.cause}{one.verify}{''.join(one.steps)}"
    assert bool(HAN.search(one.title)) == (language is Language.ZH)
    assert len(HAN.findall(written)) > 30 or language is Language.EN


@pytest.mark.parametrize("reason", REASONS)
def test_both_languages_give_the_same_commands(reason: str) -> None:
    """What to type does not depend on the language of the mail."""
    assert page(reason, Language.EN).command == page(reason, Language.ZH).command
    assert len(page(reason, Language.EN).steps) == len(page(reason, Language.ZH).steps)


def test_no_page_without_a_reason() -> None:
    """A page that no reason asks for is dead text."""
    for language in Language:
        folder = Path(__file__).parents[2] / "rules" / "remedies" / language.value
        assert sorted(path.stem for path in folder.glob("*.md")) == sorted(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_commands_parse(reason: str) -> None:
    """bash reads every command line, with plain and with hostile values in it."""
    for value in ("/srv/a.jpg", "/srv/it's $(x) `y`; \u200b\n\"\\"):
        word = quote(value)
        assert word is not None
        lines = [fill(line, dict.fromkeys(PLACEHOLDERS, word)) for line in page(reason, Language.EN).command]
        checked = subprocess.run(
            ["bash", "-n"], input="\n".join(map(str, lines)).encode(), capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr.decode()


@pytest.mark.parametrize("reason", REASONS)
def test_cause_and_verify_need_no_value(reason: str) -> None:
    """Only steps and commands may be left out where a value is not known."""
    for language in Language:
        one = page(reason, language)
        assert "{{" not in one.title + one.cause + one.verify


def test_nfkc_is_never_offered_against_invisible_characters() -> None:
    """NFKC keeps U+200B; the page says so and gives what works."""
    text = page("path_invisible_character", Language.EN)
    assert "NFKC normalisation does not remove it" in text.cause
    assert "category(c) != 'Cf'" in " ".join(text.steps)


def test_the_reference_is_up_to_date() -> None:
    """docs/reference/remedies.md is what `python -m rules.remedy_pages` prints."""
    written = (Path(__file__).parents[2] / "docs" / "reference" / "remedies.md").read_text(encoding="utf-8")
    assert written == reference()


GOOD = "# T\n\n## Cause\n\nc\n\n## Steps\n\n1. a\n2. b\n\n## Command\n\n```sh\nls {{path}}\n```\n\n## Verify\n\nv\n"


def test_the_structure_is_read() -> None:
    """Title, cause, steps, command, verify."""
    one = parse(GOOD, "r", Language.EN)
    assert (one.title, one.cause, one.steps, one.command, one.verify) == ("T", "c", ("a", "b"), ("ls {{path}}",), "v")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## Cause", "## Why", "headings"),
        ("{{path}}", "{{paht}}", "unknown placeholders"),
        ("# T\n", "", "not of the form"),
        ("## Verify", "Verify", "headings"),
    ],
)
def test_a_page_that_departs_is_refused(old: str, new: str, says: str) -> None:
    """A mistake in a page is told when it is read, not in a mail."""
    with pytest.raises(ValueError, match=says):
        parse(GOOD.replace(old, new), "r", Language.EN)


def test_an_unknown_reason_has_no_page() -> None:
    """Nor can a reason climb out of the folder."""
    with pytest.raises(KeyError):
        page("../../pyproject", Language.EN)
