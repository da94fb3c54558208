"""Every reason is whole: a real input that has it, a remedy, a place that finds it, fields, a rule that asks for it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli.check import command as check
from daemon.reason_table import EXAMPLES, example_of, examples, finders, table
from recognizer.events import FIELD_NAMES
from recognizer.hints import HINTS
from recognizer.reasons import InputReason
from recognizer.taxonomy import TAXONOMY
from rules.model import Language
from rules.remedy_pages import page
from tests.support.pages import ROOT
from tests.support.reasons import events, images, models, paths

CASES = {**paths.CASES, **images.CASES, **models.CASES, **events.CASES}
ROWS = [
    f"{letter}{number}"
    for letter, count in {"P": 30, "F": 9, "I": 24, "T": 10, "M": 5, "E": 3}.items()
    for number in range(1, count + 1)
]


@pytest.mark.parametrize("reason", InputReason)
def test_a_real_input_shows_it(reason: InputReason, tmp_path: Path) -> None:
    """A reason without a case has no key here."""
    assert reason in list(CASES[reason](tmp_path))


@pytest.mark.parametrize("reason", InputReason)
def test_it_has_all_that_a_reason_needs(reason: InputReason) -> None:
    """A row, modules that give it, fields of the contract, a rule, a hint, a remedy in both languages."""
    entry = TAXONOMY[reason]
    assert entry.rows or reason is InputReason.UNSPECIFIED
    assert {*entry.details, *(told.field for told in entry.told)} <= set(FIELD_NAMES)
    assert finders(ROOT)[reason]
    assert example_of(ROOT, reason) is not None
    assert HINTS[reason]
    assert all(page(reason, language).title for language in Language)


def test_no_row_of_the_taxonomy_is_left_out() -> None:
    """Nor is a case, an entry or a hint left behind by a reason that is gone."""
    assert sorted({row for entry in TAXONOMY.values() for row in re.findall(r"\w+", entry.rows)}) == sorted(ROWS)
    assert set(CASES) == set(TAXONOMY) == set(InputReason)


@pytest.mark.parametrize("language", Language)
def test_the_table_has_a_row_for_each(language: Language) -> None:
    lines = table(ROOT, language).splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == list(InputReason)
    assert {line.count(" | ") for line in lines} == {7}


def test_a_link_of_the_table_leads_to_its_remedy() -> None:
    remedies = (ROOT / "docs" / "reference" / "remedies.md").read_text(encoding="utf-8")
    for anchor in re.findall(r"\(remedies\.md#(\w+)\)", table(ROOT, Language.EN)):
        assert f"\n## `{anchor}`\n" in remedies


def test_wumu_check_has_nothing_to_say_of_the_example_rules() -> None:
    files = [str(ROOT / "docs" / "how-to" / name) for name in EXAMPLES]
    result = CliRunner().invoke(check, files)
    assert result.exit_code == 0
    assert result.output.count("no problems") == len(files)


def test_no_example_rule_is_idle() -> None:
    """Each is the first that asks for some reason, but for the one about scores, which no reason names."""
    used = {found.rule.id for reason in InputReason if (found := example_of(ROOT, reason)) is not None}
    assert {one.rule.id for one in examples(ROOT)} - used == {"scores-are-no-probabilities"}
