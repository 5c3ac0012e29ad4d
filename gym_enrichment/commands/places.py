"""`gym-enrichment places`: finding gyms at Google Places, and fetching their details."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from gym_enrichment.commands.arguments import json_option
from gym_enrichment.commands.exits import INTERRUPTED, SOME_FAILED, refuse
from gym_enrichment.domain.places import Area, AreaError, parse_area
from gym_enrichment.settings import Settings, load_settings

if TYPE_CHECKING:
    from gym_enrichment.pipeline.places.reporting import Estimate

_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be asked and cost; asks nothing.")


@click.group()
def places() -> None:
    """Find gyms at Google Places, and fetch and refresh their details; needs GOOGLE_PLACES_API_KEY."""


@places.command()
@click.option(
    "--area",
    "areas",
    multiple=True,
    metavar="NAME",
    help="A name, or SOUTH,WEST,NORTH,EAST in degrees; may be given several times (default: GYM_PLACES_AREAS).",
)
@_dry_run
@json_option
def discover(areas: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Search areas for gyms; asks for their ids alone, which is free. `refresh` fetches their details."""
    from gym_enrichment.console import print_json, say
    from gym_enrichment.pipeline.places.discovering import discover as discover_areas
    from gym_enrichment.pipeline.places.discovering import estimate_discovery
    from gym_enrichment.pipeline.places.refreshing import estimate_refresh

    settings = load_settings()
    wanted = _areas(settings, areas)
    if dry_run:
        _show_estimate("What `places discover` would ask", estimate_discovery(settings, wanted), as_json)
        say("each place that it finds is then one request of `places refresh`")
        return
    with _goes_on_later():
        found = discover_areas(settings, wanted)
    if as_json:
        print_json(found.as_dict())
    else:
        _show_figures("Discovery", found.as_dict())
    if found.due:
        cost = estimate_refresh(settings).cost_usd
        say(f"{found.due} places wait for their details: `places refresh` fetches them, at list price for ${cost:,.2f}")
    if found.full:
        say(f"{found.full} rectangles of some 200 m hold more places than a search returns")
    _end(found.stopped, "area", found.failures)


@places.command()
@click.option("--limit", type=click.IntRange(min=1), help="Most places to ask for.")
@_dry_run
@json_option
def refresh(limit: int | None, dry_run: bool, as_json: bool) -> None:
    """Fetch the details of places that were found, and of those whose details are 30 days old."""
    from gym_enrichment.console import print_json
    from gym_enrichment.launching import report_ingest
    from gym_enrichment.pipeline.places.refreshing import estimate_refresh
    from gym_enrichment.pipeline.places.refreshing import refresh as refresh_places

    settings = load_settings()
    if dry_run:
        _show_estimate("What `places refresh` would ask", estimate_refresh(settings, limit), as_json)
        return
    with _goes_on_later():
        done = refresh_places(settings, limit)
    report_ingest(settings, done.ingested)
    if as_json:
        print_json(done.as_dict())
    else:
        _show_figures("Refresh", done.as_dict())
    _end(done.stopped, "place", done.failures)


@places.command()
@json_option
def show(as_json: bool) -> None:
    """How many places there are of each state, why some are not current, and this month's requests by SKU."""
    from datetime import UTC, datetime

    from gym_enrichment.console import print_json, print_table
    from gym_enrichment.pipeline.places.reporting import MOST_SHOWN, requests_by_sku
    from gym_enrichment.storage.place_requests import month_of, requests_since
    from gym_enrichment.storage.places import count_places, places_with_reasons

    with load_settings().database.read() as connection:
        states = count_places(connection)
        reasons = places_with_reasons(connection, None if as_json else MOST_SHOWN)
        month = requests_by_sku(requests_since(connection, month_of(datetime.now(UTC))))
    if as_json:
        print_json({"states": states, "reasons": reasons, "requests_this_month": month})
        return
    print_table("Places", ["state", "places"], list(states.items()))
    print_table("Requests of this month", ["SKU", "requests", "charged", "cost, $"], _rows(month))
    if reasons:
        print_table("Why", ["place", "state", "reason"], [[r["place_id"], r["state"], r["reason"]] for r in reasons])


@contextmanager
def _goes_on_later() -> Iterator[None]:
    from gym_enrichment.console import say

    try:
        yield
    except KeyboardInterrupt:
        say("stopped: what was answered is saved; the same command goes on from here")
        sys.exit(INTERRUPTED)


def _areas(settings: Settings, given: tuple[str, ...]) -> tuple[Area, ...]:
    try:
        found = tuple(dict.fromkeys(parse_area(text) for text in given)) or settings.place_areas
    except AreaError as error:
        raise click.BadParameter(str(error), param_hint="--area") from None
    if not found:
        raise click.UsageError("give --area, or set GYM_PLACES_AREAS")
    return found


def _show_estimate(title: str, estimate: "Estimate", as_json: bool) -> None:
    from gym_enrichment.console import print_json, print_table, say

    shown = estimate.as_dict()
    if as_json:
        print_json(shown)
        return
    rows = [
        [sku, row["requests"], row["requests_at_most"], row["dollars_per_1000"], row["field_mask"].replace(",", " ")]
        for sku, row in shown["requests"].items()
    ]
    print_table(title, ["SKU", "requests", "at most", "$ per 1,000", "field mask"], rows)
    subject = ", ".join(f"{name.replace('_', ' ')}: {number}" for name, number in estimate.subject.items())
    say(
        f"{subject}; ${shown['cost_usd']:,.4g} at list price, ${shown['cost_usd_at_most']:,.4g} at most"
        f" (prices of {shown['prices_of']}; the free requests of each month are not taken off)"
    )


def _show_figures(title: str, figures: dict[str, Any]) -> None:
    from gym_enrichment.console import print_table

    plain = [[name, value] for name, value in figures.items() if not isinstance(value, dict | list)]
    print_table(title, ["", ""], plain)
    print_table("Requests", ["SKU", "requests", "charged", "cost, $"], _rows(figures["requests"]))


def _rows(requests: dict[str, dict[str, float]]) -> list[list[Any]]:
    return [[sku, *row.values()] for sku, row in requests.items()]


def _end(stopped: str | None, what: str, failures: list[tuple[str, str]]) -> None:
    """Exit code 0 also when one of our own limits was reached: that is what it is for."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.places.reporting import MOST_SHOWN

    if failures:
        say("\n".join(f"{what} {name}: {reason}" for name, reason in failures[:MOST_SHOWN]))
    if stopped is not None and not stopped.startswith("GYM_PLACES_"):
        refuse(stopped)
    if stopped is not None:
        say(f"{stopped}: the next run goes on from here")
    if failures:
        sys.exit(SOME_FAILED)
