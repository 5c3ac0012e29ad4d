"""One gym's reviews as they are read for its bundle: sentences, what each says, and which repeat another.

What must not live here: choosing among them (selection.py), and cleaning (reviews.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate
from math import ceil

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.folding import fold, pieces
from gym_enrichment.domain.models import Review
from gym_enrichment.domain.reviews import LONGEST, informative_words, names_a_time, sentences
from gym_enrichment.domain.women import may_speak_of_women, women_hints, women_only_statements

_FEWEST_WORDS = 4  # a text with fewer informative words, and no fact, says nothing
_SAME = 0.7  # share of three-word runs that makes a near-repeat
_OWNERS = 100  # earlier reviews that a run is traced to
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Fact = tuple[str, bool]
"""An amenity's id, and whether it is affirmed."""
_Run = int


def age_of(review: Review) -> tuple[datetime, str, str]:
    """Orders reviews, oldest first, whatever order they come in."""
    return (review.published_at or _LONG_AGO, review.review_id, review.text or "")


class Reading:
    """A review, cleaned, and what each of its sentences says: read once, when first asked for.

    `number` is its place among the gym's reviews; `facts` the amenities of each sentence; `women` what a sentence says
    of hours or space for women (3 states something, 2 hints at it strongly, 1 weakly); `words` the informative ones.
    """

    def __init__(self, number: int, review: Review, vocabulary: Vocabulary) -> None:
        self.number = number
        self.review = review
        self.sentences = sentences(review.text)
        self.clean = " ".join(self.sentences)
        self.folded = fold(self.clean)
        self._vocabulary = vocabulary

    def steers(self, is_instruction: Callable[[str], bool]) -> bool:
        """Whether it gives orders, cleaned or as it came: cleaning may remove the frame that makes it one."""
        raw = " ".join((self.review.text or "")[:LONGEST].split())
        return bool(self.clean) and (is_instruction(self.clean) or (raw != self.clean and is_instruction(raw)))

    @property
    def year(self) -> int:
        """How recent it is; no finer, so that a new review that adds nothing to its year displaces nothing."""
        return (self.review.published_at or _LONG_AGO).year

    @property
    def age(self) -> tuple[datetime, str, str]:
        """As `age_of`."""
        return age_of(self.review)

    @property
    def says_nothing(self) -> bool:
        """Whether it has no fact, no time and hardly a word that informs."""
        if self.women or any(self.facts):
            return False
        return len(self.all_words) < _FEWEST_WORDS and not names_a_time(self.folded)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(part) + 1 for part in self.sentences)][: len(self.sentences)]

    def _sentence_at(self, place: int) -> int:
        return bisect_right(self._starts, place) - 1

    @cached_property
    def facts(self) -> list[set[Fact]]:
        """The amenities of each sentence."""
        facts: list[set[Fact]] = [set() for _ in self.sentences]
        for mention in self._vocabulary.mentions(self.clean):
            facts[self._sentence_at(mention.start)].add((mention.amenity_id, mention.affirmed))
        return facts

    @cached_property
    def women(self) -> dict[int, int]:
        """What sentences say of hours or space for women."""
        women: dict[int, int] = {}
        if not may_speak_of_women(set(self.every_word)):
            return women
        for start, strong in women_hints(self.folded):
            i = self._sentence_at(start)
            women[i] = max(women.get(i, 0), 1 + strong)
        for statement in women_only_statements(self.clean):
            women[self._sentence_at(statement.start)] = 3
        return women

    @cached_property
    def words(self) -> list[set[str]]:
        """The informative words of each sentence."""
        folded = self.folded
        return [
            informative_words(folded[start : start + len(part)])
            for start, part in zip(self._starts, self.sentences, strict=True)
        ]

    @cached_property
    def every_word(self) -> list[str]:
        """All words, in order, numbers and those that do not inform among them."""
        return list(filter(None, pieces(self.folded)[::2]))

    @cached_property
    def runs(self) -> set[_Run]:
        """Every three words that follow each other, as their hash: hundreds of thousands of tuples would cost more."""
        words = self.every_word
        return set(map(hash, zip(words, words[1:], words[2:], strict=False)))

    @cached_property
    def all_words(self) -> set[str]:
        """Those of the whole review."""
        return informative_words(self.folded)

    @cached_property
    def all_facts(self) -> set[Fact]:
        """Those of the whole review."""
        return set().union(*self.facts)


class Repeats:
    """What was said before: whole texts, and runs of three words with the reviews that have them."""

    def __init__(self) -> None:
        self._texts: set[tuple[str, ...]] = set()
        self._first: dict[_Run, int] = {}  # most runs are said once: only of the others are all owners listed
        self._owners: dict[_Run, list[int]] = {}
        self._said: list[Reading] = []

    def exact(self, reading: Reading) -> bool:
        """Whether the same words were there, whatever their case, accents and punctuation."""
        words = tuple(reading.every_word) or (reading.folded,)
        known = words in self._texts
        self._texts.add(words)
        return known

    def near(self, reading: Reading) -> bool:
        """Whether one earlier review said most of it, and every fact of it."""
        runs = reading.runs
        most = ceil(_SAME * len(runs))
        shared = [run for run in runs if run in self._first]
        if len(shared) >= most and self._has_an_equal(reading, shared, most):
            return True
        number = len(self._said)
        for run in shared:
            self._owners.setdefault(run, [self._first[run]]).append(number)
        self._first.update(dict.fromkeys(runs.difference(shared), number))
        self._said.append(reading)
        return False

    def _has_an_equal(self, reading: Reading, shared: Sequence[_Run], most: int) -> bool:
        # Who shares that many runs shares one of any few that are more than the rest: the rarest are looked up.
        owners = sorted((self._owners.get(run) or [self._first[run]] for run in shared), key=len)
        rarest = owners[: len(shared) - most + 1]
        candidates = sorted({said for owning in rarest for said in owning[:_OWNERS]})
        return any(
            len(reading.runs & earlier.runs) >= most and _says_no_more(reading, earlier)
            for earlier in map(self._said.__getitem__, candidates)
        )


def _says_no_more(reading: Reading, earlier: Reading) -> bool:
    women = max(reading.women.values(), default=0) <= max(earlier.women.values(), default=0)
    return women and reading.all_facts <= earlier.all_facts
