"""How the text of a review is cleaned for the prompt, cut into sentences, and which of its words tell something.

What must not live here: which reviews are chosen (selection.py), and storage, whose text stays as it came.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import zip_longest
from operator import eq

from gym_enrichment.domain.folding import fold

LONGEST = 20_000
"""Characters of a review that are read; what stands after them is cut off."""
LONGEST_SENTENCE = 280
"""Characters after which a text without full stops is cut at a clause, or else at a word."""
_SHORTEST_CLAUSE = 80

# ---- characters
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Control, zero-width, direction and tag characters, variation selectors and lone surrogates: nothing that a reader
# of the review would see. The Arabic tatweel only stretches a word.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\xad\u034f\u061c\u0640\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000fffff]"
)
# What UTF-8 looks like after it was read as Latin-1 or Windows-1252: a lead byte and what can follow it.
_MOJIBAKE = re.compile(r"[\xc2-\xf4][\x80-\xbf\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|[\x80-\x9f]")
_STYLED = re.compile(r"[\U0001d400-\U0001d7ff\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]+")  # 𝗚𝘆𝗺, ｇｙｍ
_STACKED = re.compile(r"([\u0300-\u036f]{2})[\u0300-\u036f]+")

# ---- markup
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_SCRIPT = re.compile(r"<(script|style)\b[^<>]*>.{0,2000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BLOCK = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|td|th|h[1-6])\b[^<>]{0,300}>", re.IGNORECASE)
_TAG = re.compile(r"<!--.{0,500}?-->|<(?:/?[a-zA-Z][\w:-]*\s*/?|[a-zA-Z][\w:-]*\s[^<>=]*=[^<>]*)>", re.DOTALL)

# ---- Google's automatic translations, of which the customer's own words stay
_TRANSLATED = re.compile(
    r"\((?:translated by|traduit par|traducido por|traduzido por|tradotto da|[uü]bersetzt von|oversat af|vertaald door"
    r"|ترجمة(?: من)?|الترجمة بواسطة|ترجمه) google\)",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"\((?:original|originale|avis d['’]origine|texte d['’]origine|origineel|النص الأصلي|الأصلي?|المراجعة الأصلية)\)",
    re.IGNORECASE,
)

# ---- runs
_PICTURE = r"[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
_PICTURES = re.compile(rf"({_PICTURE})(?:\s*{_PICTURE})+")
_DOTS = re.compile(r"\.(?:\s?\.)+|…[.…]*")
_SHOUTS = re.compile(r"[!?؟！？](?:\s?[!?؟！？])+")
_SAME_SIGNS = re.compile(r"([^\s\d.])\1{2,}")
_THREE_ALIKE = re.compile(r"(.)\1\1")  # is looked for several times faster
_SAME_WORDS = re.compile(r"\b([^\W\d]+)(?:[\s,]+\1\b){2,}")

# ---- sentences
_QUOTES = r"[\"'»”)\]]*"
_SENTENCE_END = re.compile(
    r"[.!?…؟؛。！？](?:"
    rf"(?<!\.){_QUOTES}\s+"
    rf"|(?<=[^\W\d_]{{3}}\.){_QUOTES}\s+"  # three letters: "p.m. on", "M. Dupont" go on
    rf"|(?<!\bM\.)(?<!\b[DM]r\.){_QUOTES}\s+(?=[^\W_a-zß-ÿ]|[\"«“(])"
    r"|(?<=[。！？])"
    r"|(?<=[^\W\d_]{3}[.!?])(?=[A-ZÀ-Þ][^\W\d_.])"  # "the floor.It"
    r")"
)
_CLAUSE_ENDS = (
    re.compile(r"(?<=[;؛])\s|\s(?=[-–—•]\s|(?:but|mais|pero|aber|ولكن|لكن|بصح|because|parce)\s)"),
    re.compile(r"(?<=[,،:])\s|\s(?=(?:and|et|y|und|og)\s)"),
    re.compile(r"\s"),
)

# ---- words (folded)
_PLAIN_WORD = re.compile(r"[a-z]{4,}")
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2}|[^\W\d_]{3,}")  # scripts without spaces: in pairs
_TIME = re.compile(
    r"\d ?(?:h|am|pm|a\.m|p\.m|uhr|heures?)\b|\d[:h]\d\d\b|\b24 ?/ ?[67]\b"
    r"|\b(?:opens?|opening|closes?|closed|closing|hours|schedules?|timings?|weekends?|horaires?|horarios?|ramadan"
    r"|ouverte?s?|ouvre\w*|ferme\w*|abiert\w+|abren?|cerrad\w+|cierra\w*|offnungszeiten|geoffnet|geschlossen"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:lun|mar|mercre|jeu|vendre|same)dis?|dimanches?"
    r"|lunes|martes|miercoles|jueves|viernes|sabados?|domingos?|lyoum|l?[jd]jem3a|nhar|sa3a)\b"
    r"|ساع|مفتوح|مغلق|يفتح|يغلق|توقيت|اوقات|رمضان|الجمعه|السبت|الاحد|الاثنين|الثلاثاء|الاربعاء|الخميس"
)
# Praise, blame and filler: words that any review of any place can hold.
_EMPTY_WORDS = frozenset(
    fold(
        # en
        " good great best nice amazing awesome excellent perfect wonderful fantastic cool love loved like"
        " really very much highly recommend recommended place places gyms club fitness sport sports ever this"
        " that with have been they them their there here thing everything overall super well worst terrible"
        " awful horrible just always never would will come back again definitely every time thank thanks guys"
        " experience happy absolutely totally such what which your from about more most some were only going"
        " went friendly staff helpful five stars star people lovely brilliant clean"
        # fr
        " salle salles bien bonne bonnes bons tres trop excellente parfait parfaite genial geniale magnifique"
        " endroit endroits meilleur meilleure meilleurs recommande conseille vivement merci bravo continuez"
        " continuation equipe avec pour dans tout tous toute toutes cette adore aime aimer vraiment"
        " franchement rien dire nickel propre ambiance accueil personnel sympa sympas agreable moyen moyenne"
        " nulle jamais toujours plus sont avez vous nous"
        # es
        " bueno buena buen excelente mejor gimnasio lugar sitio encanta recomiendo recomendado gracias todo"
        " perfecto increible ambiente trato para como esta este malo mala peor siempre nunca limpio"
        # de, da
        " sehr gutes gute guter toll tolle immer gerne empfehlen freundlich studio alles godt rigtig fint"
        " dejligt sted"
        # ar, Darja in Latin letters
        " جيد جيده ممتاز ممتازه رائع رائعه جميل جميله جدا مكان المكان قاعه القاعه صاله نادي النادي احسن افضل"
        " شكرا الله ماشاء شاء بارك فيكم موفقين بالتوفيق ربي يحفظكم هايل هايله مليح مليحه كلش شيء انصح نظيف"
        " نظيفه روعه حلو حلوه mli7a mlih mliha bzaf bezaf chaba chabba hayla hayel lplasa blasa rabi ybarek"
        " machallah mashallah tbarkallah khoya sahbi saha inchallah inshallah nchallah"
    ).split()
)


def clean_text(text: str | None) -> str:
    """The text as one line as a reader would see it; "" when nothing is left.

    Repaired: wrong encodings, entities, tags, invisible characters, runs of one sign, and Google's translations,
    of which the original stays.
    """
    return " ".join(_clean(text).split()) if text else ""


def sentences(text: str | None) -> list[str]:
    """The cleaned text, cut into sentences: joined by spaces, they are the text.

    A line that ends without punctuation gets a full stop, so that joined lines do not read as one claim.
    """
    if not text:
        return []
    lines = [line for raw in _clean(text).split("\n") if (line := " ".join(raw.split()))]
    found: list[str] = []
    for line, following in zip_longest(lines, lines[1:], fillvalue=""):
        closed = f"{line}." if following and line[-1].isalnum() and not following[0].islower() else line
        found += _sentences(closed)
    return found


def beginning(text: str, characters: int) -> str:
    """The longest run of whole words from the start that has at most so many characters (or a part of a word)."""
    if len(text) <= characters:
        return text
    return text[: characters + 1].rpartition(" ")[0].strip() or text[:characters].strip()


def informative_words(folded: str) -> set[str]:
    """The words of a folded text that can tell one gym from another: neither short ones nor praise."""
    if folded.isascii():
        return set(_PLAIN_WORD.findall(folded)) - _EMPTY_WORDS
    words = {word for word in _WORD.findall(folded) if len(word) > 3 or not word.isascii()}
    return words - _EMPTY_WORDS


def names_a_time(folded: str) -> bool:
    """Whether a folded text speaks of hours, days, or of being open or closed."""
    return bool(_TIME.search(folded))


def _sentences(line: str) -> Iterator[str]:
    first = 0
    for end in _SENTENCE_END.finditer(line):
        yield from _clauses(line[first : end.end()].strip())
        first = end.end()
    yield from _clauses(line[first:].strip())


def _clauses(sentence: str) -> Iterator[str]:
    """The sentence, cut where it is too long for one: before a new thought, else at a comma, a word, anywhere."""
    while len(sentence) > LONGEST_SENTENCE:
        window = sentence[:LONGEST_SENTENCE]
        ends = (list(pattern.finditer(window, _SHORTEST_CLAUSE)) for pattern in _CLAUSE_ENDS)
        cut = next((found[-1].start() for found in ends if found), LONGEST_SENTENCE)
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence


def _clean(text: str) -> str:
    """The text as a reader would see it; lines end with a line feed, other white space is as it came."""
    text = text[:LONGEST]
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if not text.isascii():
        text = _repaired(text)
    text = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
    if "<" in text:
        text = _TAG.sub("", _BLOCK.sub("\n", _SCRIPT.sub(" ", text)))
    if "(" in text:
        text = _original(text)
    return _without_runs(text)


def _repaired(text: str) -> str:
    if _MOJIBAKE.search(text):
        import ftfy  # only the few texts that need it pay for it

        text = ftfy.fix_encoding(text)
    text = _STYLED.sub(lambda styled: unicodedata.normalize("NFKC", styled[0]), text)
    return _STACKED.sub(r"\1", unicodedata.normalize("NFC", text))


def _original(text: str) -> str:
    translated = _TRANSLATED.search(text)
    if not translated:
        return text
    original = _ORIGINAL.search(text, translated.end())
    if original:
        return text[original.end() :]
    before = text[: translated.start()]
    return before if before.strip() else text[translated.end() :]


def _without_runs(text: str) -> str:
    if not text.isascii():
        text = _PICTURES.sub(r"\1", text)
    if _THREE_ALIKE.search(text):
        text = _SAME_SIGNS.sub(_shortened, text)
    text = _SHOUTS.sub(_shout, _DOTS.sub(_dots, text))
    words = text.split()
    return _SAME_WORDS.sub(r"\1", text) if any(map(eq, words, words[1:])) else text


def _shortened(run: re.Match[str]) -> str:
    """One of a sign; two of a letter, since "coooool" is not "col", and three as they are ("www")."""
    if not run[1].isalpha():
        return run[1]
    return run[0] if len(run[0]) == 3 else 2 * run[1]


def _dots(run: re.Match[str]) -> str:
    return "..." if len(run[0]) > 1 else run[0]


def _shout(run: re.Match[str]) -> str:
    """One sign for many, and a question stays one."""
    return next((sign for sign in run[0] if sign in "?؟？"), run[0][0])
