"""What counts as hidden is found by one expression made for speed; here the rules stand one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.characters import HIDDEN, INVISIBLE, visible

EMOJI, IDEOGRAPH, ARABIC, INDIC, MONGOLIAN, FLAG = "\U0001f600", "百", "\u0627", "\u0915", "\u1820", "\U0001f3f4"
JOINER, NON_JOINER, SELECTOR, MONGOLIAN_SELECTOR = "\u200d", "\u200c", "\ufe0f", "\u180b"
IDEOGRAPHIC_SELECTOR, TAGS = "\U000e0100", "\U000e0067\U000e007f"
CHARACTERS = st.sampled_from(
    EMOJI + IDEOGRAPH + ARABIC + INDIC + MONGOLIAN + FLAG + JOINER + NON_JOINER + SELECTOR + MONGOLIAN_SELECTOR
    + IDEOGRAPHIC_SELECTOR + TAGS + "a1#/.\u200b\ufeff\u3164\u00ad\U000e0001"
)  # fmt: skip


def hidden_at(text: str) -> list[int]:
    """Each character by itself, with those beside it."""
    found = []
    in_flag = False
    for at, one in enumerate(text):
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        in_flag = one in TAGS and (before == FLAG or (in_flag and before in TAGS))
        joins = {ARABIC, INDIC}
        means = {
            JOINER: before in {EMOJI, FLAG, SELECTOR, *joins} and after in {EMOJI, FLAG, *joins},
            NON_JOINER: before in joins and after in joins,
            SELECTOR: before in {EMOJI, FLAG, IDEOGRAPH, "1", "#"},
            MONGOLIAN_SELECTOR: before == MONGOLIAN,
            IDEOGRAPHIC_SELECTOR: before == IDEOGRAPH,
            **dict.fromkeys(TAGS, in_flag),
        }
        always = any(low <= ord(one) <= high for low, high in INVISIBLE)
        if always or not means.get(one, True):
            found.append(at)
    return found


@settings(derandomize=True, deadline=None, max_examples=1_000)
@given(st.text(CHARACTERS, max_size=8))
def test_a_hidden_character_is_found_by_its_own_rule_and_its_neighbours(text: str) -> None:
    found = [at for match in HIDDEN.finditer(text) for at in range(*match.span())]
    assert found == hidden_at(text)
    assert visible(text).count("‹") == len(found)
