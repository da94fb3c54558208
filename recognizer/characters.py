"""What is hidden in text: code points that draw nothing, reorder or control, and how text is shown without them.

Pure, standard library only.
"""

import re
from collections.abc import Iterable
from typing import Final

BIDI: Final = ((0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069))
CONTROL: Final = ((0x0001, 0x001F), (0x007F, 0x009F))
SPACES: Final = (
    (0x00A0, 0x00A0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
# Category Cf, and what else draws nothing: fillers, the blank braille cell, tags. Joiners and variation selectors
# are not here: they depend on their neighbours.
INVISIBLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x0600, 0x0605),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180E, 0x180E),
    (0x200B, 0x200B),
    (0x2060, 0x2065),
    (0x206A, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE001F),
    (0xE0080, 0xE00FF),
)
UNSAFE_RANGES: Final[tuple[tuple[int, int], ...]] = tuple(
    sorted((*BIDI, *CONTROL, *INVISIBLE, (0x0000, 0x0000), (0x200C, 0x200D), (0x2028, 0x2029)))
)
"""Inclusive code point ranges of invisible, bidi and control characters, for ``detectors.condition.AnyCharacter``.

A range knows no neighbours, so the joiner of a family emoji counts here; ``inspect`` lets it pass.
"""


def character_set(*ranges: tuple[int, int]) -> str:
    """Inclusive code point ranges as the inside of a character class."""
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


_EMOJI: Final = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_IDEOGRAPH: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Scripts whose spelling needs U+200C and U+200D: Arabic, the Indic ones, Myanmar, Khmer.
_JOINING: Final = r"\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff"
_TAGS: Final = r"\U000e0020-\U000e007f"
_DEPENDING: Final = rf"\u200c\u200d\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef{_TAGS}"
"""Joiners, variation selectors and tags: whether they mean something depends on their neighbours."""
_STRAY: Final = "|".join(
    (
        rf"(?<=\u200d)(?:(?<![{_EMOJI}\ufe0f{_JOINING}]\u200d)|(?![{_EMOJI}{_JOINING}]))",
        rf"(?<=\u200c)(?:(?<![{_JOINING}]\u200c)|(?![{_JOINING}]))",
        rf"(?<=[\ufe00-\ufe0f])(?<![{_EMOJI}{_IDEOGRAPH}0-9#*][\ufe00-\ufe0f])",
        r"(?<=[\u180b-\u180d\u180f])(?<![\u1820-\u18aa][\u180b-\u180d\u180f])",
        rf"(?<=[\U000e0100-\U000e01ef])(?<![{_IDEOGRAPH}][\U000e0100-\U000e01ef])",
        # the tag characters of the flags of England, Scotland and Wales follow a black flag
        rf"(?<=[{_TAGS}])(?<![\U0001f3f4{_TAGS}][{_TAGS}])[{_TAGS}]*",
    )
)
"""What stands behind one of those where it means nothing."""


def _always_or_stray(always: str) -> re.Pattern[str]:
    """The characters of the class ``always``, and those that depend on their neighbours where they mean nothing.

    It begins with one class of characters, to which the scanner skips; an alternative at each place takes four times
    as long.
    """
    return re.compile(f"[{always}{_DEPENDING}](?:(?<=[{always}])|{_STRAY})")


HIDDEN: Final = _always_or_stray(character_set(*INVISIBLE))
"""A character that draws nothing, a joiner or selector that stands where it means nothing."""
_NOT_SHOWN: Final = _always_or_stray(
    character_set((0, 0), *BIDI, *CONTROL, *SPACES, *INVISIBLE)
    + r"\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffc\ufffe\uffff\U000f0000-\U0010ffff"
)


def code_point(character: str) -> str:
    """``U+200B``; several characters are separated by a blank."""
    return " ".join(f"U+{ord(one):04X}" for one in character)


def visible(text: str, limit: int = 512) -> str:
    """The text with everything invisible, reordering, private or undecodable shown as ``‹U+200B›``.

    What comes back has at most ``limit`` characters of ``text``, is valid UTF-8 and a single line; a cut text
    ends in ``…``. Ordinary text of any script and emoji come back as they are.
    """
    cut = text[:limit]
    shown = _NOT_SHOWN.sub(lambda found: "".join(f"‹{code_point(one)}›" for one in found[0]), cut)
    return shown if len(text) <= limit else shown + "…"


def spliced(text: str, pieces: Iterable[tuple[int, int, str]]) -> str:
    """The text with each piece (start, end, what stands there instead), in ascending order."""
    parts, end = [], 0
    for start, stop, instead in pieces:
        parts += [text[end:start], instead]
        end = stop
    return "".join((*parts, text[end:]))
