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

    Where a hint stands in a text, words of the text hold its parts. Whether a word holds the longest part of a hint is
    found out when the word is first met, in whatever text; only where one does, the other parts are looked for. What
    passes may match the rule; what does not cannot. Words are remembered up to a limit.
    """

    def __init__(self, hints: Sequence[Iterable[str]]) -> None:
        """From the hints of each rule.

        Raises:
            ValueError: a hint has no word character.
        """
        self._hints: dict[str, list[tuple[list[str], int]]] = {}  # by the longest part: all parts, and the rule
        for rule, several in enumerate(hints):
            for parts in map(_parts, several):
                self._hints.setdefault(max(parts, key=len), []).append((parts, rule))
        self._plain: set[str] = set()  # words that hold no longest part
        self._telling: dict[str, frozenset[str]] = {}

    def passing(self, words: Set[str]) -> set[int]:
        """The numbers of the rules that a text of these words may match.

        Args:
            words: all runs of word characters (`\\w+`) of the text.
        """
        unsure = words - self._plain
        if not unsure:
            return set()
        found = set().union(*map(self._parts_in, unsure))
        if not found:
            return set()
        text = f" {' '.join(words)} "
        return {rule for part in found for parts, rule in self._hints[part] if all(map(text.__contains__, parts))}

    def _parts_in(self, word: str) -> frozenset[str]:
        known = self._telling.get(word)
        if known is None:
            alone = f" {word} "
            known = frozenset(part for part in self._hints if part in alone)
            if len(word) <= _LONGEST:
                self._remember(word, known)
        return known

    def _remember(self, word: str, parts: frozenset[str]) -> None:
        if len(self._plain) + len(self._telling) >= _MOST_WORDS:
            self._plain.clear()
            self._telling.clear()
        if parts:
            self._telling[word] = parts
        else:
            self._plain.add(word)


def _parts(hint: str) -> list[str]:
    """The words of a hint, each with a space on the sides where the hint goes on: there a word of the text ends."""
    pieces = _SEPARATORS.split(hint)
    last = len(pieces) - 1
    if not any(pieces[::2]):
        raise ValueError(f"the hint {hint!r} has no word")
    return [f"{' ' * (i > 0)}{pieces[i]}{' ' * (i < last)}" for i in range(0, last + 1, 2) if pieces[i]]
