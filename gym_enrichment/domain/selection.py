"""Which sentences of a gym's reviews go into its bundle, so that rare facts survive within a token budget.

What must not live here: reading reviews (readings.py, reviews.py), counting tokens, storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.models import BundleReview, Review
from gym_enrichment.domain.readings import Fact, Reading, Repeats, age_of
from gym_enrichment.domain.reviews import beginning
from gym_enrichment.domain.women import women_only_statements

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
_MOST_LOOKS = 3  # at a gym without what gave orders; then all its reviews are asked about
_GAP = " ... "  # stands for sentences left out; its dots end the clause for every reader


@dataclass(frozen=True, slots=True)
class Selection:
    """What the LLM reads of one gym's reviews, newest first, and what it does not.

    `tokens` are those of all texts, never above the budget. `left_out` counts the reviews left out by reason
    (`LEFT_OUT`), and as "shortened" the chosen ones of which only a part is there.
    """

    reviews: Sequence[BundleReview]
    tokens: int
    left_out: Mapping[str, int]


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
    vocabulary = vocabulary or Vocabulary.default()
    readings = [Reading(number, review, vocabulary) for number, review in enumerate(sorted(reviews, key=age_of))]
    steering: set[int] = set()
    # Telling orders from reviews costs more than all the rest: only what would be sent is asked about, and the gym is
    # looked at again without what gives orders.
    for _ in range(_MOST_LOOKS):
        selection, chosen = _select(readings, steering, token_budget, count_tokens)
        orders = {reading.number for reading in chosen if reading.steers(is_instruction)}
        if not orders:
            return selection
        steering |= orders
    steering = {reading.number for reading in readings if reading.steers(is_instruction)}
    return _select(readings, steering, token_budget, count_tokens)[0]


def _select(
    readings: Sequence[Reading], steering: set[int], token_budget: int, count_tokens: Callable[[str], int]
) -> tuple[Selection, list[Reading]]:
    """The selection from the reviews that are not `steering`, and what it is made of."""
    left_out: Counter[str] = Counter()
    candidates = _candidates(readings, steering, left_out)
    draft = _Draft(token_budget, count_tokens)
    _keep_women(draft, candidates)
    _cover(draft, candidates, affirmed=True, times=1, limit=token_budget)
    _cover(draft, candidates, affirmed=False, times=1, limit=token_budget * _UP_TO_DENIED)
    _keep_recent(draft, candidates)
    _cover(draft, candidates, affirmed=True, times=_SUPPORT, limit=token_budget * _UP_TO_TWICE)
    if candidates and not draft.tokens:
        _keep_at_least_one(draft, candidates)
    chosen = [candidate for candidate in reversed(candidates) if draft.text(candidate)]
    left_out["no_room"] = len(candidates) - len(chosen)
    left_out["shortened"] = sum(draft.text(candidate) != candidate.clean for candidate in chosen)
    selection = Selection(
        reviews=[BundleReview(candidate.review.review_id, draft.text(candidate)) for candidate in chosen],
        tokens=draft.tokens,
        left_out={reason: left_out[reason] for reason in (*LEFT_OUT, "shortened")},
    )
    return selection, chosen


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the bundle holds of one review: which sentences, their text and its tokens."""

    sentences: frozenset[int] = frozenset()
    text: str = ""
    tokens: int = 0


_NOTHING = _Kept()


class _Draft:
    """The bundle as it grows, its tokens counted on the very texts that it will hold."""

    def __init__(self, budget: int, count_tokens: Callable[[str], int]) -> None:
        self.budget = budget
        self.tokens = 0
        self._count = count_tokens
        self._kept: dict[int, _Kept] = {}

    def kept(self, candidate: Reading) -> frozenset[int]:
        """Its sentences that are in."""
        return self._kept.get(candidate.number, _NOTHING).sentences

    def text(self, candidate: Reading) -> str:
        """What stands for it; "" while nothing does."""
        return self._kept.get(candidate.number, _NOTHING).text

    def keep(self, candidate: Reading, wanted: Iterable[int], limit: float) -> bool:
        """Takes sentences of a review in, if the bundle stays within the limit."""
        before = self.kept(candidate)
        kept = before.union(wanted)
        return kept == before or self.put(candidate, kept, _joined(candidate.sentences, kept), limit)

    def put(self, candidate: Reading, kept: frozenset[int], text: str, limit: float) -> bool:
        """Lets `text` stand for a review. What comes first of all may take the whole budget."""
        tokens = self._count(text)
        total = self.tokens - self._kept.get(candidate.number, _NOTHING).tokens + tokens
        if total > (min(limit, self.budget) if self.tokens else self.budget):
            return False
        self.tokens = total
        self._kept[candidate.number] = _Kept(kept, text, tokens)
        return True


def _joined(parts: Sequence[str], kept: Iterable[int]) -> str:
    text, last = "", -1
    for i in sorted(kept):
        text += f"{' ' if i == last + 1 else _GAP}{parts[i]}" if text else parts[i]
        last = i
    return text


# ---- what can be chosen


def _candidates(readings: Iterable[Reading], steering: set[int], left_out: Counter[str]) -> list[Reading]:
    """The reviews that say something, oldest first. Of repeats the oldest stays: a later one changes nothing.

    Where all that was said says nothing, the wordiest of it: a gym with reviews is never without.
    """
    found: list[Reading] = []
    trifles: list[Reading] = []
    repeats = Repeats()
    for reading in readings:
        if not reading.clean:
            left_out["empty"] += 1
        elif reading.number in steering:
            left_out["instruction"] += 1
        elif repeats.exact(reading):
            left_out["repeat"] += 1
        elif reading.says_nothing:
            trifles.append(reading)
        elif repeats.near(reading):
            left_out["repeat"] += 1
        else:
            found.append(reading)
    if trifles and not found:
        wordiest = max(trifles, key=lambda reading: (len(reading.all_words), len(reading.folded)))
        trifles.remove(wordiest)
        found.append(wordiest)
    left_out["says_nothing"] = len(trifles)
    return found


