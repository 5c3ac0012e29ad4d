"""The fan-out's three prompts about one gym: its description, its amenities, its women-only and opening hours.

What makes an answer good is said in combined.py, for all prompts. A change of what a part is told, of its schema or
of how a bundle is rendered is a new VERSION. What must not live here: sending, and putting answers together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from gym_enrichment.domain.models import Bundle
from gym_enrichment.prompts import combined
from gym_enrichment.prompts.combined import AmenitiesAnswer, DescriptionAnswer, WomenAnswer

Parsed = TypeVar("Parsed", bound=BaseModel)

VERSION = "fanout-1"
MOST_COMPLETION_TOKENS = 600
"""An answer to one of them within the rules is 20 to 150 tokens; a gym whose answer is cut gets twice this, once."""


@dataclass(frozen=True)
class PartPrompt(Generic[Parsed]):
    """One of the three prompts.

    Args:
        name: what failures call it.
        rule: what it asks for.
        properties: of its answer's schema.
        form: its answer.
        states_hours: whether it is the one that is asked for hours, where no rule can read them.
    """

    name: str
    rule: str
    properties: Mapping[str, Any]
    form: type[Parsed]
    states_hours: bool = False

    @property
    def instructions(self) -> str:
        """What stands first, byte-identical for all gyms whose hours a rule can read."""
        return combined.TASK + combined.ONE_GYM + combined.EVIDENCE_RULE + self.rule

    @property
    def schema_name(self) -> str:
        """The name of its schema."""
        return f"gym_{self.name}"

    def render(self, bundle: Bundle) -> list[dict[str, str]]:
        """The messages: the part's instructions, then the same gym and reviews as in the other parts."""
        hours_rule = combined.HOURS_RULE if self._asks_hours(bundle) else ""
        return combined.messages(self.instructions + hours_rule, bundle)

    def schema(self, bundle: Bundle) -> Mapping[str, Any]:
        """The schema of the answer about `bundle`."""
        hours = combined.HOURS_PROPERTY if self._asks_hours(bundle) else {}
        return combined.schema_of({**self.properties, **hours})

    def parse(self, text: str) -> Parsed:
        """The answer in `text`; what it claims is not checked yet.

        Raises:
            AnswerRejected: not JSON, or not of the schema.
        """
        return combined.parse_as(self.form, text)

    def _asks_hours(self, bundle: Bundle) -> bool:
        return self.states_hours and combined.asks_hours(bundle)


DESCRIPTION = PartPrompt("description", combined.DESCRIPTION_RULE, combined.DESCRIPTION_PROPERTY, DescriptionAnswer)
AMENITIES = PartPrompt("amenities", combined.AMENITIES_RULE, combined.AMENITIES_PROPERTY, AmenitiesAnswer)
WOMEN = PartPrompt("women_hours", combined.WOMEN_RULE, combined.WOMEN_PROPERTIES, WomenAnswer, states_hours=True)
PARTS: tuple[PartPrompt[Any], ...] = (DESCRIPTION, AMENITIES, WOMEN)
