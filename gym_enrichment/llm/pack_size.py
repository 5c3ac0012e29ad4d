"""How many questions the next call should hold: learned from how the last ones went, the same for the same history.

What must not live here: which questions those are, and what becomes of their answers (packing.py).
"""

from collections.abc import Iterable

MOST = 10
"""More save little: of ten gyms in a call, each pays a tenth of the instructions."""
START = 5
_FEW_INVALID = 0.2
"""One part, or one of five, may go wrong by chance; more, and the call was too much for the model."""
_GOOD_CALLS = 3
_MOST_GOOD_CALLS = 48


class PackSize:
    """Begins at 5, climbs by one after some good calls in a row, falls at once after a bad one.

    A fall doubles the number of good calls that the next step up takes: the size settles instead of sawing.

    Args:
        slow_seconds: a call that takes longer counts as too large, even if its answer is good.
        start, most: the first and the largest size.
    """

    def __init__(self, slow_seconds: float, start: int = START, most: int = MOST) -> None:
        self.size = min(start, most)
        self._slow_seconds = slow_seconds
        self._most = most
        self._good = 0
        self._good_needed = _GOOD_CALLS

    def answered(self, asked: int, invalid: int, seconds: float) -> None:
        """A call of `asked` questions was answered, `invalid` of them unusably."""
        if seconds > self._slow_seconds or invalid > max(1.0, _FEW_INVALID * asked):
            self._fall(asked * 3 // 4)
        elif invalid == 0 and asked >= self.size:
            self._good += 1
            if self._good >= self._good_needed and self.size < self._most:
                self.size += 1
                self._good = 0

    def failed(self, asked: int) -> None:
        """A call brought nothing because it was too large, or may have been: cut, too long, timed out, no JSON."""
        self._fall(asked // 2)

    def _fall(self, size: int) -> None:
        # Calls of the old size that are still on their way will fail as well: they must not make it fall again.
        self._good = 0
        if max(1, size) < self.size:
            self.size = max(1, size)
            self._good_needed = min(2 * self._good_needed, _MOST_GOOD_CALLS)


def gathered(waiting: Iterable[tuple[int, int]], size: int, token_budget: int) -> tuple[int, bool]:
    """How many of those that wait, from the first, share the next call; and whether no other could join them.

    Args:
        waiting: of each in its turn its tokens, and the most questions it may share a call with, itself included.
        size: most questions.
        token_budget: most tokens, of two or more: one question may be larger.
    """
    count = tokens = 0
    for own_tokens, own_most in waiting:
        tokens += own_tokens
        if count and (tokens > token_budget or own_most <= count):
            return count, True
        count += 1
        size = min(size, own_most)
        if count >= size:
            return count, True
    return count, False


def shares(total: int, weights: list[int]) -> list[int]:
    """`total` split into whole parts about as the weights are; they add up to it exactly."""
    heaviest = sum(weights) or 1
    parts, weight, given = [], 0, 0
    for own in weights:
        weight += own
        parts.append(total * weight // heaviest - given)
        given += parts[-1]
    return parts
