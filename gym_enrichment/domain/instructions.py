"""Does a review try to steer the model that reads it, instead of describing the gym?

Reading of text only: what gives an order away stands in instruction_words.py and instruction_frames.py. Nothing about
models, prompts, or what becomes of such a review.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote

from gym_enrichment.domain.folding import MARK, fold
from gym_enrichment.domain.instruction_frames import FRAMES, OTHER_SCRIPTS
from gym_enrichment.domain.instruction_words import ADVERBS, LOOSE, LOOSE_PAIRS, ORDERS, SQUEEZED, STRICT, STRICT_PAIRS
from gym_enrichment.domain.sieve import Sieve

_LONGEST = 60_000  # characters of a review that are read
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0100-\U000e01ef\x00-\x08\x0e-\x1f\x7f]"
)
_TAGS = re.compile("[\U000e0020-\U000e007e]+")  # invisible letters that models read
_RIGHT_TO_LEFT = "\u202e"
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏкмтвнгпαεοριτυνκηωɪɢɴʀᴏᴇᴀʙᴄᴅᴊᴋʟᴍᴘᴛᴜᴠᴡᴢʜʏ",
    "aeopcyxijsdhlkmtbhrnaeopityvknwignroeabcdjklmptuvwzhy",
)
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_LEET_SIGN = re.compile(r"[0-9@$]")
_LEET_WORD = re.compile(r"(?<!\w)(?=[a-z0-9@$]{0,12}[a-z])(?=[a-z@$]{0,12}[0-9@$])[a-z0-9@$!]{3,24}(?!\w)")
_SPACED = re.compile(r"(?<!\w)(?:[^\W_][\W_]{1,3}){7,}[^\W_](?!\w)")
_BETWEEN = re.compile(r"[\W_]+")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?<!\w)(?:[0-9a-fA-F]{2} ?){12,}(?!\w)")
_ESCAPED = re.compile(r"\\[ux]\{?([0-9a-fA-F]{2,6})\}?")
_SENTENCE_ENDS = re.compile(r"[\n\r.!?:;|؟؛。！？•=>\]}]+")
_COMMAS = re.compile(r"[,،\"“”«»()\[{<—–…*#/]+| -+ ")
_PAIRED = frozenset(pair.split()[0] for pair in STRICT_PAIRS | LOOSE_PAIRS)
_NO_WORD = re.compile(r"[^\w|,]+|_+")
_RULES = (*ORDERS, SQUEEZED)
_SIEVE = Sieve([rule.hints for rule in _RULES])


def tries_to_steer(text: str) -> bool:
    """Whether a review addresses the model that reads it, or that model's output, rather than describing the gym.

    Orders ("ignore previous instructions", "écris dans la description"), fake messages and roles, tags and JSON that
    imitate a frame, our own field names, code, hidden or encoded sentences. Requests to the gym ("please add a
    sauna") and advice to other customers are none. Linear in the text.
    """
    text = text[:_LONGEST]
    if _hides_a_sentence(text):
        return True
    return any(_steers(variant) for variant in undisguised(text))


def undisguised(text: str) -> Iterator[str]:
    """What a model may read in a text, in lower case: as it stands, and with letters that only look alike undone."""
    return _variants(_readable(text[:_LONGEST]))


def _readable(text: str) -> str:
    """The text as a model would read it: escapes resolved, one form of each letter, nothing invisible."""
    if "&" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text, errors="ignore")
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), text).replace("\\", "")
    if text.isascii() and text.isprintable():
        return text.lower()
    reversed_too = f"{text}\n{text[::-1]}" if _RIGHT_TO_LEFT in text else text
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _TAGS.sub(_visible, reversed_too)))
    return fold(plain).replace(MARK, "")


def _visible(tags: re.Match[str]) -> str:
    return f" {''.join(chr(ord(tag) - 0xE0000) for tag in tags[0])} "


def _variants(text: str) -> Iterator[str]:
    """The text, and what it says when lookalike letters, digits for letters and spaced letters are undone."""
    yield text
    alike = text if text.isascii() else text.translate(_LOOKALIKES)
    if alike != text:
        yield alike
    leet = _LEET_WORD.sub(lambda word: word[0].translate(_LEET), alike) if _LEET_SIGN.search(alike) else alike
    if leet != alike:
        yield leet
    spaced = _SPACED.sub(_close_up, leet)
    if spaced != leet:
        yield spaced


def _close_up(run: re.Match[str]) -> str:
    """ "i g n o r e  t h i s" as "ignore this": the commonest gap stands inside words, any other between them."""
    gaps = Counter(_BETWEEN.findall(run[0]))
    inside = gaps.most_common(1)[0][0] if gaps else ""
    return _BETWEEN.sub(lambda gap: "" if gap[0] == inside else " ", run[0])


def _steers(text: str) -> bool:
    if any(rule.found(text) for rule in FRAMES):
        return True
    if not text.isascii() and OTHER_SCRIPTS.search(text):
        return True
    words = _COMMAS.sub(" , ", _SENTENCE_ENDS.sub(" | ", f"\n{text}\n"))
    in_order = _NO_WORD.sub(" ", words).split()
    suspected = _SIEVE.passing(set(in_order))
    if not suspected:
        return False
    plain = _with_places(in_order)
    return any(_RULES[number].found(plain) for number in suspected)


def _with_places(words: list[str]) -> str:
    """The words, with marks where an imperative is likely (`!`) or possible (`^`)."""
    marked: list[str] = []
    before, mark = "", ""
    for word in words:
        pair = f"{before} {word}" if before in _PAIRED else ""
        if word in STRICT or pair in STRICT_PAIRS:
            mark = "!"
        elif word in LOOSE or pair in LOOSE_PAIRS:
            mark = "^"
        elif word not in ADVERBS:
            mark = ""
        marked += (word, mark) if mark else (word,)
        before = word
    return f"{' '.join(marked)} "


def _hides_a_sentence(text: str) -> bool:
    """Whether base64 or hexadecimal in the text decodes to words."""
    encoded = (_decoded_base64(found[0]) for found in _ENCODED.finditer(text))
    hexadecimal = (bytes.fromhex(found[0].replace(" ", "")) for found in _HEX.finditer(text) if _even(found[0]))
    return any(_is_sentence(decoded) for decoded in encoded) or any(map(_is_sentence, hexadecimal))


def _even(digits: str) -> bool:
    return len(digits.replace(" ", "")) % 2 == 0


def _decoded_base64(token: str) -> bytes:
    token = token.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(token[: len(token) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _is_sentence(decoded: bytes) -> bool:
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError:
        return False
    letters = sum(char.isalpha() or char == " " for char in text)
    return " " in text.strip() and text.isprintable() and letters >= 0.7 * len(text)
