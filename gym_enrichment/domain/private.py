"""What must never be kept of a row: who wrote a review, their photos, what the owner answered.

What must not live here: anything that keeps such a value, even hashed.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

DEEPEST = 32
"""Levels of nesting that are looked at; deeper ones are left out. Google's own details have six."""

# `userRatingCount` and `user_reviews_total` are figures of the gym, not of a person.
_PRIVATE = re.compile(
    r"author|auteur|reviewer|avatar|profile|photo|picture|owner|reply|replies|respon[sd]|contribut"
    r"|customer|nickname|pseudo|utilisateur|localguide|user(?!s?rating|s?review)"
)
_NOT_LETTERS = re.compile(r"[\W_]+")
_KEY = re.compile(r"""(\\*["'])([^"'\\\n]{1,64})\1\s*:\s*""")


@lru_cache(maxsize=4096)
def is_private(key: str) -> bool:
    """Whether a key names a person or their things: `author_name`, `authorAttribution`, `photos`..."""
    return _PRIVATE.search(_NOT_LETTERS.sub("", key.lower())) is not None


def without_private(value: Any, depth: int = 0) -> Any:
    """`value` without private keys at any level, also inside strings that hold JSON."""
    if depth > DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {k: without_private(v, depth + 1) for k, v in value.items() if not is_private(str(k))}
    if isinstance(value, list | tuple):
        return [without_private(item, depth + 1) for item in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _json_text_without_private(value, depth)
    return value


def _json_text_without_private(text: str, depth: int) -> str:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return redact(text)
    cleaned = without_private(parsed, depth + 1)
    return text if cleaned == parsed else json.dumps(cleaned, ensure_ascii=False)


def redact(text: str) -> str:
    """Text that could not be parsed, the values of its private keys replaced by `"…"`.

    A value whose end cannot be found is taken to reach to the end of the text.
    """
    parts, done = [], 0
    while (key := _KEY.search(text, done)) is not None:
        if is_private(key[2]):
            parts += [text[done : key.end()], '"…"']
            done = _end_of_value(text, key.end(), key[1])
        else:
            parts.append(text[done : key.end()])
            done = key.end()
    return "".join(parts) + text[done:]


def _end_of_value(text: str, start: int, quote: str) -> int:
    depth, at = 0, start
    while at < len(text):
        if text.startswith(quote, at):
            at = _end_of_string(text, at + len(quote), quote)
            if depth == 0:
                return at
            continue
        if text[at] in "{[":
            depth += 1
        elif text[at] in "}]":
            depth -= 1
            if depth <= 0:
                return at + 1 if depth == 0 else at
        elif text[at] == "," and depth == 0:
            return at
        at += 1
    return at


def _end_of_string(text: str, start: int, quote: str) -> int:
    while (found := text.find(quote, start)) >= 0:
        backslashes = found - len(text[:found].rstrip("\\"))
        # A quote that is itself written \" (JSON inside a string) is escaped by any further backslash.
        escaped = backslashes > 0 if quote.startswith("\\") else backslashes % 2 == 1
        start = found + len(quote)
        if not escaped:
            return start
    return len(text)
