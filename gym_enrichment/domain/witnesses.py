# ruff: noqa: E501 - words, as many on a line as go together
"""May a review prove a claim? One that speaks of the page made of reviews and of what to say there may not.

The second lock behind instructions.py: that one keeps clear orders out of prompts and must not take a customer's review
for one; this one doubts freely, since doubt costs little: the review is read all the same, and what it tells counts as
soon as another review tells it too. On the real data it doubts one review in forty, and no statement about women.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from gym_enrichment.domain.folding import MARK, fold
from gym_enrichment.domain.instructions import undisguised

_NEAR = 14
"""Words from one for the page, or its maker, to one for saying, that belong together: a long sentence, or two short."""
_SOON = 10
"""Words from a duty or a wish to what is to be told."""

# ---- what is made of reviews, what it consists of, and who or what makes it
_PAGE = (
    r"ai|ia|ki|llms?|(?:chat)?gpts?|chatbots?|bots?|robots?|algorithm\w*|algoritm\w*|assistant|asistente|copilot|gemini|artificielle|artificial|artificiel|linguistique|modele|modelo|model|sprachmodell"
    r"|description|descriptif|descripcion|beschreibung|summar(?:y|ies)|summari[sz]\w*|resumen|resumer|synthese|synopsis|zusammenfass\w*|listing|listed|directory|annuaire|directorio|verzeichnis|perfil|fiche|ficha|steckbrief|page|pagina"
    r"|blurb|overview|apercu|paragraphe?s?|parrafo|absatz|sentence|phrase|frase|satz|texte|texto|text|wording|redaction|presentation|presentacion|portrait"
    r"|entry|eintrag|records?|dataset|database|donnees|datos|datenbank|fields?|champs?|campos?|labels?|tags?|tagged|etiquettes|etiquetas?|flags?|categories|categorie|categoria|filters?|filtres?|filtros?"
    r"|outputs?|answers?|reponses?|respuestas?|antwort\w*|ausgabe|json|prompts?|consignes?|instructions|instrucciones|anweisung\w*"
    r"|amenit\w+|facilities|features|prestations|commodites|ausstattung|list|liste|lista"
    r"|editor|editors|editorial|editeurs?|redact(?:eur|rice|eurs|or|ores)|redakt\w+|writers?|author|copywriter|moderat(?:or|ors|eurs?|ion)|moderador\w*|admins?|administrat(?:ors?|eurs?|rices?)|administrador\w*|webmaster|curators?|compil(?:e|es|ing|er|ez)|recopil\w*"
    r"|annotat\w+|verdict|readers|lecteurs?|lectores|leser\w*|visiteurs?|visitors|audience|whoever|quiconque|celui|celle|ceux|quienes?"
    r"|(?:[وفبلك]{0,2}(?:ال|لل)?)(?:وصف|ملخص|ذكاء|نموذج|روبوت|مساعد|دليل|صفحه|قائمه|نص|تعليمات|اجابه|رد|قراء|قارئ|محرر|كاتب|بيانات|تصنيف|مرافق)(?:ك|كم|ات)?"
    r"|l?wasf|jawab\w*|ya9ra\w*|ye9ra\w*|yekteb\w*|yektab\w*|talimat|saf7a|nass|website|site|sitio|profile?|profil"
)
# ---- saying something there: as an order, a wish, a duty, a form to fill
_SAY = (
    r"writ(?:e|ing|ten)|say|state|stating|stated|mention(?:s|ed|ing)?|include|add|added|put|insert\w*|append\w*|list|set|mark(?:ed)?|print|return|report(?:ed)?|claim(?:ed)?|declare|publish\w*|replac(?:e|ed)|overwrite|generate|produce|begin|start|fill|record(?:ed)?|regist(?:er|ered)|copy|repeat"
    r"|show(?:n)?|display(?:ed)?|describ(?:e|ed|ing)|portray\w*|correct(?:ed|ion)?|updated?|confirm(?:ed)?|count(?:ed)?|treat|note|noted|highlight|emphasi[sz]e|advertise|inform(?:ed)?|tell|reflect|specify|acknowledge|translat\w+|pretend|imagine|answer|respond|reply|reveal|ignore|disregard|forget"
    r"|ecri(?:s|t|te|tes|vez|re|ve|vant)|mets|mettez|mettre|r?ajout(?:e|ez|er|ee?s?)|indiqu(?:e|er|ez|ant|ee?s?)|mentionn\w+|dis|dites|dire|disant|declar(?:e|er|ez)|affirm(?:e|er|ez)|inclu(?:re|s|ez|ant|t)|inser(?:e|er|ez)|inscri\w+|not(?:ez|er|ee?s?)|marqu(?:e|er|ez|ee?s?)|repond(?:s|ez|re)|renvo\w+|affich(?:e|er|ez|ee?s?)|publi(?:e|es|ez|er|ees?)|recopi\w+"
    r"|remplac(?:e|er|ez)|modifi(?:e|er|ez)|figur(?:e|er|ent)|apparai\w+|precis(?:e|er|ez|ee?s?)|signal(?:e|er|ez|ee?s?)|sache(?:nt|z)?|savoir|presente(?:r|z)?|decri\w+|rappel(?:e|er|ez)|souligne(?:r|z)?|considere(?:r|z)?|comptez?|traitez?|tradui\w+|cite[rz]?|gener(?:e|ez|er)|rempli(?:s|r|ssez)|rectifi\w+|corrig\w+|valid(?:e|er|ez)|confirm(?:e|er|ez)|renseign(?:e|er|ez)|redig\w+|imagin(?:e|ez)|parle[rz]?|ignore[rz]?|oublie[rz]?"
    r"|escrib\w+|diga|digan|diciendo|decir|pon|ponga|pongan|poner|anad(?:e|a|ir|an)|agreg(?:a|ue|ar|uen)|incluy\w*|incluir|mencion(?:a|e|ar|en)|indi(?:que|quen|car|ca)|respond(?:e|a|er)|contest(?:a|e|ar)|marc(?:a|ar|ado|que)|declar(?:a|e)|afirm(?:a|e|en)|publi(?:que|quen|car|ca)|reemplaz\w+|apare(?:ce|zca|cer)\w*|conste|constar|figure|sepan?|muestr\w+|destaque\w*|cuenta|traduc\w*|traduzca|ignora\w*|olvid(?:a|e|ad)|corrij\w+"
    r"|schreib\w*|geschrieben|fuge\w*|nenn\w*|erwahn\w*|setz\w*|sag|sagen|trag\w*|steht|stehen|markier\w*|behaupt\w*|angeb\w*|anzeig\w*|wissen|erfahren|erganz\w*|aufnehm\w*|aufgenommen|hinzu\w*|vergiss|ignorier\w*"
    r"|e?k(?:te|et|to|ta)b\w*|[yt]e?kt[eoa]?b\w*|mektoub\w*|[yt]?e?9oul\w*|[yt]?goul\w*|gol|[yt]?zid\w*|[yt]?dir(?:i|ou)?|[yt]?7o?tt?(?:ou|i)?|ybeyen|[yt]?edk[eo]r\w*|jaweb|raje3|[yt]a?3arf\w*|nsa\w*"
    r"|[واسيتنفل]{0,3}(?:كتب|ضيف|ضف|ضع|ذكر|قول|قل|جعل|جيب|جب|درج|سجل|نشر|ستبدل|زيد|دير|حط|رجع|طبع|ظهر|بين|شير|وضح|عرف|علم|صف|ترجم|عتبر|دون|تجاهل|نس)(?:وا|و|ي|ها|ه|ت)?"
)
# ---- a duty or a wish; and what is told, whoever is to tell it
_DUTY = (
    r"must|should|shall|ought|needs?|wants?|wish|ensure|sure|kindly|please|hereby|behalf|authori[sz]e\w*|agreed|requested|dear"
    r"|doit|doivent|devra|devrai(?:s|t|ent)|faut|faudrait|faudra|merci|priere|veuillez|veillez|convient|pensez|souhait\w+|aimerais|voudrais|demande|demandons|convenu|autorise"
    r"|debe\w*|deberia\w*|hay|ruego|rogamos|ruega|favor|quiero|pido|solicito|asegur\w+|conviene|acordamos|autorizo|bitte|muss|mussen|soll\w*|namen|vereinbart|sorge\w*"
    r"|يجب|لازم|ينبغي|نرجو|ارجو|يرجي|رجاء|الرجاء|اطلب|نطلب|باسم|فضلك|lazem|3afak|3afakom|7ab|7abit"
)
_TOLD = (
    r"mention(?:ed)?|stated?|written|informed|recorded|counted|described|published|reflect(?:ed)?|credited|advertised|corrected|registered|say|claim|declared?|read|listed"
    r"|mentionn\w+|ecri(?:re|t|te|ve|vez|s)|indiqu(?:e|er|ez|ee?s?)|precis(?:e|er|ez|ee?s?)|figur(?:e|er|ent)|apparai\w+|sache(?:nt|z)?|affich(?:e|er|ez|ee?s?)|decri\w+|publi(?:e|es|ez|er|ees?)|inscri\w+|remplac(?:e|er|ez)|enregistr(?:e|er|ez)|signale[rz]?|lire|lise(?:nt)?|disent|dise"
    r"|mencion(?:a|e|ar|en)|escrib\w+|conste|constar|figure|apare\w+|sepan?|indi(?:que|quen|car)|publi\w+|diga|digan|lean"
    r"|erwahn\w*|schreib\w*|geschrieben|nenn\w*|genannt|angeb\w*|anzeig\w*|erfahren|aufgenommen|aufnehm\w*|erganz\w*|lesen"
    r"|[واسيتنفل]{0,3}(?:ذكر|كتب|كتاب|كتابه|ضيف|ضافه|شاره|ظهر|قول|قال|علم|عرف|نشر|وضح|سجل)(?:وا|و|ي|ها|ه)?|\w*kteb\w*|\w*ktab\w*|\w*ktoub\w*|\w*goul\w*|[yt]?edk[eo]r\w*|y?a?3arf\w*"
)
# ---- what others say, or said before, and that it shall not count
_OVERRIDE = r"ignor\w+|disregard\w*|forget|overrid\w+|oubli(?:e|es|ez|er)|olvid\w+|vergiss|vergessen|descart\w+|whatever|regardless|importe|nonobstant|importar|egal|تجاهل\w*|انسي?|اهمل\w*|nsa\w*"
_OTHERS = r"reviews?|avis|opiniones|resenas?|comments?|commentaires?|bewertung\w*|rest|reste|above|previous\w*|earlier|everything|tout|todo|alles|says?|disent|dicen|precede\w*|anterior\w*|كل|كلش|kolch|ga3|باقي|التعليقات|الاراء"
_ROLE = re.compile(r"(?:^|\n)\W*[A-Z]{4,}\s*:")
_MARKUP = re.compile(r"[{}]|</?\w|[\"”]\s*:")
_THAT = frozenset("that que qu belli bli beli dass ان أن".split())
_TELLS = re.compile(
    r"write|say|state|mention|declare|claim|report|respond|reply|answer|ecri(?:s|vez)|dis|dites|reponds|repondez|mentionnez?|indiquez?|affirmez?|precisez?|declarez?"
    r"|escrib[ea]|diga|digan|menciona|indica|afirma|responde|schreib\w*|sag|erwahne?|e?k(?:te|et|to)b\w*|goul\w*|9oul\w*|gol|jaweb|و?ف?(?:اكتب|قل|قولوا|اذكر|اجب)\w*"
)
"""Imperatives that a statement follows; in front of others than these they are none ("I can say that")."""
_NO_ORDER = frozenset(
    "i we can could will would should must to d ll ve cannot may might they people je on peut peux pourrait dirais puis tu il elle"
    " ils nous vous a de pour puedo se me le lo yo un una uno ich man kann les le qui y ana bach".split()
)
_PASSIVE = frozenset(
    "told known noted shown said included added presented considered registered dit dite dits note notee ajoute ajoutee"
    " presente presentee considere connu connue dicho anadido incluido".split()
)
_BE = frozenset("be etre soit soient ser sea".split())
"""In front of the former they say that something is to be told."""
_WE = frozenset("i we je j nous on ich wir".split())
_WORD = re.compile(r"[^\W_]+")
_KINDS = tuple(re.compile(words) for words in (_PAGE, _SAY, _DUTY, _TOLD, _OVERRIDE, _OTHERS))


def may_testify(text: str) -> bool:
    """Whether a review may prove what is published: False if it might be steering whoever writes the page."""
    return not _ROLE.search(text) and not any(_may_steer(variant) for variant in undisguised(text))


def _may_steer(text: str) -> bool:
    if _MARKUP.search(text):
        return True
    words = _WORD.findall(fold(text).replace(MARK, ""))
    places: list[list[int]] = [[] for _ in _KINDS]
    page, say, duty, told, override, others = places
    for place, word in enumerate(words):
        for kind in _kinds_of(word):
            places[kind].append(place)
        if word in _PASSIVE and place and words[place - 1] in _BE:
            told.append(place)
    return (
        any(0 < abs(one - other) <= _NEAR for one in page for other in say)
        or any(0 < end - start <= _SOON and not _said_aside(words, start, end) for start in duty for end in told)
        or any(0 < end - start <= _SOON for start in override for end in others)
        or any(_orders_to_tell(words, place) for place in say)
    )


def witnesses(reviews: Mapping[int, str]) -> dict[int, str]:
    """Those of the reviews that may testify, by the same numbers."""
    return {number: text for number, text in reviews.items() if may_testify(text)}


@lru_cache(maxsize=50_000)
def _kinds_of(word: str) -> tuple[int, ...]:
    return tuple(kind for kind, words in enumerate(_KINDS) if words.fullmatch(word))


def _said_aside(words: list[str], start: int, end: int) -> bool:
    """ "I must say", "we want to mention", "should I say"."""
    return end - start <= 3 and not _WE.isdisjoint(words[max(0, start - 2) : end])


def _orders_to_tell(words: list[str], place: int) -> bool:
    """ "Write that", "dis partout que"; not "I can say that"."""
    if not _TELLS.fullmatch(words[place]) or (place and words[place - 1] in _NO_ORDER):
        return False
    return not _THAT.isdisjoint(words[place + 1 : place + 3])
