"""The packed prompt: one call that asks for everything about several gyms, each under a short id.

What makes an answer about one gym good is said in combined.py, for both. A change of INSTRUCTIONS, SCHEMA or of how
gyms are rendered is a new VERSION. What must not live here: which gyms share a call, and sending it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.domain.models import Bundle
from gym_enrichment.prompts import combined
from gym_enrichment.prompts.combined import CombinedAnswer
from gym_enrichment.prompts.tokens import count_tokens

VERSION = "packed-2"

# First and byte-identical in every request, whatever gyms follow, so that providers' prompt caches can serve it.
INSTRUCTIONS = (
    combined.TASK
    + "The user message is one JSON object: gyms by id, each with its facts and reviews of it by customers, numbered"
    " for each gym anew. Answer with one entry for each gym, in their order, under the gym's id. What is said of one"
    " gym says nothing of another. " + combined.RULES
)

_GYM = {"id": {"type": "string"}, **combined.PROPERTIES}


def _schema(gym: Mapping[str, Any]) -> Mapping[str, Any]:
    return combined.schema_of({"gyms": {"type": "array", "items": combined.schema_of(gym)}})


_SCHEMA = _schema(_GYM)
_SCHEMA_WITH_HOURS = _schema({**_GYM, **combined.HOURS_PROPERTY})
SCHEMA_NAME = "gym_enrichments"


def most_completion_tokens(gyms: int) -> int:
    """The limit of an answer about so many gyms: one within the rules takes 300 to 400 tokens a gym."""
    return 450 * gyms + 250


def render(bundles: Sequence[Bundle]) -> list[dict[str, str]]:
    """The messages for some gyms: the instructions, then the gyms as JSON, keyed "g1", "g2", ... in their order."""
    gyms = {gym_id(position): combined.gym_content(bundle) for position, bundle in enumerate(bundles)}
    instructions = INSTRUCTIONS + combined.HOURS_RULE if any(map(combined.asks_hours, bundles)) else INSTRUCTIONS
    return [{"role": "system", "content": instructions}, {"role": "user", "content": _json({"gyms": gyms})}]


def schema(bundles: Sequence[Bundle]) -> Mapping[str, Any]:
    """The schema of the answer about some gyms."""
    return _SCHEMA_WITH_HOURS if any(map(combined.asks_hours, bundles)) else _SCHEMA


def content_tokens(bundle: Bundle) -> int:
    """How many tokens one gym adds to a prompt."""
    return count_tokens(_json({gym_id(0): combined.gym_content(bundle)}))


def gym_id(position: int) -> str:
    """What the gym at a position, from 0, is called in one prompt."""
    return f"g{position + 1}"


def split(text: str, gyms: int) -> list[str | None]:
    """Each gym's part of the answer to a prompt of `gyms` gyms, as the answer to a prompt of that gym alone.

    None for a gym whose id is not there or not there once; an entry of an unknown id is nobody's. Nothing of the
    parts is checked but their id.

    Raises:
        AnswerRejected: the text is not JSON of the schema's outer shape.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise AnswerRejected(["the answer is not valid JSON"], malformed=True) from None
    entries = answer.get("gyms") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise AnswerRejected(["gyms: must be a list with one entry for each gym"], malformed=True)
    by_id: dict[str, list[Any]] = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            by_id.setdefault(entry["id"].strip(), []).append(entry)
    return [_alone(by_id.get(gym_id(position), [])) for position in range(gyms)]


def parse(text: str) -> CombinedAnswer:
    """The answer to a prompt of one gym; what it claims is not checked yet.

    Raises:
        AnswerRejected: as combined's, and if there is not exactly one entry with the gym's id.
    """
    (part,) = split(text, 1)
    if part is None:
        raise AnswerRejected([f"gyms: must have exactly one entry with the id {gym_id(0)!r}"], malformed=True)
    return combined.parse(_json(json.loads(part)["gyms"][0]))


def _alone(entries: Sequence[Mapping[str, Any]]) -> str | None:
    if len(entries) != 1:
        return None
    part = _json({"gyms": [{**entries[0], "id": gym_id(0)}]})
    # Half of a character is JSON, but no database stores it.
    return None if any("\ud800" <= character <= "\udfff" for character in part) else part


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
