"""Small gyms and reviews for tests, put into a database the way users do: by ingesting files."""

import json
from pathlib import Path

from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.storage.engine import Database


def write_gyms(folder: Path, count: int, reviews_each: int = 2, first: int = 1) -> list[str]:
    """Files of `count` gyms named "Salle 0001" ... with reviews; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    gyms, reviews = folder / f"gyms-{first}.jsonl", folder / f"reviews-{first}.jsonl"
    numbers = range(first, first + count)
    gyms.write_text(
        "".join(
            json.dumps({"place_id": f"gym-{n:04d}", "name": f"Salle {n:04d}", "city": "Oran"}) + "\n" for n in numbers
        )
    )
    reviews.write_text(
        "".join(
            json.dumps(
                {
                    "review_id": f"review-{n:04d}-{r}",
                    "place_id": f"gym-{n:04d}",
                    "text": f"Bonne salle {n}, avis {r} : vestiaires propres et musculation.",
                    "rating": 4,
                    "published_at": f"2025-01-{r + 1:02d}",
                }
            )
            + "\n"
            for n in numbers
            for r in range(reviews_each)
        )
    )
    return [str(gyms), str(reviews)]


def ingest_gyms(database: Database, folder: Path, count: int, reviews_each: int = 2, first: int = 1) -> None:
    """Ingest `count` small gyms."""
    report = ingest(database, write_gyms(folder, count, reviews_each, first))
    assert not report.errors
