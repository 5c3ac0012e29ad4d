"""Renders a report: templates, styles and scripts of this package into one string of HTML.

Names, descriptions and reviews are untrusted: the templates escape them, the gallery gets them as JSON and shows them
as text, and the page's policy lets no script and no style run but its own two, and nothing be loaded.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gym_enrichment.pipeline.gallery import Fact, Gallery, GymView
from gym_enrichment.pipeline.reporting import DayOfVariant, Report, VariantFigures
from gym_enrichment.report import french
from gym_enrichment.report.charts import HEIGHT, bars_by_day
from gym_enrichment.storage.private_files import create_private

_COMPARED = (
    ("Appels par salle", "calls_per_gym", french.figure),
    ("Jetons par salle", "tokens_per_gym", french.figure),
    ("Coût par salle", "cost_usd_per_gym", french.dollars),
    ("Latence médiane d’un appel", "latency_p50", french.seconds),
    ("Latence p95 d’un appel", "latency_p95", french.seconds),
    ("Réponses invalides", "invalid_share", french.percent),
    ("Équipements sans preuve", "unverified_share", french.percent),
)
"""What variants are compared by: less is better in each."""


def write_report(report: Report, path: Path) -> int:
    """Write the page, for its owner alone if it is new. Returns its size in bytes; raises OSError if it cannot."""
    page = render(report).encode()
    with create_private(path) as file:
        file.write(page)
    return len(page)


def render(report: Report) -> str:
    """The whole page."""
    environment = _environment()
    style, script = (_own(name) for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        report=report,
        style=style,
        script=script,
        policy=_policy(style, script),
        charts={
            "cost": _daily(report.days, "cost_usd", french.dollars),
            "tokens": _daily(report.days, "tokens", french.number),
            "gyms": bars_by_day(
                {(row.day, "enrichies"): row.enriched for row in report.throughput_days},
                french.number,
                french.short_day,
            ),
        },
        compared=_compared(report.variants),
        gallery=_gallery_data(report.gallery),
        height=HEIGHT,
        fr=french,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gym_enrichment.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _policy(style: str, script: str) -> str:
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _own(name: str) -> Markup:
    """A file of the package: the only text that goes into the page as it is."""
    return Markup((files("gym_enrichment.report") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704


def _daily(days: Sequence[DayOfVariant], name: str, shown: Any) -> Any:
    return bars_by_day({(row.day, row.variant): getattr(row, name) for row in days}, shown, french.short_day)


def _compared(variants: Sequence[VariantFigures]) -> list[dict[str, Any]]:
    """A row per figure: for each variant its text, the difference from the first variant, and its bar in percent."""
    rows = []
    for label, name, shown in _COMPARED:
        values = [getattr(variant, name) for variant in variants]
        largest = max((value for value in values if value is not None), default=0)
        cells = [
            {
                "text": shown(value),
                "change": value / values[0] - 1 if place and value is not None and values[0] else None,
                "bar": round(100 * value / largest, 1) if value and largest else 0,
            }
            for place, value in enumerate(values)
        ]
        rows.append({"label": label, "cells": cells})
    return rows


def _gallery_data(gallery: Gallery) -> dict[str, Any]:
    """The gallery as page.js reads it: reviews by number, and short names, since there are hundreds of gyms."""
    numbers = {review: number for number, review in enumerate(gallery.reviews)}
    return {"gyms": [_gym(gym, numbers) for gym in gallery.gyms], "reviews": list(gallery.reviews.values())}


def _gym(gym: GymView, numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "name": gym.name,
        "city": gym.city,
        "address": gym.address,
        "state": gym.state,
        "text": gym.description,
        "textStatus": gym.description_status,
        "amenities": [[label, _fact(fact, numbers)] for label, fact in gym.amenities.items()],
        "women": _fact(gym.women, numbers) if gym.women else None,
        "womenHours": gym.women_hours,
        "hours": gym.hours,
        "sentence": gym.hours_sentence,
        "hoursStatus": gym.hours_status,
        "legacy": gym.legacy,
    }


def _fact(fact: Fact, numbers: dict[str, int]) -> dict[str, Any]:
    known = [numbers[review] for review in fact.reviews if review in numbers]
    return {"status": fact.status, "reviews": known, "of": fact.supported_by, "byName": fact.by_name}
