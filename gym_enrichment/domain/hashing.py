"""One way to say in 32 characters what something holds, for "has it changed?".

What must not live here: what belongs into a hash (that is each caller's rule).
"""

import json
from datetime import datetime
from hashlib import blake2b


def _spell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no canonical JSON form")


# Made once: json.dumps with options builds a new encoder at every call.
_canonical = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_spell
)


def content_hash(value: object) -> str:
    """32 hex characters (128 bits of blake2b) of the canonical JSON of `value`.

    Args:
        value: anything JSON can hold, and datetimes; keys of objects in any order.

    Raises:
        TypeError: something inside has no JSON form.
        ValueError: a number that is not finite, or text that is not Unicode (a lone surrogate).
    """
    return blake2b(_canonical.encode(value).encode(), digest_size=16).hexdigest()
