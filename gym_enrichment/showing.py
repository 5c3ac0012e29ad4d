"""What `show`, `stats` and the end of `run` print."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gym_enrichment.console import output, print_json, print_table, say
from gym_enrichment.domain.evaluation import Share
from gym_enrichment.domain.hours import HoursError, french_sentence, parse_hours, split_hours_text
from gym_enrichment.storage.breakdowns import ASKED_WITH, FOUND
from gym_enrichment.storage.directory import directory_counts, find_published, first_published
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import find_enrichments, find_failures
from gym_enrichment.storage.experiments import experiment_in_force
from gym_enrichment.storage.places import find_place
from gym_enrichment.storage.raw_lookups import find_quarantined, find_review_texts

if TYPE_CHECKING:
    from gym_enrichment.domain.evaluation import Difference
    from gym_enrichment.launching import RunReport
    from gym_enrichment.pipeline.evaluating import Evaluation, Figure

_GYMS_IN_TABLE = 12
_QUOTE_CHARACTERS = 200


def show_run(database: Database, report: "RunReport") -> None:
    """The published gyms (some of them) and the figures of a run."""
    with database.read() as connection:
        rows = first_published(connection, _GYMS_IN_TABLE)
        published = sum(directory_counts(connection).values())
    print_table("This run", ["", ""], [[name, value] for name, value in report.figures.items()])
    if report.failures:
        print_table("Failed", ["gym", "why"], [[f["place_id"], f["error"]] for f in report.failures[:20]])
    print_table(
        f"Directory: {len(rows)} of {published} gyms",
        ["gym", "description", "amenities", "women-only", "hours"],
        [
            [
                f"{row['name'] or row['place_id']}\n{row['city'] or ''}",
                row["description"] or row["state"],
                row["amenities"],
                row["has_women_hours"],
                _short_hours(row["hours_french"]),
            ]
            for row in rows
        ],
    )


def show_gym(database: Database, place_id: str, as_json: bool, variant: str) -> bool:
    """One gym with all that is known; False when there is no such gym."""
    with database.read() as connection:
        published = find_published(connection, place_id, experiment_in_force(connection, variant))
        if published is None:
            return False
        enrichments = find_enrichments(connection, place_id)
        failures = find_failures(connection, place_id=place_id)
        texts = find_review_texts(connection, _evidence_ids(enrichments))
        place = find_place(connection, place_id)
    if as_json:
        others = {"evidence_reviews": texts, "google_places": place}
        print_json(dict(published) | {"enrichments": enrichments, "failures": failures} | others)
        return True
    print_table(str(published["name"] or place_id), ["", ""], list(published.items()))
    if place is not None:
        print_table("Google Places", ["", ""], list(place.items()))
    for enrichment in enrichments:
        metadata = {name: value for name, value in enrichment.items() if name not in published and name != "evidence"}
        print_table(f"Enrichment ({enrichment['variant']})", ["", ""], list(metadata.items()))
        _print_evidence(enrichment["evidence"], texts)
    for failure in failures:
        print_table(f"Failure ({failure['variant']})", ["", ""], list(failure.items()))
    return True


def show_quarantine(database: Database, as_json: bool) -> None:
    """The rows that could not be used, with their source, line and reason."""
    with database.read() as connection:
        rows = find_quarantined(connection)
    if as_json:
        print_json({"quarantine": rows})
        return
    print_table(
        f"Quarantine: {len(rows)} rows",
        ["source", "line", "kind", "reason"],
        [[row["source"], row["line"], row["kind"], row["reason"]] for row in rows],
    )


def show_statistics(found: Mapping[str, Any]) -> None:
    """The figures of the last run and of all time, what they were spent on, what was found, and the budgets."""
    if found["last_run"] is None:
        say("nothing was run yet")
    last = found["last_run"] or {}
    print_table("Statistics", ["", "last run", "all time"], [[k, last.get(k), v] for k, v in found["all_time"].items()])
    print_table("Attempts", ["outcome", "number"], list(found["attempts"].items()))
    print_table("Directory", ["state", "gyms"], list(found["directory"].items()))
    for title, name in (("Days", "days"), ("Seconds per answer", "latency"), ("Failures", "failures")):
        _print_rows(title, found[name])
    asked = [", ".join(str(row[name]) for name in ASKED_WITH if row[name] is not None) for row in found["found"]]
    if asked:
        counts = [[name.replace("_", " "), *(row[name] for row in found["found"])] for name in FOUND]
        print_table("What was found", ["", *asked], counts)
    if found["budgets"]:
        rows = [[scope, *dollars.values()] for scope, dollars in found["budgets"].items()]
        print_table("Budgets", ["", "spent, $", "reserved, $"], rows)


def _print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of the same names as a table; nothing if there are none."""
    if rows:
        cells = [[", ".join(v) if isinstance(v, list) else v for v in row.values()] for row in rows]
        print_table(title, [name.replace("_", " ") for name in rows[0]], cells)


def show_evaluations(evaluations: "Sequence[Evaluation]", as_json: bool) -> None:
    """Each figure with its 95 % interval, and how it changed since the evaluation before."""
    if as_json:
        print_json({"evaluations": [evaluation.as_dict() for evaluation in evaluations]})
        return
    for evaluation in evaluations:
        asked = ", ".join(filter(None, (evaluation.variant, evaluation.prompt_version, evaluation.model)))
        print_table(
            f"{evaluation.labels}: {evaluation.gyms} gyms ({asked})",
            ["", "value", "95 % interval", "of", f"change since {evaluation.compared_with}"],
            [
                [
                    name,
                    rounded(figure.value),
                    interval(figure),
                    figure.of if isinstance(figure, Share) else f"{figure.units} gyms",
                    changed(evaluation.changes.get(name)),
                ]
                for name, figure in evaluation.figures.items()
            ],
        )


def interval(figure: "Figure | Difference") -> str:
    """The 95 % interval of a figure, or that there is too little data for one."""
    if figure.low is None or figure.high is None:
        return "not enough data"
    return f"{rounded(figure.low)} to {rounded(figure.high)}" + (" (few)" if figure.small else "")


def changed(change: "Difference | None") -> str:
    """A difference with its verdict; nothing where there is none."""
    if change is None or change.change is None:
        return ""
    return f"{change.change:+.3g}: {change.verdict}"


def rounded(value: float | None) -> str:
    """Three digits of small numbers, all whole ones of others."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


def _short_hours(hours_french: str | None) -> str | None:
    """One sentence for the seven lines, where they can be read."""
    try:
        return french_sentence(parse_hours(split_hours_text(hours_french or ""))) or hours_french
    except HoursError:
        return hours_french


def _evidence_ids(enrichments: Any) -> list[str]:
    ids: set[str] = set()
    for enrichment in enrichments:
        evidence = enrichment["evidence"]
        for reviews in [*evidence.get("amenities", {}).values(), evidence.get("has_women_hours", [])]:
            ids.update(reviews)
    return sorted(ids)


def _print_evidence(evidence: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    claims = dict(evidence.get("amenities", {}))
    if evidence.get("has_women_hours"):
        claims["has_women_hours"] = evidence["has_women_hours"]
    rows = [
        [claim, review_id, (texts.get(review_id) or "")[:_QUOTE_CHARACTERS].replace("\n", " ")]
        for claim, review_ids in claims.items()
        for review_id in review_ids
    ]
    print_table("Evidence", ["claim", "review", "text"], rows)
    output.print()
