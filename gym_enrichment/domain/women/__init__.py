"""Does a gym keep hours or a space for women only? Rules over text; nothing about models, prompts or storage."""

from gym_enrichment.domain.women.judging import (
    WomenStatement,
    may_speak_of_women,
    women_hints,
    women_only_name,
    women_only_places,
    women_only_statements,
    women_only_verdict,
)

__all__ = [
    "WomenStatement",
    "may_speak_of_women",
    "women_hints",
    "women_only_name",
    "women_only_places",
    "women_only_statements",
    "women_only_verdict",
]
