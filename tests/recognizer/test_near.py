"""Shortcuts in the search for a near name give what the long way gives."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer import near, sound
from recognizer.paths import clean

STEADY = settings(derandomize=True, deadline=None, max_examples=400)
CHARACTERS = st.sampled_from(
    [*string.ascii_letters, *string.digits, *"._- %+()'\"~$\\", *"é百灵\u200b\u212aßİſａ．\udce9\ufffd"]
)
NAMES = st.text(CHARACTERS, min_size=1, max_size=12)
PLAIN = st.text(st.sampled_from("aB9._-"), min_size=1, max_size=8)


@STEADY
@given(NAMES | PLAIN, st.lists(NAMES | PLAIN, max_size=8))
def test_the_same_letters_are_found(wanted: str, names: list[str]) -> None:
    same = near._letters(wanted)
    letters = sound.letters(wanted)
    assert (same is None) == (not letters)
    for name in [*names, wanted, wanted.upper(), wanted.replace("_", "-"), f"-{wanted}"]:
        if same is not None:
            assert same(name) == (sound.letters(name) == letters)


@STEADY
@given(NAMES | PLAIN, st.lists(NAMES | PLAIN, max_size=8))
def test_the_same_name_when_cleaned_is_found(wanted: str, names: list[str]) -> None:
    same = near._cleaned(wanted)
    for name in [*names, wanted, f"{wanted}\u200b", f" {wanted}"]:
        assert same(name) == (clean(name) == wanted)


@STEADY
@given(NAMES | PLAIN, NAMES | PLAIN)
def test_the_same_numbers_are_found(wanted: str, name: str) -> None:
    assert near._same_numbers(wanted)(name) == (near._numbers(wanted) == near._numbers(name))
