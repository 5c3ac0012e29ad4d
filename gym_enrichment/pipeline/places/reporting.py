"""What discovery and refresh did, and what they would do: the figures of `places --json`, of Dagster and of tests.

What must not live here: asking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gym_enrichment.pipeline.ingesting import IngestReport
from gym_enrichment.sources.google_places import PRICED_ON, Sku
from gym_enrichment.storage.place_requests import PlacesUsage

MOST_SHOWN = 20
"""Most failures that are named one by one."""


def requests_by_sku(usage: Sequence[PlacesUsage]) -> dict[str, dict[str, float]]:
    """SKU to requests, those that may be charged, and dollars at list price."""
    return {
        used.sku: {"requests": used.requests, "charged": used.charged, "cost_usd": round(used.cost_usd, 6)}
        for used in usage
    }


def _asked(usage: Sequence[PlacesUsage]) -> dict[str, Any]:
    """Requests by SKU, and their dollars together."""
    return {"requests": requests_by_sku(usage), "cost_usd": round(sum(used.cost_usd for used in usage), 6)}


@dataclass(slots=True)
class Discovery:
    """What a search of areas did. `full` are rectangles too small to cut that may hold more places than were found."""

    new: int = 0
    known: int = 0
    pages: int = 0
    split: int = 0
    full: int = 0
    unfinished: int = 0
    due: int = 0
    usage: Sequence[PlacesUsage] = ()
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `places discover --json`."""
        return {
            "new": self.new,
            "known": self.known,
            "pages": self.pages,
            "split": self.split,
            "full": self.full,
            "unfinished": self.unfinished,
            "due": self.due,
            **_asked(self.usage),
            "failures": [{"area": area, "error": reason} for area, reason in self.failures[:MOST_SHOWN]],
            "stopped": self.stopped,
        }


@dataclass(slots=True)
class Refresh:
    """What a refresh did. `due` is what it left to be asked for."""

    fetched: int = 0
    gone: int = 0
    id_changed: int = 0
    set_aside: int = 0
    failed: int = 0
    due: int = 0
    usage: Sequence[PlacesUsage] = ()
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: str | None = None
    ingested: IngestReport = field(default_factory=IngestReport)

    def as_dict(self) -> dict[str, Any]:
        """For `places refresh --json`."""
        return {
            "fetched": self.fetched,
            "gone": self.gone,
            "id_changed": self.id_changed,
            "set_aside": self.set_aside,
            "failed": self.failed,
            "due": self.due,
            **self.ingested.as_dict(),
            **_asked(self.usage),
            "failures": [{"place_id": place, "error": reason} for place, reason in self.failures[:MOST_SHOWN]],
            "stopped": self.stopped,
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """Requests of a SKU that would be made: without errors, and at most. None: only the daily limit bounds them."""

    sku: Sku
    requests: int
    requests_at_most: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What discovery or refresh would ask, and cost at list price. Nothing was asked to find out."""

    subject: dict[str, int]
    expected: Sequence[Expected]
    dollars_left: float | None

    @property
    def cost_usd(self) -> float:
        """Every request charged once."""
        return sum(row.requests * row.sku.dollars_per_1000 / 1000 for row in self.expected)

    @property
    def cost_usd_at_most(self) -> float:
        """With every attempt charged that may be, and never more than is left of GYM_PLACES_BUDGET_MONTH_USD."""
        most = sum((row.requests_at_most or 0) * row.sku.dollars_per_1000 / 1000 for row in self.expected)
        return most if self.dollars_left is None else min(most, self.dollars_left)

    def as_dict(self) -> dict[str, Any]:
        """For `--dry-run --json`."""
        rows = {
            row.sku.value: {
                "requests": row.requests,
                "requests_at_most": row.requests_at_most,
                "dollars_per_1000": row.sku.dollars_per_1000,
                "field_mask": row.sku.mask,
            }
            for row in self.expected
        }
        cost = {"cost_usd": round(self.cost_usd, 6), "cost_usd_at_most": round(self.cost_usd_at_most, 6)}
        return {**self.subject, "requests": rows, **cost, "prices_of": PRICED_ON}
