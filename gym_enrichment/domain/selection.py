"""Which sentences of a gym's reviews go into its bundle, so that rare facts survive within a token budget.

What must not live here: cleaning (reviews.py), what is a fact (women.py, amenities.py), counting tokens, storage.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from math import ceil
from typing import Literal

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.models import BundleReview, Review
from gym_enrichment.domain.reviews import LONGEST, beginning, informative_words, names_a_time, sentences
from gym_enrichment.domain.women import women_hints, women_only_statements

LEFT_OUT = ("empty", "repeat", "says_nothing", "instruction", "no_room")

# ---- shares of the budget that each step may add to the bundle, or up to which it may fill it
_ADDED_STATEMENTS, _ADDED_STRONG_HINTS, _ADDED_WEAK_HINTS = 0.6, 0.2, 0.1  # of hours or space for women
_UP_TO_DENIED, _UP_TO_TWICE = 0.9, 0.7  # amenities: a denial, a second affirmation; a first one may take all
_UP_TO_RECENT, _ADDED_RECENT = 0.55, 0.1  # recent, detailed and varied reviews: more of them seldom tells more

_SUPPORT = 2  # sentences wanted for each amenity
_POOL = 3  # sentences that compete for them: those of the latest years, then the densest
_FRAME = 16  # characters that the frame of one more review is worth
_SHORT = 60  # characters: a sentence about women that needs its neighbour to be understood
_EXCERPT = 260  # characters taken of a review for being recent
_NEW_WORDS = 4  # informative words that a recent review must bring
_FEWEST_WORDS = 4  # a text with fewer informative words, and no fact, says nothing
_SAME = 0.7  # share of three-word runs that makes a near-repeat
_OWNERS = 100  # earlier reviews that a run is traced to

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_WORDS = re.compile(r"\w+")
_GAP = " ... "  # stands for sentences left out; its dots end the clause for every reader

Fact = tuple[str, bool]
"""An amenity's id, and whether it is affirmed."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the LLM reads of one gym's reviews, newest first, and what it does not.

    `tokens` are those of all texts, never above the budget. `left_out` counts the reviews left out by reason
    (`LEFT_OUT`), and as "shortened" the chosen ones of which only a part is there.
    """

    reviews: Sequence[BundleReview]
    tokens: int
    left_out: Mapping[str, int]


@dataclass(slots=True, eq=False)
class _Candidate:
    """A review that says something: its sentences, and what each of them says."""

    review: Review
    sentences: list[str]
    folded: str
    facts: list[set[Fact]]  # of each sentence
    women: dict[int, int]  # sentence -> 3 states something, 2 hints at it strongly, 1 weakly
    words: list[set[str]]  # the informative words of each sentence
    kept: set[int] = field(default_factory=set)
    text: str = ""  # of the kept sentences
    tokens: int = 0

    @property
    def year(self) -> int:
        """How recent it is; no finer, so that a new review that adds nothing to its year displaces nothing."""
        return (self.review.published_at or _LONG_AGO).year

    @property
    def all_facts(self) -> set[Fact]:
        return set().union(*self.facts)

    @property
    def all_words(self) -> set[str]:
        return set().union(*self.words)


def select_reviews(
    reviews: Sequence[Review],
    token_budget: int,
    count_tokens: Callable[[str], int],
    vocabulary: Vocabulary | None = None,
    is_instruction: Callable[[str], bool] = lambda text: False,
) -> Selection:
    """The sentences that say most about a gym, within a budget; the same for any order of the reviews.

    First what is said of hours or space for women, then a sentence or two for every amenity, then recent, detailed
    and varied reviews up to about half of the budget: the rest is left for facts, and saved when there are none.

    Args:
        reviews: all of one gym.
        token_budget: most tokens of all texts together.
        count_tokens: counts in the model's vocabulary.
        vocabulary: what amenities there are; the packaged one by default.
        is_instruction: whether a text tries to steer the model: such a review is left out whole.
    """
    left_out: Counter[str] = Counter()
    candidates = _candidates(reviews, vocabulary or Vocabulary.default(), is_instruction, left_out)
    draft = _Draft(token_budget, count_tokens)
    _keep_women(draft, candidates)
    _cover(draft, candidates, affirmed=True, times=1, limit=token_budget)
    _cover(draft, candidates, affirmed=False, times=1, limit=token_budget * _UP_TO_DENIED)
    _keep_recent(draft, candidates)
    _cover(draft, candidates, affirmed=True, times=_SUPPORT, limit=token_budget * _UP_TO_TWICE)
    if candidates and not draft.tokens:
        _keep_at_least_one(draft, candidates)
    chosen = [candidate for candidate in reversed(candidates) if candidate.text]
    left_out["no_room"] = len(candidates) - len(chosen)
    left_out["shortened"] = sum(candidate.text != " ".join(candidate.sentences) for candidate in chosen)
    return Selection(
        reviews=[BundleReview(candidate.review.review_id, candidate.text) for candidate in chosen],
        tokens=draft.tokens,
        left_out={reason: left_out[reason] for reason in (*LEFT_OUT, "shortened")},
    )


class _Draft:
    """The bundle as it grows, its tokens counted on the very texts that it will hold."""

    def __init__(self, budget: int, count_tokens: Callable[[str], int]) -> None:
        self.budget = budget
        self.tokens = 0
        self._count = count_tokens

    def keep(self, candidate: _Candidate, wanted: Iterable[int], limit: float) -> bool:
        """Takes sentences of a review in, if the bundle stays within the limit."""
        kept = candidate.kept.union(wanted)
        return kept == candidate.kept or self.put(candidate, kept, _joined(candidate.sentences, kept), limit)

    def put(self, candidate: _Candidate, kept: set[int], text: str, limit: float) -> bool:
        """Lets `text` stand for a review. What comes first of all may take the whole budget."""
        tokens = self._count(text)
        total = self.tokens - candidate.tokens + tokens
        if total > (min(limit, self.budget) if self.tokens else self.budget):
            return False
        self.tokens = total
        candidate.kept, candidate.text, candidate.tokens = kept, text, tokens
        return True


def _joined(parts: Sequence[str], kept: set[int]) -> str:
    text, last = "", -1
    for i in sorted(kept):
        text += f"{' ' if i == last + 1 else _GAP}{parts[i]}" if text else parts[i]
        last = i
    return text


# ---- what can be chosen


def _age(review: Review) -> tuple[datetime, str, str]:
    return (review.published_at or _LONG_AGO, review.review_id, review.text or "")


def _candidates(
    reviews: Iterable[Review],
    vocabulary: Vocabulary,
    is_instruction: Callable[[str], bool],
    left_out: Counter[str],
) -> list[_Candidate]:
    """The reviews that say something, oldest first. Of repeats the oldest stays: a later one changes nothing.

    Where all that was said says nothing, the wordiest of it: a gym with reviews is never without.
    """
    found: list[_Candidate] = []
    trifles: list[_Candidate] = []
    repeats = _Repeats()
    for review in sorted(reviews, key=_age):
        parts = sentences(review.text)
        raw, clean = " ".join((review.text or "")[:LONGEST].split()), " ".join(parts)
        if not clean:
            left_out["empty"] += 1
        elif is_instruction(clean) or (raw != clean and is_instruction(raw)):
            left_out["instruction"] += 1
        elif repeats.exact(folded := fold(clean)):
            left_out["repeat"] += 1
        elif _says_nothing(candidate := _read(review, parts, clean, folded, vocabulary)):
            trifles.append(candidate)
        elif repeats.near(candidate):
            left_out["repeat"] += 1
        else:
            found.append(candidate)
    if trifles and not found:
        wordiest = max(trifles, key=lambda candidate: (len(candidate.all_words), len(candidate.folded)))
        trifles.remove(wordiest)
        found.append(wordiest)
    left_out["says_nothing"] = len(trifles)
    return found


def _read(review: Review, parts: list[str], text: str, folded: str, vocabulary: Vocabulary) -> _Candidate:
    starts = [0, *accumulate(len(part) + 1 for part in parts)][: len(parts)]
    facts: list[set[Fact]] = [set() for _ in parts]
    for mention in vocabulary.mentions(text):
        facts[bisect_right(starts, mention.start) - 1].add((mention.amenity_id, mention.affirmed))
    women: dict[int, int] = {}
    for start, strong in women_hints(folded):
        i = bisect_right(starts, start) - 1
        women[i] = max(women.get(i, 0), 1 + strong)
    for statement in women_only_statements(text):
        women[bisect_right(starts, statement.start) - 1] = 3
    words = [informative_words(folded[start : start + len(part)]) for start, part in zip(starts, parts, strict=True)]
    return _Candidate(review, parts, folded, facts, women, words)


def _says_nothing(candidate: _Candidate) -> bool:
    if candidate.women or any(candidate.facts):
        return False
    return len(candidate.all_words) < _FEWEST_WORDS and not names_a_time(candidate.folded)


_Run = tuple[str, str, str]


class _Repeats:
    """What was said before: whole texts, and runs of three words with the reviews that have them."""

    def __init__(self) -> None:
        self._texts: set[tuple[str, ...]] = set()
        self._runs: dict[_Run, list[int]] = {}
        self._said: list[tuple[_Candidate, set[_Run]]] = []

    def exact(self, folded: str) -> bool:
        """Whether the same words were there, whatever their case, accents and punctuation."""
        words = tuple(_WORDS.findall(folded)) or (folded,)
        known = words in self._texts
        self._texts.add(words)
        return known

    def near(self, candidate: _Candidate) -> bool:
        """Whether one earlier review said most of it, and every fact of it."""
        words = _WORDS.findall(candidate.folded)
        runs = set(zip(words, words[1:], words[2:], strict=False))
        most = ceil(_SAME * len(runs))
        # Who shares that many runs shares one of any few that are more than the rest: the rarest are looked up.
        rarest = sorted((self._runs.get(run, []) for run in runs), key=len)[: len(runs) - most + 1]
        for said in sorted({said for owners in rarest for said in owners[:_OWNERS]}):
            earlier, its_runs = self._said[said]
            if len(runs & its_runs) >= most and _says_no_more(candidate, earlier):
                return True
        for run in runs:
            self._runs.setdefault(run, []).append(len(self._said))
        self._said.append((candidate, runs))
        return False


def _says_no_more(candidate: _Candidate, earlier: _Candidate) -> bool:
    women = max(candidate.women.values(), default=0) <= max(earlier.women.values(), default=0)
    return women and candidate.all_facts <= earlier.all_facts


# ---- what is chosen


def _keep_women(draft: _Draft, candidates: Sequence[_Candidate]) -> None:
    """Statements first, then hints, each the latest first; the first of a kind comes in whatever its share."""
    for strength, share in ((3, _ADDED_STATEMENTS), (2, _ADDED_STRONG_HINTS), (1, _ADDED_WEAK_HINTS)):
        limit = draft.tokens + draft.budget * share
        speaking = [c for c in candidates if max(c.women.values(), default=0) == strength]
        for nth, candidate in enumerate(sorted(speaking, key=_recent_first)):
            allowed = limit if nth else draft.budget
            wanted = _about_women(candidate, strength)
            if not draft.keep(candidate, wanted, allowed):
                draft.keep(candidate, {min(wanted)}, allowed)


def _recent_first(candidate: _Candidate) -> tuple[int, int]:
    return -candidate.year, len(candidate.folded)


def _about_women(candidate: _Candidate, strength: int) -> set[int]:
    """The sentences that matter, with the next one where they are too short to be understood alone."""
    parts, last = candidate.sentences, len(candidate.sentences) - 1
    speaking = sorted(i for i, found in candidate.women.items() if found == strength)
    wanted = {i for n, i in enumerate(speaking) if n == 0 or sum(len(parts[j]) for j in speaking[: n + 1]) <= _EXCERPT}
    wanted |= {i + 1 for i in wanted if len(parts[i]) <= _SHORT and len(parts[min(i + 1, last)]) <= 2 * _SHORT}
    wanted.discard(last + 1)
    if strength == 3 and set(_verdicts(_joined(parts, wanted))) != set(_verdicts(" ".join(parts))):
        wanted.update(speaking, (min(i + 1, last) for i in speaking))  # "There was a room. It was removed."
    return wanted


def _verdicts(text: str) -> list[Literal["yes", "no"]]:
    return [statement.verdict for statement in women_only_statements(text)]


def _cover(draft: _Draft, candidates: Sequence[_Candidate], *, affirmed: bool, times: int, limit: float) -> None:
    """Takes the sentence with the most wanted facts for its length, until each is said so many times."""
    said: Counter[Fact] = Counter(fact for c in candidates for i in c.kept for fact in c.facts[i])
    pool = _pool(candidates, affirmed)
    while pool:
        worth, best = max(((_worth(unit, said, affirmed, times), unit) for unit in pool), key=lambda found: found[0])
        if not worth:
            return
        pool.remove(best)
        candidate, i = best
        if draft.keep(candidate, {i}, limit):
            said.update(candidate.facts[i])


_Unit = tuple[_Candidate, int]


def _worth(unit: _Unit, said: Counter[Fact], affirmed: bool, times: int) -> float:
    candidate, i = unit
    if i in candidate.kept:
        return 0
    new = sum(fact[1] == affirmed and said[fact] < times for fact in candidate.facts[i])
    return new / (len(candidate.sentences[i]) + (0 if candidate.kept else _FRAME))


def _pool(candidates: Sequence[_Candidate], affirmed: bool) -> list[_Unit]:
    """For each amenity the few sentences that compete to stand for it, best first."""
    units = [
        (candidate, i)
        for candidate in candidates
        for i, facts in enumerate(candidate.facts)
        if any(fact[1] == affirmed for fact in facts)
    ]
    units.sort(key=lambda unit: (-unit[0].year, -_density(unit, affirmed), *_age(unit[0].review)))
    taken: Counter[Fact] = Counter()
    pool = []
    for candidate, i in units:
        facts = [fact for fact in candidate.facts[i] if fact[1] == affirmed]
        if any(taken[fact] < _POOL for fact in facts):
            pool.append((candidate, i))
            taken.update(facts)
    return pool


def _density(unit: _Unit, affirmed: bool) -> float:
    candidate, i = unit
    return sum(fact[1] == affirmed for fact in candidate.facts[i]) / (len(candidate.sentences[i]) + _FRAME)


def _keep_recent(draft: _Draft, candidates: Sequence[_Candidate]) -> None:
    """Adds excerpts of recent and detailed reviews, as long as each brings new words."""
    limit = max(draft.budget * _UP_TO_RECENT, draft.tokens + draft.budget * _ADDED_RECENT)
    known = {word for c in candidates for i in c.kept for word in c.words[i]}
    for candidate in sorted(candidates, key=lambda c: (-c.year, -len(c.all_words), *_age(c.review))):
        if draft.tokens >= limit:
            return
        wanted, words = _excerpt(candidate, known)
        if wanted and len(words) >= min(_NEW_WORDS, len(candidate.all_words)) and draft.keep(candidate, wanted, limit):
            known |= words


def _excerpt(candidate: _Candidate, known: set[str]) -> tuple[set[int], set[str]]:
    """The sentences with the most new words for their length, up to some length, and those words."""
    parts = candidate.sentences
    new = [words - known for words in candidate.words]
    order = sorted(
        (i for i in range(len(parts)) if new[i] and i not in candidate.kept),
        key=lambda i: (-len(new[i]) / (len(parts[i]) + _FRAME), i),
    )
    wanted: set[int] = set()
    room = _EXCERPT
    for i in order:
        if not wanted or len(parts[i]) <= room:
            wanted.add(i)
            room -= len(parts[i])
    return wanted, set().union(*(new[i] for i in wanted))


def _keep_at_least_one(draft: _Draft, candidates: Sequence[_Candidate]) -> None:
    """Where nothing brought enough to be kept: the newest review if it fits, else a beginning."""
    newest = candidates[-1]
    if not draft.keep(newest, range(len(newest.sentences)), draft.budget):
        _keep_a_beginning(draft, candidates)


def _keep_a_beginning(draft: _Draft, candidates: Sequence[_Candidate]) -> None:
    """For a budget in which no sentence fits: the beginning of the most telling one, cut at a word."""
    telling = max(candidates, key=lambda c: (max(c.women.values(), default=0), len(c.all_facts), *_age(c.review)))
    first = min(telling.women, key=lambda i: (-telling.women[i], i)) if telling.women else 0
    sentence = telling.sentences[first]
    fits, too_long = 0, len(sentence)
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if draft.put(telling, {first}, beginning(sentence, middle), draft.budget):
            fits = middle
        else:
            too_long = middle
