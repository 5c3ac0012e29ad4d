"""`make eval`: what is published is true, figure by figure, on the golden set and on the real data where it is there.

With the LLM of the settings (GYM_LLM=offline needs no key). Prints tables and writes benchmarks/quality.json.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gym_enrichment.domain.hours import HoursError, parse_hours, stated_hours
from gym_enrichment.launching import run_batches
from gym_enrichment.pipeline.choosing import choose_batches
from gym_enrichment.pipeline.evaluating import evaluate, read_labels
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.showing import show_evaluations
from gym_enrichment.storage.enrichments import stream_enriched
from gym_enrichment.storage.evaluations import labelled_bundles

REAL = Path(os.environ.get("GYM_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESULTS = Path(__file__).parent / "quality.json"


def rows(name: str) -> Iterator[dict[str, Any]]:
    for line in (REAL / name).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def hours_figures() -> dict[str, float]:
    """English opening hours against their French side, and how many sets need no LLM."""
    pairs = [pair for pair in rows("hours_pairs.jsonl") if pair["english"] and pair["french"]]
    exact = sum(
        _plain(stated_hours(pair["english"])) == [" ".join(line.split()) for line in pair["french"]] for pair in pairs
    )
    sets = [gym["hours"] for gym in rows("gyms.jsonl") if gym["hours"]]
    sets += [pair["english"] for pair in rows("hours_pairs.jsonl") if pair["english"]]
    parsed = [hours for hours in sets if _parses(hours)]
    invented = sum(
        len(_minutes(parse_hours(_plain(stated_hours(hours)))) - _minutes(parse_hours(hours))) for hours in parsed
    )
    return {
        "hours_pairs": len(pairs),
        "hours_pairs_exact": exact / len(pairs),
        "hours_sets": len(sets),
        "hours_parsed_without_llm": len(parsed) / len(sets),
        "hours_times_invented": invented,
    }


def _plain(hours: Any) -> list[str]:
    return [" ".join(line.split()) for line in hours.french.split("; ")] if hours is not None else []


def _parses(hours: list[str]) -> bool:
    try:
        parse_hours(hours)
    except HoursError:
        return False
    return True


def _minutes(week: Any) -> set[int]:
    return {minute for day in week.days if day for opening in day for minute in (opening.start, opening.end)}


def published_figures(settings: Settings) -> dict[str, float]:
    """What a run over all real gyms took and published."""
    with settings.database.read() as connection:
        enriched = list(stream_enriched(connection))
        bundles = labelled_bundles(connection, [row["place_id"] for row in enriched])
    review_tokens = [tokens for _, tokens in bundles.values()]
    unshown = sum(not row["evidence"]["amenities"].get(label) for row in enriched for label in row["amenities"])
    return {
        "gyms_enriched": len(enriched),
        "review_tokens_median": statistics.median(review_tokens),
        "review_tokens_most": max(review_tokens),
        "tokens_per_call_median": statistics.median(
            row["prompt_tokens"] + row["completion_tokens"] for row in enriched
        ),
        "amenities_published": sum(len(row["amenities"]) for row in enriched),
        "amenities_without_review": unshown,
        "descriptions_repaired": sum(row["statuses"]["description"] == "repaired" for row in enriched),
    }


def real(home: Path) -> Mapping[str, float]:
    """Run over the real gyms, evaluated with the real labels."""
    settings = load_settings(GYM_HOME=home, GYM_DATABASE_URL=f"sqlite:///{home / 'gym.db'}")
    settings.database.migrate()
    ingest(settings.database, [str(REAL / "gyms.jsonl"), str(REAL / "reviews.jsonl")])
    report = run_batches(settings, choose_batches(settings).batch_ids)
    labels = read_labels(REAL / "labels_women.jsonl")
    show_evaluations(evaluate(settings.database, labels, "labels_women", settings.vocabulary), as_json=False)
    figures = {"llm_calls": report.figures["llm_calls"], "failed": report.figures["failed"]}
    return figures | published_figures(settings) | hours_figures()


def main() -> None:
    if not (REAL / "gyms.jsonl").exists():
        sys.exit(f"the real data is not at {REAL}: set GYM_REAL_DATA")
    with tempfile.TemporaryDirectory() as home:
        figures = real(Path(home))
    for name, value in figures.items():
        print(f"{name:28} {value:,.3f}".rstrip("0").rstrip("."))
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
