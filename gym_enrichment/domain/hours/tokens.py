"""One line of opening hours cut into tokens: days, times, closed, separators.

Knows the words of English, French, Spanish, Arabic and OSM hours, not how they combine.
"""

import re
import unicodedata
from typing import Literal, NamedTuple

from gym_enrichment.domain.hours.clock import Clock, Half
from gym_enrichment.domain.hours.week import DAYS_PER_WEEK, HoursError

Kind = Literal["day", "every day", "clock", "all day", "closed", "unknown", "dash", "comma", "and", "colon", "except"]

PUBLIC_HOLIDAY = DAYS_PER_WEEK  # OSM's PH, kept as an eighth day while reading

# Spanish "ma" and "do" are left out: they are Monday and Thursday in Dutch.
_DAY_NAMES = (
    "monday lundi lunes mon lun mo lu الاثنين الاتنين",
    "tuesday mardi martes tues tue mar tu الثلاثاء",
    "wednesday mercredi miercoles weds wed mer mie we mi الاربعاء",
    "thursday jeudi jueves thurs thur thu jeu jue th ju الخميس",
    "friday vendredi viernes fri ven vie fr vi الجمعه",
    "saturday samedi sabado sat sam sab sa السبت",
    "sunday dimanche domingo sun dim dom su الاحد",
    "ph",
)
DAY_NUMBERS = {name: number for number, names in enumerate(_DAY_NAMES) for name in names.split()}


class Token(NamedTuple):
    """One token: its kind, its text as written, and the day or the time it stands for."""

    kind: Kind
    text: str
    day: int = -1
    clock: Clock | None = None


def _day_pattern() -> str:
    # Longest first, so that "monday" is not read as "mon". Names of three letters and more may be fused with
    # what follows ("MondayClosed"); OSM's two letters may not, they begin too many other words.
    names = sorted(DAY_NUMBERS, key=len, reverse=True)
    full = "|".join(name + "s?" for name in names if len(name) > 4)
    short = "|".join(name for name in names if 2 < len(name) < 5)
    two = "|".join(name for name in names if len(name) == 2)
    return rf"(?:{full}|{short}|(?<![a-z])(?:{two})(?![a-z]))\.?"


# Tried in this order at each place of the line: every alternative is short and none is nested, so that a
# line costs time in proportion to its length.
_TOKEN = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in (
            ("space", r"\ +"),
            # Words that add nothing to the days and times around them ("du lundi au", "Open 24 hours").
            (
                "filler",
                r"(?<![a-z])(?:du|desde|des|del|de|les|le|los|las|el|from|hs|hrs|horas)(?![a-z])"
                r"|open|ouverte?(?![a-z])|abierto(?![a-z])|(?<![ء-ي])(?:من|يوم|ايام|الساعه|مفتوح)(?![ء-ي])",
            ),
            (
                "every_day",
                r"every ?day|daily|tous les jours|7 ?j(?:ours)? ?(?:/|sur) ?7(?: ?j)?(?![a-z0-9])|7/7"
                r"|todos los dias|كل يوم|كل الايام|يوميا",
            ),
            (
                "all_day",
                r"(?<![0-9])24 ?(?:(?:h(?:eures)?)? ?(?:/|sur) ?24(?: ?h(?![a-z]))?"
                r"|/ ?7|hours?|heures?|horas|hrs|ساعه)(?![a-z0-9])",
            ),
            ("noon", r"(?:12(?::00)? )?(?:noon|midi(?![a-z])|mediodia)"),
            ("midnight", r"(?:12(?::00)? )?(?:midnight|minuit|medianoche)"),
            (
                "clock",
                r"(?<![0-9:])(?<![0-9]\.)(?P<hour>[0-9]{1,2})"
                r"(?:(?P<mark>[:.])(?P<minute>[0-9]{2})"
                r"|(?P<h>\ ?h(?:eures?)?(?![a-z]))(?:\ ?(?P<after_h>[0-9]{2})(?!\ ?(?:[:h0-9]|[ap]\.?m)))?)?"
                r"(?![0-9])"
                r"(?:\ ?(?:(?P<half>[ap])\.? ?m\.?(?![a-z])|(?P<arabic_half>[صم])(?![ء-ي])))?",
            ),
            (
                "except",
                r"(?<![a-z])(?:except(?: for| on)?|sauf|excepte|hormis|hors|salvo|excepto)(?![a-z])"
                r"|(?<![ء-ي])(?:ما ?عدا|عدا|الا)(?![ء-ي])",
            ),
            ("closed", r"closed|fermee?|cerrad[oa]|(?<![a-z])off(?![a-z])|مغلقه?(?![ء-ي])"),
            ("unknown", r"(?<![a-z])unknown(?![a-z])"),
            ("day", _day_pattern()),
            ("dash", r"-|(?<![a-z])(?:to|through|until|au|al|a|hasta)(?![a-z])|(?<![ء-ي])(?:الي|حتي)(?![ء-ي])"),
            ("comma", r","),
            ("and", r"[&/]|(?<![a-z])(?:and|et|y)(?![a-z])|(?<![ء-ي])و"),
            ("colon", r":"),
        )
    )
)

