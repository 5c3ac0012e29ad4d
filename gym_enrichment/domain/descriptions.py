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

_MARKUP = re.compile(
    r"<[^<>]{1,200}>|[{}\[\]|`\\]|\bhttps?:|\bwww\.|\b[\w.+-]+@[\w-]+\.\w|(?<!\w)[@#]\w|[a-z0-9]\.[a-z]{2,}|--|;\s*\w+\s*\("
    r"|[!?]"
)
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1cff\u2e80-\ud7ff\uf900-\uffff]|[\U00010000-\U0010ffff]")
# What plain words can say and no description of a gym that is open does.
_CLOSED_FOR_GOOD = re.compile(
    r"\ba ferme ses portes|\ba mis la cle sous|\b(?:est|reste|restera|sera|a ete|demeure) (?:\w+ )?ferme(?:e|s|es)?\b"
    r"(?! (?:le |tous les |chaque |du )?(?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche))"
    r"|\bn['’ ]est plus (?:en (?:activite|service)|ouvert|accessible|disponible)"
)
_COMPARED = re.compile(
    r"\b(?:le|la|les|des|du) plus (?:grand|vaste|complet|moderne|recent|nouve|neu|ancien|equipe|important|large"
    r"|professionnel|adapte|pratique)|\b(?:seule?|premiere?) (?:salle|club|centre|gym|studio|complexe|etablissement)\b"
)
_NO_HOURS = re.compile(
    r"\bhoraires?\b[^.]{0,60}\b(?:pas|non|in)[ -]?(?:communiqu|connu|precis|indiqu|renseign|mentionn)"
)
_CLOSED_ON = re.compile(
    r"\bferme\w* (?:le |tous les |chaque |du )?(?P<day>lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)"
)
_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_ALWAYS_OPEN = "ouvert-24h"
# Not what begins a sentence, unless it is in capitals: a name or a number.
_NAME_OR_NUMBER = re.compile(
    r"(?<![.!?…\n] )(?<![\n«\"“] )(?<!^)\b(?:[A-ZÀ-ÖØ-Þ]\w+|\d+)|\b(?:[A-ZÀ-ÖØ-Þ]{3,}\w*|\d+)\b"
)


@dataclass(frozen=True)
class Described:
    """What the description of one gym has to agree with.

    Args:
        facts: the gym's name, city, hours ...
        reviews: those that the LLM was given and that may prove something (witnesses.py), by number.
        mentions: what `reviews` say of amenities.
        women: the verdict on hours or a space for women.
        vocabulary: the concepts.
    """

    facts: Mapping[str, object]
    reviews: Mapping[int, str]
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

    def _broken(self, text: str) -> Iterator[str]:
        bare = text
        for fact in (self.name, self.facts.get("city"), self.facts.get("country")):
            bare = bare.replace(str(fact), " ") if fact else bare
        folded = fold(bare)
        if _MARKUP.search(bare):
            yield "description holds a link, markup or a sign that no statement needs"
        if _OTHER_SCRIPT.search(bare):
            yield "description is not all in French letters"
        if _CLOSED_FOR_GOOD.search(folded):
            yield "description says that the gym is closed"
        if _COMPARED.search(folded):
            yield "description compares the gym with others: say only what there is"
        if self._hours and _NO_HOURS.search(folded):
            yield "description says that opening hours are unknown, and they are published"
        if times_in(bare) - self._times or self._closes_an_open_day(folded):
            yield "description names a time that is not among the gym's hours: leave opening times out"
        if self.women != "yes" and any(found.verdict == "yes" for found in women_only_statements(bare)):
            yield "description claims hours or a space for women that no review shows"
        mentions = self.vocabulary.mentions(bare)
        yield from self._unsupported(mentions)
        if self._uncovered(bare, mentions):
            yield (
                "description praises, blames, names somebody or says else what neither the gym's facts nor the plain"
                f" words of a directory cover{self._places(bare)}: say only what there is"
            )

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

    @cached_property
    def _covered(self) -> frozenset[str]:
        """The words and numbers that a description of this gym may use besides those of every description."""
        usual = (a.id for a in self.vocabulary.amenities if a.usual and not self.mentions.denying.get(a.id))
        shown = (concept for concept in self.mentions.affirming if self.mentions.supporting(concept))
        clock = {part for time in self._times for part in (str(time // 60), f"{time // 60:02}", f"{time % 60:02}")}
        facts = {word for value in self.facts.values() for word in words_in(str(value))}
        return self.vocabulary.lexicon.names.union(facts, clock, *map(self.vocabulary.words_of, (*usual, *shown)))

    def _uncovered(self, bare: str, mentions: Sequence[Mention]) -> list[str]:
        """The words, folded, that nothing covers; what names an amenity is judged by `_unsupported`."""
        rest, read = [], 0
        for mention in mentions:
            rest.append(bare[read : mention.start])
            read = max(read, mention.end)
        text = "-".join([*rest, bare[read:]])
        names = {fold(found[0]) for found in _NAME_OR_NUMBER.finditer(text)}
        plain = self.vocabulary.lexicon.words
        return [word for word in words_in(text) if word not in self._covered and (word in names or word not in plain)]

    def _places(self, bare: str) -> str:
        """Where the words that nothing covers stand; the words themselves might be an attacker's."""
        found = enumerate(split_sentences(bare), start=1)
        places = [str(n) for n, said in found if self._uncovered(said, self.vocabulary.mentions(said))]
        return f" (sentence {', '.join(places)})" if places else ""

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
