"""Writes the French description of a gym from facts alone: plain sentences that claim nothing else.

What must not live here: finding the facts, and judging somebody else's description (descriptions.py).
"""

from collections.abc import Iterable, Sequence

from gym_enrichment.domain.amenities import Amenity
from gym_enrichment.domain.hours import Week, french_sentence

_MAX_DESCRIPTION = 600
_IN_A_SENTENCE = 4  # amenities that one sentence can hold and still read well
_CLASSES = "cours"


def composed_description(name: str, city: str, amenities: Sequence[Amenity], women: bool, week: Week | None) -> str:
    """Three or four French sentences; the hours are shortened when they would make it too long."""
    opening = [_introduction(name, city), *_amenity_sentences(amenities, single=women)]
    if women:
        opening.append("Des horaires ou un espace réservés aux femmes y sont signalés.")
    full = " ".join([*opening, *_hours_sentences(week, len(opening))])
    if len(full) <= _MAX_DESCRIPTION:
        return full
    short = " ".join([*opening, "Les horaires d'ouverture sont indiqués jour par jour sur sa fiche."])
    return short if len(short) <= _MAX_DESCRIPTION else short[: _MAX_DESCRIPTION - 1].rsplit(" ", 1)[0] + "…"


def _introduction(name: str, city: str) -> str:
    subject = name or "Cet établissement"
    if city:
        return f"{subject} est un établissement répertorié parmi les salles de sport {_at(city)}."
    return f"{subject} est un établissement répertorié parmi les salles de sport de cet annuaire."


def _at(city: str) -> str:
    """ "à Oran", "au Caire", "aux Lilas"."""
    if city.startswith("Le "):
        return f"au {city[3:]}"
    if city.startswith("Les "):
        return f"aux {city[4:]}"
    return f"à {city}"


def _amenity_sentences(amenities: Sequence[Amenity], single: bool) -> list[str]:
    """One sentence about what is there and one about the classes, or one about both."""
    things = [a.indefinite for a in amenities if a.group != _CLASSES]
    classes = [a.indefinite for a in amenities if a.group == _CLASSES]
    if not amenities:
        return ["Les avis disponibles ne précisent pas d'équipement particulier."]
    if single or not things or not classes:
        both = [*things[:_IN_A_SENTENCE], *classes[: max(2, _IN_A_SENTENCE - len(things))]]
        return [f"Les avis y mentionnent {_listed(both)}."]
    return [
        f"Les avis y mentionnent {_listed(things[:_IN_A_SENTENCE])}.",
        f"Les clients évoquent aussi {_listed(classes[:_IN_A_SENTENCE])}.",
    ]


def _hours_sentences(week: Week | None, already: int) -> list[str]:
    if week is None:
        # Whoever writes may not have been given them: hours that were parsed are published without asking.
        pointer = ["Ses horaires d'ouverture, lorsqu'ils sont connus, figurent sur sa fiche."]
        return pointer if already > 2 else [*pointer, "Cette description se fonde sur les avis de ses clients."]
    sentence = french_sentence(week).strip()
    if not sentence:
        return ["Ses horaires d'ouverture sont indiqués sur sa fiche."]
    return [sentence if sentence.endswith((".", "!", "…")) else f"{sentence}."]


def _listed(parts: Iterable[str]) -> str:
    """ "un sauna, une piscine et un parking"."""
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} et {items[-1]}"
