"""What a description may claim, and what becomes of one that claims too much.

What must not live here: its outer form (answer_rules.py) and what reviews show (grounding.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gym_enrichment.domain.amenities import Mention, Vocabulary
from gym_enrichment.domain.answer_rules import broken_description_rules, split_sentences
from gym_enrichment.domain.composing import composed_description
from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.grounding import WOMEN_SPACE, Mentions
from gym_enrichment.domain.hours import HoursError, Week, parse_hours, times_in, times_stated
from gym_enrichment.domain.hours.week import WHOLE_DAY
from gym_enrichment.domain.models import WomenOnly
from gym_enrichment.domain.women import women_only_statements
from gym_enrichment.domain.wording import words_in

_JUDGEMENT = re.compile(
    r"\b(?:excellent|exceptionnel|parfait|magnifique|superbe|genial|incroyable|formidable|fantastique|remarquable"
    r"|irreprochable|impeccable|merveilleu[xs]|extraordinaire|meilleur|ideal|agreable|convivial|chaleureu[xs]"
    r"|sympathique|accueillant|decevant|mediocre|horrible|nul|mauvais|sale|affreu[xs]|deplorable|lamentable"
    r"|catastrophique|arnaque|incompetent|desagreable|super|top|bon marche|trop cher|hors de prix|recommand"
    r"|convivialite|sympa|proprete|gentil|abordable|a l.ecoute|bon(?:ne)?s? (?:ambiance|accueil|equipement)"
    r"|de (?:tres )?(?:bonne|haute) qualite|incontournable|irremplacable|qualifie|bienveillant|attentionne|au top"
    r"|souriant|motivant|serviable|aimable|(?<!in)competent"
    r"|(?:personnel|equipe|staff|accueil) (?:\w+ )?(?:et )?professionnel)"
    r"(?:e|s|es|le|les|ment|ne|nes|ux|aux|ent|ons)?\b"
)
_MARKUP = re.compile(
    r"<[^<>]{1,200}>|[{}\[\]|`\\]|\bhttps?:|\bwww\.|\b[\w.+-]+@[\w-]+\.\w|(?<!\w)[@#]\w|[a-z0-9]\.[a-z]{2,}|--|;\s*\w+\s*\("
)
_SHOUTED = re.compile(r"\b[A-ZÀ-ÖØ-Þ]{4,}(?:\s+[A-ZÀ-ÖØ-Þ]{3,})+\b|\b[A-ZÀ-ÖØ-Þ]{5,}\b")
_CLOSED_FOR_GOOD = re.compile(
    r"\bferme\w* definitivement|\bdefinitivement ferme|\bn['’ ]existe plus|\bfermeture definitive"
    r"|\ba (?:definitivement )?ferme (?:en \d{4}|ses portes)|\bcesse (?:ses|son|toute) activites?|\ba mis la cle sous"
    r"|\bn['’ ]est plus (?:en (?:activite|service)|ouvert|accessible au public)"
    r"|\bferme\w* (?:de (?:facon|maniere) (?:permanente|definitive)|pour toujours|pour de bon)"
)
_NO_HOURS = re.compile(
    r"\bhoraires?\b[^.]{0,60}\b(?:pas|non|in)[ -]?(?:communiqu|connu|precis|indiqu|renseign|mentionn)"
)
_PHONE = re.compile(r"(?:\+|00)\d[\d .-]{7,}|\b0\d(?:[ .-]?\d{2}){4}\b")
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1cff\u2e80-\ud7ff\uf900-\uffff]|[\U00010000-\U0010ffff]")
_MODEL = re.compile(
    r"\b(?:intelligence artificielle|modele de lang\w+|language model|chatgpt|openai|prompt|json|consignes?"
    r"|instructions? (?:du|de|des|recue)|en tant qu ?['e]? ?(?:ia|assistant)|has_women_hours|hours_french"
    r"|ignore[rz]?)\b"
)
_IN_PERSON = re.compile(r"\b(?:je|j['’]|moi|tu|toi|nous)\b|[!?]")
_CLOSED_ON = re.compile(
    r"\bferme\w* (?:le |tous les |chaque |du )?(?P<day>lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)"
)
_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_ALWAYS_OPEN = "ouvert-24h"
# Words that begin sentences, so that a review's "Merci pour tout" or "Thanks, les coachs ..." makes no name of them.
_NO_NAME = frozenset(
    "les des une cette ces ses leur leurs elle elles ils pour par dans sur avec sans sous chez son mais aussi selon"
    " outre parmi enfin tout tous toute toutes plusieurs certains certaines situe situee ouvert ouverte ferme fermee"
    " equipe equipee the you all your for and very much team guys every everyone everybody los las para por todo"
    " todos il on y cet installee salle club espace centre complexe etablissement avis clients cours equipements ainsi"
    " est".split()
)
# Who stands after one of these in a review, or in the description itself, is a person.
_PERSON = (
    r"(?:coachs?|profs?|professeur|entraineur|moniteur|monitrice|trainers?|instructors?|teacher|merci(?: beaucoup)?"
    r"(?: a)?|thanks?(?: you)?(?: to)?|gracias(?: a)?|manager|patron|gerante?|proprietaire|owner|receptionniste"
    r"|monsieur|madame|mr|mrs|mme|ms|dr|named|called|nommee?|appelle|entrenadora?|monitora?|shout ?out to|kudos to"
    r"|bravo a|l equipe de)"
)
_AFTER_TITLE = re.compile(rf"\b{_PERSON}[ .:,]{{1,3}}(?:le |la |l'|el )?(?P<name>[a-z]{{3,}})", re.IGNORECASE)
_WORD = re.compile(r"\w+")
# Not what begins a sentence: that is capitalised anyway.
_NAME_OR_NUMBER = re.compile(
    r"(?<![.!?…\n] )(?<![\n«\"“] )(?<!^)\b(?:[A-ZÀ-ÖØ-Þ]\w+|\d+)|\b(?:[A-ZÀ-ÖØ-Þ]{3,}\w*|\d{2,})\b"
)
_CAPITALISED = re.compile(r"\b[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]{2,}\b")


@dataclass(frozen=True)
class Described:
    """What the description of one gym has to agree with.

    Args:
        facts: the gym's name, city, hours ...
        reviews: those that the LLM was given and that may prove something (witnesses.py), by number.
        doubted: the texts of the others that it was given.
        mentions: what `reviews` say of amenities.
        women: the verdict on hours or a space for women.
        vocabulary: the concepts.
    """

    facts: Mapping[str, object]
    reviews: Mapping[int, str]
    doubted: Sequence[str]
    mentions: Mentions
    women: WomenOnly
    vocabulary: Vocabulary

    @property
    def name(self) -> str:
        """The gym's name."""
        return str(self.facts.get("name") or "")

    def prepare(self) -> None:
        """Read the reviews now, so that judging a description takes less time when it comes."""
        _ = self._times, self._week, self._covered

    def broken_rules(self, description: str) -> list[str]:
        """Why `description` cannot be published as it is, as sentences for the LLM that quote no review."""
        return list(dict.fromkeys(self._broken(description)))

    def repaired(self, description: str) -> str | None:
        """The description without the sentences that claim too much, or else composed from what is shown.

        None if not even that keeps the rules.
        """
        good = [sentence for sentence in self._sentences(description) if not any(self._broken(sentence))]
        for candidate in (" ".join(good), self._composed()):
            if not broken_description_rules(candidate, self.name) and not self.broken_rules(candidate):
                return candidate
        return None

    def _sentences(self, description: str) -> list[str]:
        return split_sentences(description, self.name)

    def _composed(self) -> str:
        shown = sorted(
            (c for c in self.mentions.affirming if self.mentions.supporting(c) and c != WOMEN_SPACE),
            key=lambda concept: -len(self.mentions.supporting(concept)),
        )
        amenities = [self.vocabulary.get(concept) for concept in shown[:10]]
        city = str(self.facts.get("city") or "")
        name = self.name if len(split_sentences(self.name)) < 2 and len(self.name) < 100 else ""
        return composed_description(name, city, amenities, self.women == "yes", self._week)

    @cached_property
    def _week(self) -> Week | None:
        try:
            week = parse_hours(self._hours)
        except HoursError:
            return None
        return None if week.is_unknown else week

    @cached_property
    def _hours(self) -> list[str]:
        hours = self.facts.get("hours")
        return [str(line) for line in hours] if isinstance(hours, list | tuple) else []

    @cached_property
    def _own_words(self) -> frozenset[str]:
        """Words of the gym's own facts: no reviewer's name, wherever they stand."""
        return frozenset(word for value in self.facts.values() for word in words_in(str(value)))

    @cached_property
    def _persons(self) -> frozenset[str]:
        """Names that reviews call people by: capitalised, and after a title or thanks."""
        names: set[str] = set()
        for text in (*self.reviews.values(), *self.doubted):
            capitalised = {fold(word) for word in _CAPITALISED.findall(text)}
            if capitalised:
                names.update(
                    found["name"] for found in _AFTER_TITLE.finditer(fold(text)) if found["name"] in capitalised
                )
        return frozenset(name for name in names - self._own_words - _NO_NAME if not self.vocabulary.mentions(name))

    def _broken(self, text: str) -> Iterator[str]:
        bare = text
        for fact in (self.name, self.facts.get("city"), self.facts.get("country")):
            bare = bare.replace(str(fact), " ") if fact else bare
        folded = fold(bare)
        if _JUDGEMENT.search(folded):
            yield "description praises or blames: say only what there is"
        if _MARKUP.search(bare) or _PHONE.search(bare):
            yield "description holds a link, an address, a phone number or markup"
        if _OTHER_SCRIPT.search(bare):
            yield "description is not all in French letters"
        if _MODEL.search(folded):
            yield "description speaks of instructions or of a model: describe the gym"
        if any(not self.vocabulary.mentions(found[0]) for found in _SHOUTED.finditer(bare)):
            yield "description holds words in capitals that are not the gym's name"
        if _CLOSED_FOR_GOOD.search(folded):
            yield "description says that the gym is no more"
        if self._hours and _NO_HOURS.search(folded):
            yield "description says that opening hours are unknown, and they are published"
        if self._names_a_person(bare, folded):
            yield "description names a person"
        if self._planted and not self._planted.isdisjoint(_names_in(bare)):
            yield "description holds a name or a number that only doubtful reviews give: leave it out"
        if _IN_PERSON.search(folded):
            yield "description speaks in the first person, or to the reader: state facts"
        if times_in(bare) - self._times or self._closes_an_open_day(folded):
            yield "description names a time that is not among the gym's hours: leave opening times out"
        if self.women != "yes" and any(found.verdict == "yes" for found in women_only_statements(bare)):
            yield "description claims hours or a space for women that no review shows"
        mentions = self.vocabulary.mentions(bare)
        yield from self._unsupported(mentions)
        if self._uncovered(bare, mentions):
            yield "description holds words that neither reviews nor a plain directory use: state plain facts only"

    @cached_property
    def _planted(self) -> frozenset[str]:
        """Names and numbers that stand in doubted reviews, and in no other nor among the gym's facts."""
        known = {word for text in self.reviews.values() for word in _WORD.findall(fold(text))}
        names = _names_in("\n".join(self.doubted)) - known - self._own_words - _NO_NAME
        return frozenset(name for name in names if not self.vocabulary.mentions(name))

    @cached_property
    def _times(self) -> frozenset[int]:
        """The times of the gym's hours, and those that reviews state for women where there are such hours."""
        if self.women != "yes":
            return frozenset(times_stated(self._hours))
        statements = (found for text in self.reviews.values() for found in women_only_statements(text))
        women = {time for found in statements if found.hours for time in times_in(found.hours)}
        return frozenset(times_stated(self._hours) | women)

    def _closes_an_open_day(self, folded: str) -> bool:
        days = self._week.days if self._week else (None,) * len(_DAYS)
        return any(days[_DAYS.index(found["day"])] != () for found in _CLOSED_ON.finditer(folded))

    def _names_a_person(self, bare: str, folded: str) -> bool:
        capitalised = {fold(word) for word in _CAPITALISED.findall(bare)} - _NO_NAME - self._own_words
        if not capitalised:
            return False
        called = {found["name"] for found in _AFTER_TITLE.finditer(folded)}
        return any(
            word in self._persons or (word in called and not self.vocabulary.mentions(word)) for word in capitalised
        )

    @cached_property
    def _covered(self) -> frozenset[str]:
        """The words and numbers that a description of this gym may use besides those of every description."""
        usual = (a.id for a in self.vocabulary.amenities if a.usual and not self.mentions.denying.get(a.id))
        shown = (concept for concept in self.mentions.affirming if self.mentions.supporting(concept))
        clock = {part for time in self._times for part in (str(time // 60), f"{time // 60:02}", f"{time % 60:02}")}
        words = self._own_words.union(clock, self.vocabulary.lexicon.names)
        return words.union(*map(self.vocabulary.words_of, (*usual, *shown)))

    def _uncovered(self, bare: str, mentions: Sequence[Mention]) -> list[str]:
        """The words, folded, that nothing covers; what names an amenity is judged by `_unsupported`."""
        rest, read = [], 0
        for mention in mentions:
            rest.append(bare[read : mention.start])
            read = max(read, mention.end)
        text = "-".join([*rest, bare[read:]])
        names = _names_in(text)
        plain = self.vocabulary.lexicon.words
        return [word for word in words_in(text) if word not in self._covered and (word in names or word not in plain)]

    def _unsupported(self, mentions: Sequence[Mention]) -> Iterator[str]:
        for mention in mentions:
            amenity = self.vocabulary.get(mention.amenity_id)
            shown = bool(self.mentions.supporting(amenity.id)) or self._named(amenity.id)
            shown = shown or (amenity.id == WOMEN_SPACE and self.women == "yes")
            shown = shown or (amenity.id == _ALWAYS_OPEN and self._week is not None and WHOLE_DAY in self._week.days)
            denied = bool(self.mentions.denying.get(amenity.id))
            if mention.affirmed and not shown and (denied or not amenity.usual):
                yield f"description mentions {amenity.label!r}, which the reviews do not show"
            if not mention.affirmed and shown:
                yield f"description denies {amenity.label!r}, which the reviews show"

    def _named(self, amenity_id: str) -> bool:
        return any(mention.amenity_id == amenity_id for mention in self.vocabulary.mentions(self.name))


def _names_in(text: str) -> set[str]:
    """Words that look like names, and numbers; folded."""
    return {fold(found[0]) for found in _NAME_OR_NUMBER.finditer(text)}