_SIMPLE_KINDS: dict[str, Kind] = {
    "every_day": "every day",
    "all_day": "all day",
    "closed": "closed",
    "unknown": "unknown",
    "dash": "dash",
    "comma": "comma",
    "and": "and",
    "colon": "colon",
    "except": "except",
}

_HALVES: dict[str, Half] = {"a": "am", "ص": "am", "p": "pm", "م": "pm"}

_DASHES = "‐‑‒–—―−~～〜﹣－"
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys("éèê", "e"),
        **dict.fromkeys("àá", "a"),
        "í": "i",
        **dict.fromkeys("أإآ", "ا"),
        "ة": "ه",
        "ى": "ي",
        "،": ",",
        **{chr(0x660 + digit): str(digit) for digit in range(10)},
        "：": ":",
        # Invisible marks that web pages leave inside hours.
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", " "),
    }
)


def plain(line: str) -> str:
    """The line in lower case, without accents, with plain spaces (U+202F, U+2009, ...) and plain dashes.

    Compatibility digits are left alone on purpose: forms such as `1²` must not become other times.
    """
    folded = unicodedata.normalize("NFC", line).casefold().translate(_CHARACTERS)
    return " ".join(folded.split()).rstrip(" .")


def tokens(line: str) -> list[Token]:
    """The tokens of one line, words without meaning left out; HoursError at the first unknown one."""
    text = plain(line)
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise HoursError(f"{text[position : position + 30]!r} is not understood")
        position = match.end()
        token = _token(match)
        if token is not None:
            found.append(token)
    return found


def _token(match: re.Match[str]) -> Token | None:
    name, text = match.lastgroup, match.group()
    if name in ("space", "filler"):
        return None
    if name == "day":
        return Token("day", text, day=_day_number(text))
    if name in ("noon", "midnight"):
        return Token("clock", text, clock=Clock(text, 12 if name == "noon" else 0, 0, "word"))
    if name in _SIMPLE_KINDS:
        return Token(_SIMPLE_KINDS[name], text)
    return Token("clock", text, clock=_clock(match))


def _day_number(text: str) -> int:
    name = text.removesuffix(".")
    return DAY_NUMBERS[name] if name in DAY_NUMBERS else DAY_NUMBERS[name.removesuffix("s")]


def _clock(match: re.Match[str]) -> Clock:
    minute = match["minute"] or match["after_h"] or "0"
    style: Literal["bare", "dot", "colon", "h"] = "h" if match["h"] else "bare"
    if match["mark"]:
        style = "colon" if match["mark"] == ":" else "dot"
    half = _HALVES.get(match["half"] or match["arabic_half"] or "")
    return Clock(match.group(), int(match["hour"]), int(minute), style, half)
