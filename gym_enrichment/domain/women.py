"""Does a gym keep hours or a space for women only? Statements found in reviews and names, and the verdict.

Rules and their words for French, English, Spanish, Arabic (and simple German and Danish); nothing about models,
prompts or storage. A woman coach, women's changing rooms, questions and ladies' discount nights say nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gym_enrichment.domain.amenities import fold

_REACH = 90  # characters of its sentence read on each side of a statement

# ---- words (folded: lower case, no accents)
_W = r"(?:wom[ae]n|lad(?:y|ies)|females?|girls?)(?:['’ ]?s\b)?['’]?"
_SPACE = (
    r"(?:areas?|sections?|spaces?|rooms?|gyms?|zones?|floors?|parts?|sides?|corners?|studios?|hours?"
    r"|times?|timings?"
    r"|slots?|sessions?|class(?:es)?|days?|nights?|mornings?|evenings?|training|workouts?|weights?"
    r"|swim\w*|fitness|clubs?)"
)
_PLACE = r"(?:areas?|sections?|gyms?|zones?|floors?|parts? of|side|corners?|hours|timings?)"
_ONLY = (
    r"(?:only|just|exclusively|exclusive|dedicated|reserved|separated?|designated|private|own|entire"
    r"|whole|specific|special)"
)
_F = r"(?:femmes?|dames?|filles?|feminine?s?|soeurs?|sours?)"
_SPACE_FR = (
    r"(?:salles?|espaces?|sections?|etages?|zones?|parties?|coins?|pieces?|horaires?|heures?"
    r"|creneaux?|seances?|cours|jours?"
    r"|journees?|matins?|matinees?|apres[- ]midis?|soirs?|soirees?|plages?(?: horaires?)?|clubs?"
    r"|gyms?|niveaux?|sous[- ]sols?)"
)
_KEPT_FR = (
    r"(?:reserve|dedie|consacre|exclusi|uniquement|seulement|specia|separe|propre|juste|que|rien que"
    r"|fitness|sport|de sport|muscu\w*|de muscu\w*|100 ?%)\w*"
)
_M = r"(?:mujer(?:es)?|chicas|damas|senoras|femenin[oa]s?)"
_SPACE_ES = (
    r"(?:salas?|zonas?|areas?|espacios?|secciones|seccion|horarios?|horas?|clases?|gimnasios?"
    r"|plantas?|pisos?|dias?)"
)
_N = r"(?:(?:لل|ال|بال|ل|ب)?(?:نساء|نسا|سيدات|بنات)|(?:ال)?(?:نسائي|نسوي)\w*)"
_SPACE_AR = (
    r"(?:ال)?(?:قسم|قاعه|صاله|طابق|وقت|اوقات|توقيت|ساعات|حصص|حصه|مساحه|فضاء|نادي|جناح|يوم|ايام|مكان"
    r"|جيم|غرفه)"
)
_DARJA = r"(?:nssa|nsa|nisa|bnat|banat)"

# ---- what says yes
_YES = (
    # en
    rf"{_W}[ -]only (?:\w+ ){{0,2}}?{_SPACE}\b",
    rf"{_W}[ -]only['’\"”]*(?=\s*(?:[.,!?;:)\n]|and\b|but\b|$))",
    (
        r"\b(?:is|are|'s|as) (?:a )?(?:women|ladies|females?|girls)[ -]only\b"
        r"(?! (?:used?|pays?|gets?|needs?|goes|go|comes?|have|has)\b)"
    ),
    rf"\bonly (?:for )?{_W} (?!rooms?\b)(?:(?!in|at|on|of|from)\w+ )?{_SPACE}\b",
    rf"\b{_SPACE} (?:(?:is|are|was|that|which|for|strictly) ){{0,2}}(?:{_W} only|only (?:for|to) {_W})\b",
    rf"\bfor {_W} only\b",
    (
        rf"{_W} (?:(?:gym|training|work ?out|weights?|fitness|exercise|exclusive|private|separate"
        rf"|cardio) )?{_PLACE}\b"
    ),
    rf"\b{_ONLY} (?:{_W} (?!rooms?\b)(?:(?!in|at|on|of|from)\w+ )?{_SPACE}|{_SPACE} (?:\w+ )?for (?:the |us )?{_W})\b",
    rf"\b{_SPACE} (?:\w+ )?{_ONLY} (?:for|to) (?:the |us )?{_W}\b",
    rf"\b{_W} exclusive(?:ly)?\b",
    (
        r"\bseparate (?:\w+ )?(?:timings?|hours|floors?|sections?|gyms?|areas?|times) for (?:men"
        r"|women|ladies|males?|females?|both)\b"
    ),
    r"\b(?:no men (?:are )?allowed|men (?:are |is )?(?:not|n't) allowed)\b",
    # fr
    rf"\b{_SPACE_FR} de \w+ (?:{_KEPT_FR} )?pour (?:les )?{_F}\b",
    (
        rf"\b{_SPACE_FR}(?: {_KEPT_FR}){{0,2}}(?: (?:aux|pour(?: les| des| nous les)?|a la gent|des|de"
        rf"|d'|only))? ?{_F}\b"
    ),
    (
        r"\b(?:uniquement|exclusivement|seulement|que|strictement|reservee?s?|rien que|exclusifs?"
        rf"|100 ?%) (?:pour |aux |a la gent )?(?:les )?{_F}\b"
    ),
    r"\bfemmes? (?:uniquement|seulement|only|exclusivement)\b",
    r"\b(?:non|pas)[ -]mixte\b",
    r"\b(?:interdit(?:e|es|s)? aux hommes|hommes (?:sont )?interdits)\b",
    rf"\b{_F} (?:de|:|c'est de|entre) ?\d{{1,2}} ?h",
    rf"\b{_F} (?:c'est )?(?:le matin|l'apres[- ]midi|la journee|le soir)\b",
    rf"\b(?:le matin|l'apres[- ]midi|le soir|la journee) (?:c'est |est )?(?:pour )?(?:les )?{_F}\b",
    # es
    (
        rf"\b{_SPACE_ES} (?:\w+ )?(?:(?:solo|exclusiv[oa]s?|reservad[oa]s?|unicamente|dedicad[oa]s?"
        rf"|exclusivamente) )?(?:para |de |a )?(?:las |solo )?{_M}\b"
    ),
    rf"\b(?:solo|exclusivamente|unicamente|exclusivo) (?:para )?(?:las )?{_M}\b",
    # ar, Darja
    rf"\b{_SPACE_AR} (?:\w+ ){{0,2}}?{_N}\b",
    rf"\b{_N} فقط\b",
    rf"\b(?:خاص|مخصص|حصري|فقط)\w* {_N}\b",
    r"\bغير مختلط\w*",
    (
        r"\b(?:salle|wa9t|we9t|sa3at|horaires?|espace|etage|9a3a|ka3a|gym|ghir) (?:\w+ )?(?:lel |ta3 "
        rf"|lil |li |l ?)?{_DARJA}\b"
    ),
    rf"\b{_DARJA} (?:bark|berk|brk|seulement)\b",
    # de, da
    r"\b(?:frauen|damen)(?:bereich|abteilung|zone|studio|fitness|raum|training|gym)\w*",
    r"\b(?:nur|ausschlies\w*|exklusiv) fur (?:die )?(?:frauen|damen)\b",
    r"\bkvinde(?:afdeling|hold|omrade|traening|traning|fitness|rum|zone|center)\w*",
    r"\bkun for (?:kvinder|damer)\b",
)
# ---- what says no by itself
_NO = (
    r"\b(?:mixed|unisex|co[- ]?ed)(?:[ -](?:gender|sex))? gym\b",
    (
        r"\b(?:gym|place)(?: is|'s| was) (?:now |only |all )?(?:a )?(?:mixed(?:[ -](?:gender|sex)"
        r"|(?= *(?:[.,!]|$)))|unisex|co[- ]?ed)\b"
    ),
    (
        r"\b(?:salle|gym|espace|club|endroit|sport|fitness|c'est|est|tout|reste|entierement|etage"
        r"|zone) (?:de sport |trop |toujours |completement |tres |une salle )?mixte\b"
    ),
    r"\b(?:gimnasio|sala|es) (?:\w+ )?mixt[oa]\b",
    r"(?<!غير )\bمختلط\w*",
)
# ---- words around a match that change it
_CHANGING = (
    r"(?:chang\w*|locker|toilets?|bath ?rooms?|rest ?rooms?|wash ?rooms?|showers?|wc|loos?"
    r"|vestiaires?|toilettes?|douches?"
    r"|sanitaires?|vestuarios?|banos?|aseos|duchas?|umkleide\w*|dusche\w*|omklaedning\w*|حمام\w*|مرحاض|تبديل)"
)
_NOT_A_GYM = re.compile(
    rf"[ -]*(?:only )?(?:{_CHANGING}|corporate|events?|part(?:y|ies)\b|trips?|groups?|wear|clothes"
    r"|shoes|shorts|discount\w*|offers?|price\w*"
    rf"|goers?|members?|users?|(?:of|in|inside) (?:the )?(?:\w+ )?{_CHANGING}"
    r"|coach\w*|trainers?|instructors?|staff|teachers?|profs?|et (?:les |des |pour )?(?:hommes|garcons)|and men|& men"
    r"|and gentlemen|y hombres|mixte)\b"
)
_CHANGING_BEFORE = re.compile(rf"\b(?:{_CHANGING}|desk|reception|coachs?|staff) (?:\w+ ){{0,2}}$")
_MEN_TOO = re.compile(
    r"\b(?:men|men'?s|males|hommes|hombres|boys|guys|gents|gentlemen|رجال) ?(?:and|&|et|y|or|ou|/|و) ?(?:\w+ )?$"
)
_WOMEN_FIRST = re.compile(_W)
_PRAISE = re.compile(
    r"\b(?:good|great|perfect|nice|safe|ideal|best|suitable|excellent|ideale?|parfaite?|super|bonne?) $"
)
_FOR = re.compile(r"\b(?:for|pour|para)\b")
_KEPT = re.compile(
    r"\b(?:only|exclusively|reserv\w+|uniquement|exclusiv\w+|seulement|solo|dedie\w*|dedicated|separate)\b"
)
_ELSEWHERE = re.compile(
    r"\b(?:(?:other|another|previous|old|former|different|last|unlike) (?:\w+ ){0,2}?(?:gyms?|places?"
    r"|branch\w*|locations?|clubs?)"
    r"|(?:autres?|ancienne) (?:salles?|clubs?)|otros? gimnasios?)\b"
)
_STOP = (
    r"(?:in|into|at|from|with|where|problem|problems|issue|issues|dans|avec|souci|probleme|doubt"
    r"|doute|only|just|stop|use|go|get)"
)
_LEAD = rf"(?:(?: |(?<='))(?!{_STOP}\b)[\w'’-]+){{0,3}} ?(?:an?|any|une?|de|d')? ?$"
_DENIED = re.compile(
    r"\b(?:no|without|not have|n['’]?t have|not offer|n['’]?t offer|n['’]?t provide|not provide"
    r"|is ?n['’]?t|is not|are ?n['’]?t|not an?|lacks?|never had"
    r"|no longer|pas (?:de|d'|une?)|aucune?|sans|ni|n['’]y a plus|n['’]ont plus|plus (?:de|d')|no hay"
    r"|no tienen?|sin|keine?[nr]?|ingen"
    rf"|لا يوجد|لا توجد|ماكانش|مكانش|ماكاش|بدون|ليس|makach|makanch|mafihach){_LEAD}"
)
_WISHED = re.compile(
    r"\b(?:wish|hope|hoping|would (?:love|like|prefer|appreciate|be \w+)|i'?d (?:love|like)"
    r"|should (?:have|add|be|get|make|offer|do)|could (?:use|do with|add|have|be)"
    r"|needs? (?:an?|some|to)|please|if (?:there|they|it|you)|fantasi[sz]ing|suggest\w*|dream\w*|want"
    r"|why not|missing|consider"
    r"|aimer\w+|souhait\w+|voudr\w+|faudrait|faut|manqu\w+|dommage|si (?:il|vous)|serait|merit\w+"
    r"|ajout\w+|prevoir|espere"
    r"|gustaria|encantaria|ojala|falta|deberian?|نتمني|اتمني|ياريت|يا ريت|ينقص\w*|محتاج\w*|bghina"
    rf"|khas){_LEAD}"
)
_WISHED_AFTER = re.compile(r"\W*(?:\w+ ){0,2}(?:would (?:be|have been)|serait|seraient|seria|needed|wanted)\b")
_GONE = re.compile(
    r"\b(?:(?:got|get|gotten|getting) rid of|remov\w+|took away|taken away|scrapp\w+|clos(?:ed"
    r"|ing)(?= the\b)|used to (?:be"
    r"|have)|closed down|replac\w+|no longer"
    r"|supprim\w+|enlev\w+|retir\w+|avant il y avait|il y avait avant|quitaron|eliminaron"
    r"|ya no)(?: [\w'’]+){0,4} ?$"
)
_GONE_AFTER = re.compile(
    r"[^.!?\n]{0,40}?\b(?:(?:was|were|is|has been|have been|been|got) (?:\w+ )?(?:removed|gone"
    r"|scrapped|taken (?:away|out)|closed down|replaced|converted|turned into|changed into)"
    r"|no longer|has gone|a ete (?:supprim|enlev|retir|ferm)\w+|n['’]existe (?:pas|plus)|(?:fue"
    r"|ha sido) (?:eliminad|quitad)\w+)\b"
    r"|[.! ]+(?:it|this|that|they|now it)(?:['’]s| is| was| has been| have been)(?: now| since"
    r"| all)? (?:removed|gone|closed|scrapped|mixed|taken away)\b"
)
_NIGHT_OUT = re.compile(r"\b(?:discount\w*|half (?:off|price)|% off|free entry|\$ ?\d+|\d+ ?\$)")
_HOURS = re.compile(
    r"(?:\b(?:de|from|between|entre|von|kl\.?|من) )?\b\d{1,2} ?(?:h|:|\.|am\b|pm\b"
    r"|heures)? ?(?:\d{2})? ?(?:am\b|pm\b)?"
    r" ?(?:a|à|-|–|to|et|and|until|till|bis|jusqu['’]a|hasta(?: las)?|y"
    r"|الي) ?\d{1,2}(?: ?(?:h(?:eures)?|:|\.)(?: ?\d{2})?)? ?(?:am\b|pm\b)?"
)
_SENTENCE_END = re.compile(r"[.!?;\n؟]")
_HINTS = (
    *("women", "woman", "ladies", "lady", "female", "girl", "no men", "men not", "men are", "unisex", "co-ed"),
    *("coed", "mixt", "mixed", "separate", "femme", "dame", "fille", "femini", "hommes", "mujer", "chica"),
    *("senora", "femenin", "frau", "damen", "kvinde", "damer", "nssa", " nsa", "nisa", "bnat", "banat"),
    *("نسا", "سيدات", "بنات", "نسو", "مختلط"),
)
_ASKED = re.compile(
    r"\b(?:is there|are there|(?:do|does) (?:you|they|it|this)|have you|any|y a[- ]t[- ]il|est[- ]ce"
    r"|avez[- ]vous|hay|tienen|هل|gibt es)\b"
)
_ASKED_SOON = 25  # a statement this near to its question mark is what is asked
_LONGEST = 20_000  # characters of a review that are read
_YES_RE = re.compile("|".join(f"(?:{rule})" for rule in _YES))
_NO_RE = re.compile("|".join(f"(?:{rule})" for rule in _NO))
_NAME_YES = re.compile(
    r"\b(?:ladies|women|womens|femmes?|feminine?s?|mujeres|frauen|damen|nissa|nssa)\b"
    r"|\blady['’]?s? (?:gym|fit\w*|club|only|sport\w*|form\w*|zone)"
    r"|(?:لل|ال)?(?:سيدات|نساء|نسائي)"
)
_NAME_MEN = re.compile(r"\b(?:hommes?|men|mens|mixte|gents|hombres|herren|unisex)\b|رجال")


@dataclass(frozen=True, slots=True)
class WomenStatement:
    """`text[start:end]` says yes or no; `hours` are the times it states, as they are written."""

    start: int
    end: int
    verdict: Literal["yes", "no"]
    hours: str | None


def women_only_statements(text: str) -> list[WomenStatement]:
    """Every statement of a review that there are, or are not, hours or a space for women only.

    "yes" for a space, section, floor, classes or hours kept for women; "no" for a denial, a wish, a removal or a
    mixed gym. A question, another gym, changing rooms, staff and discounts give nothing. Linear in the text.
    """
    folded = fold(text[:_LONGEST]).replace("’", "'")
    if not any(map(folded.__contains__, _HINTS)):
        return []
    found: list[tuple[tuple[int, int], str]] = []
    for first, last in _sentences(folded):
        yes = [match.span() for match in _YES_RE.finditer(folded, first, last)]
        no = [match.span() for match in _NO_RE.finditer(folded, first, last)]
        found += [(span, "yes") for span in yes]
        found += [(span, "no") for span in no if not _overlaps(span, yes)]
    statements = []
    for (start, end), said in sorted(found):
        verdict = _judge(folded, start, end, said)
        if verdict:
            statements.append(WomenStatement(start, end, verdict, _hours(text, folded, start, end)))
    return statements


def women_only_name(name: str) -> bool:
    """Whether a gym's own name says it is for women ("Ladies Gym", "Que pour Femmes"), and not for men as well."""
    folded = fold(name)
    return bool(_NAME_YES.search(folded)) and not _NAME_MEN.search(folded)


