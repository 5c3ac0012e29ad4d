"""Which of some rules a text may match, told by its words: most texts then cost one look at a set.

What must not live here: the rules and their hints (women/words.py, instruction_words.py).
"""

import re
from collections.abc import Iterable, Sequence, Set

_SEPARATORS = re.compile(r"(\W+)")
_MOST_WORDS = 50_000  # remembered, about 5 MB
_LONGEST = 30  # characters of a word that is remembered: what is longer hardly comes again


class Sieve:
    """For rules that match only texts in which one of their hints stands as a substring.

    A word of a text either holds a part of some hint or it does not, whatever text it stands in: that is found out
    when the word is first met. A text none of whose words holds a part of a rule's hints cannot match the rule; what
    passes may match it. Remembers words up to a limit.
    """

    def __init__(self, hints: Sequence[Iterable[str]]) -> None:
        """From the hints of each rule. Each hint needs a word character (ValueError)."""
        self._parts = [(_part(hint), number) for number, several in enumerate(hints) for hint in several]
        self._plain: set[str] = set()  # words that hold none
        self._telling: dict[str, frozenset[int]] = {}

    def passing(self, words: Set[str]) -> set[int]:
        """The numbers of the rules that a text of these words may match.

        The words must be all runs of word characters (`\\w+`) of the text.
        """
        unsure = words - self._plain
        return set().union(*map(self._rules_of, unsure)) if unsure else set()

    def _rules_of(self, word: str) -> frozenset[int]:
        known = self._telling.get(word)
        if known is None:
            alone = f" {word} "
            known = frozenset(number for part, number in self._parts if part in alone)
            if len(word) <= _LONGEST:
                self._remember(word, known)
        return known

    def _remember(self, word: str, rules: frozenset[int]) -> None:
        if len(self._plain) + len(self._telling) >= _MOST_WORDS:
            self._plain.clear()
            self._telling.clear()
        if rules:
            self._telling[word] = rules
        else:
            self._plain.add(word)


def _part(hint: str) -> str:
    """The longest run of word characters of a hint, with a space where the hint goes on: a word ends there."""
    pieces = _SEPARATORS.split(hint)
    last = len(pieces) - 1
    words = [f"{' ' * (i > 0)}{pieces[i]}{' ' * (i < last)}" for i in range(0, last + 1, 2) if pieces[i]]
    return max(words, key=len)
