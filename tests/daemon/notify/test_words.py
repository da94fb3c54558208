"""What messages are put together from: phrases, numbers with their units, times."""

import string

import pytest

from daemon.notify.words import moment, words
from daemon.watch import Trouble
from detectors.finding import Reason
from rules.model import Language


def test_both_languages_have_the_same_phrases() -> None:
    """Same sections, same keys, same braces: a phrase can't be missing in one language only."""

    def braces(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english, chinese = (words(language)._phrases for language in (Language.EN, Language.ZH))
    assert {section: set(entries) for section, entries in english.items()} == {
        section: set(entries) for section, entries in chinese.items()
    }
    for section, entries in english.items():
        for name, text in entries.items():
            assert braces(text) == braces(chinese[section][name]), (section, name)
    assert set(english["what"]) == set(Reason)
    assert set(english["trouble"]) == {*Trouble, "over"}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (850.0, "ms", "850 ms"),
        (1830.0, "ms", "1.83 s"),
        (750_000.0, "ms", "12m30s"),
        (0.125, "ratio", "12.5 %"),
        (0.2134, "score", "0.213"),
        (3.0, "events", "3 events"),
        (1.0, "pictures", "1 picture"),
        (12_345.0, "requests", "12,345 requests"),
        (1536.0, "bytes", "1.5 KiB"),
        (float("nan"), "ms", "?"),
        (float("-inf"), "ms", "-∞"),
        (2.5, "odd\nunit", "2.5 odd‹U+000A›unit"),
    ],
)
def test_numbers_with_their_unit(value: float, unit: str, shown: str) -> None:
    """Numbers are written for people, whatever they are."""
    assert words(Language.EN).number(value, unit) == shown


def test_times_no_calendar_holds() -> None:
    """A timestamp far off does not stop a message."""
    assert moment(0, "UTC") == "1970-01-01 00:00:00 UTC"
    assert moment(2**62, "UTC") == f"{2**62} ms"