def women_only_verdict(
    statements_per_review: Iterable[Sequence[WomenStatement]], name: str = ""
) -> Literal["yes", "no", "unknown"]:
    """One verdict from the statements of each review of a gym, and its name.

    The name decides when it speaks. Else each review has one voice (yes when it says yes at least as often as no:
    "mixed, but with a women's room"), the majority wins, and a tie stays unknown.
    """
    if women_only_name(name):
        return "yes"
    balance, voices = 0, 0
    for statements in statements_per_review:
        if statements:
            yes = sum(statement.verdict == "yes" for statement in statements)
            balance += 1 if yes * 2 >= len(statements) else -1
            voices += 1
    if not voices or not balance:
        return "unknown"
    return "yes" if balance > 0 else "no"


def _sentences(folded: str) -> Iterator[tuple[int, int]]:
    """The sentences that can hold a statement at all."""
    first = 0
    for last in (*(match.start() for match in _SENTENCE_END.finditer(folded)), len(folded)):
        sentence = folded[first:last]
        if any(map(sentence.__contains__, _HINTS)):
            yield first, last
        first = last + 1


def _overlaps(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def _judge(folded: str, start: int, end: int, said: str) -> Literal["yes", "no"] | None:
    before = _SENTENCE_END.split(folded[max(0, start - _REACH) : start])[-1]
    rest = folded[end : end + 2 * _REACH]
    stop = _SENTENCE_END.search(rest)
    after = rest[: stop.start()] if stop else rest
    asked = stop and stop[0] in "?؟" and (stop.start() <= _ASKED_SOON or _ASKED.search(before))
    if asked or _ELSEWHERE.search(before):
        return None
    if _NOT_A_GYM.match(after) or _CHANGING_BEFORE.search(before):
        return None
    if said == "no":
        return "no"
    matched = folded[start:end]
    if (_WOMEN_FIRST.match(matched) and _MEN_TOO.search(before)) or _NIGHT_OUT.search(before + after):
        return None
    if _PRAISE.search(before) and _FOR.search(matched) and not _KEPT.search(matched + after[:15]):
        return None
    refused = any(rule.search(before) for rule in (_DENIED, _WISHED, _GONE))
    if not refused:
        refused = bool(_WISHED_AFTER.match(after) or _GONE_AFTER.match(rest[:_REACH]))
    if re.search(rf"\b{_CHANGING}\b", matched):
        return None
    return "no" if refused else "yes"


def _hours(text: str, folded: str, start: int, end: int) -> str | None:
    """The times stated in the sentence after the statement, else before it, as written."""
    match = _HOURS.search(folded, start, min(len(folded), end + _REACH))
    if match and not _SENTENCE_END.search(folded, end, max(end, match.start())):
        return text[match.start() : match.end()].strip()
    earlier = list(_HOURS.finditer(folded, max(0, start - _REACH // 2), start))
    if earlier and not _SENTENCE_END.search(folded[earlier[-1].end() : start]):
        return text[earlier[-1].start() : earlier[-1].end()].strip()
    return None
