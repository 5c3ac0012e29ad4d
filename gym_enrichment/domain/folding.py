"""Text without case and accents, so that words compare; positions stay those of the text. No vocabulary here."""

import re
import unicodedata
from functools import lru_cache

MARK = "\u0640"
"""Stands for every combining mark in folded text: a word character (tatweel) that readers drop."""

_SPECIAL = {"œ": "o", "æ": "a", "ø": "o", "ß": "s", "ð": "d", "þ": "t", "ł": "l", "ı": "i", "ؤ": "و", "ئ": "ي"}
_ARABIC = {"ة": "ه", "ى": "ي", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا"}
_NO_WORD = re.compile(r"(\W+)")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def _fold_table() -> dict[int, str]:
    table: dict[int, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x300, 0x370), *range(0x610, 0x6E0), *range(0x1E00, 0x1F00)):
        char = chr(code)
        lower = char.lower() if len(char.lower()) == 1 else unicodedata.normalize("NFD", char.lower())[0]
        if unicodedata.combining(char):
            table[code] = MARK
        else:
            base = unicodedata.normalize("NFD", lower)[0]
            table[code] = _SPECIAL.get(lower) or _ARABIC.get(lower) or base
    return table


_FOLD = _fold_table()


def fold(text: str) -> str:
    """Lower case without accents, Arabic letters unified, the length and every position kept."""
    if text.isascii():
        return text.lower()
    lowered = text.lower()
    if len(lowered) != len(text):  # "İ" grows when lowered
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return _FOREIGN.sub(lambda run: run[0].translate(_FOLD), lowered)


@lru_cache(maxsize=64)
def pieces(folded: str) -> tuple[str, ...]:
    """Words at even places, what separates them at odd ones (the first and the last word may be empty).

    The last texts are remembered: whoever reads a text asks for them in turn.
    """
    return tuple(_NO_WORD.split(folded))