# ---- what is chosen


def _keep_women(draft: _Draft, candidates: Sequence[Reading]) -> None:
    """Statements first, then hints, each the latest first; the first of a kind comes in whatever its share."""
    for strength, share in ((3, _ADDED_STATEMENTS), (2, _ADDED_STRONG_HINTS), (1, _ADDED_WEAK_HINTS)):
        limit = draft.tokens + draft.budget * share
        speaking = [c for c in candidates if max(c.women.values(), default=0) == strength]
        for nth, candidate in enumerate(sorted(speaking, key=_recent_first)):
            allowed = limit if nth else draft.budget
            wanted = _about_women(candidate, strength)
            if not draft.keep(candidate, wanted, allowed):
                draft.keep(candidate, {min(wanted)}, allowed)


def _recent_first(candidate: Reading) -> tuple[int, int]:
    return -candidate.year, len(candidate.folded)


def _about_women(candidate: Reading, strength: int) -> set[int]:
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


def _cover(draft: _Draft, candidates: Sequence[Reading], *, affirmed: bool, times: int, limit: float) -> None:
    """Takes the sentence with the most wanted facts for its length, until each is said so many times."""
    said: Counter[Fact] = Counter(fact for c in candidates for i in draft.kept(c) for fact in c.facts[i])
    pool = _pool(candidates, affirmed)
    while pool:
        worths = [_worth(draft.kept(unit[0]), unit, said, affirmed, times) for unit in pool]
        most = max(worths)
        if not most:
            return
        best = pool[worths.index(most)]
        # What is worth nothing now never will be: it gets more said and more kept.
        pool = [unit for unit, worth in zip(pool, worths, strict=True) if worth and unit is not best]
        candidate, i = best
        if draft.keep(candidate, {i}, limit):
            said.update(candidate.facts[i])


_Unit = tuple[Reading, int]


def _worth(kept: Collection[int], unit: _Unit, said: Counter[Fact], affirmed: bool, times: int) -> float:
    candidate, i = unit
    if i in kept:
        return 0
    new = sum(fact[1] == affirmed and said[fact] < times for fact in candidate.facts[i])
    return new / (len(candidate.sentences[i]) + (0 if kept else _FRAME))


def _pool(candidates: Sequence[Reading], affirmed: bool) -> list[_Unit]:
    """For each amenity the few sentences that compete to stand for it, best first."""
    units = [
        (candidate, i)
        for candidate in candidates
        for i, facts in enumerate(candidate.facts)
        if facts and any(fact[1] == affirmed for fact in facts)
    ]
    units.sort(key=lambda unit: (-unit[0].year, -_density(unit, affirmed), *unit[0].age))
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


def _keep_recent(draft: _Draft, candidates: Sequence[Reading]) -> None:
    """Adds excerpts of recent and detailed reviews, as long as each brings new words."""
    limit = max(draft.budget * _UP_TO_RECENT, draft.tokens + draft.budget * _ADDED_RECENT)
    known = {word for c in candidates for i in draft.kept(c) for word in c.words[i]}
    for candidate in sorted(candidates, key=lambda c: (-c.year, -len(c.all_words), *c.age)):
        if draft.tokens >= limit:
            return
        enough = min(_NEW_WORDS, len(candidate.all_words))
        if len(candidate.all_words - known) < enough:
            continue
        wanted, words = _excerpt(candidate, draft.kept(candidate), known)
        if wanted and len(words) >= enough and draft.keep(candidate, wanted, limit):
            known |= words


def _excerpt(candidate: Reading, kept: Collection[int], known: set[str]) -> tuple[set[int], set[str]]:
    """The sentences with the most new words for their length, up to some length, and those words."""
    parts = candidate.sentences
    new = [words - known for words in candidate.words]
    order = sorted(
        (i for i in range(len(parts)) if new[i] and i not in kept),
        key=lambda i: (-len(new[i]) / (len(parts[i]) + _FRAME), i),
    )
    wanted: set[int] = set()
    room = _EXCERPT
    for i in order:
        if not wanted or len(parts[i]) <= room:
            wanted.add(i)
            room -= len(parts[i])
    return wanted, set().union(*(new[i] for i in wanted))


def _keep_at_least_one(draft: _Draft, candidates: Sequence[Reading]) -> None:
    """Where nothing brought enough to be kept: the newest review if it fits, else a beginning."""
    newest = candidates[-1]
    if not draft.keep(newest, range(len(newest.sentences)), draft.budget):
        _keep_a_beginning(draft, candidates)


def _keep_a_beginning(draft: _Draft, candidates: Sequence[Reading]) -> None:
    """For a budget in which no sentence fits: the beginning of the most telling one, cut at a word."""
    telling = max(candidates, key=lambda c: (max(c.women.values(), default=0), len(c.all_facts), *c.age))
    first = min(telling.women, key=lambda i: (-telling.women[i], i)) if telling.women else 0
    sentence = telling.sentences[first]
    fits, too_long = 0, len(sentence)
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if draft.put(telling, frozenset({first}), beginning(sentence, middle), draft.budget):
            fits = middle
        else:
            too_long = middle
