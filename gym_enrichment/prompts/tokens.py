"""Counts tokens in the model's own vocabulary, which comes with a package: nothing is downloaded."""

from functools import cache
from typing import Any

_VOCABULARY = "o200k_base"
"""The vocabulary of OpenAI's models since gpt-4o; other models' counts differ by a few percent."""


def count_tokens(text: str) -> int:
    """How many tokens `text` is."""
    return int(_encoding().count(text))


@cache
def _encoding() -> Any:
    import quicktok  # reads 8 MB of vocabulary: only processes that count pay for it

    return quicktok.get_encoding(_VOCABULARY)
