"""The main job on the real gyms, with the engine that needs no key (issue 2, "Must show" 2)."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gym_enrichment_tests.acceptance.conftest import REPOSITORY, User, new_user, write_jsonl

DATA = Path(os.environ.get("GYM_REAL_DATA") or REPOSITORY.parent / "shared" / "data")
GYMS, REVIEWS = DATA / "gyms.jsonl", DATA / "reviews.jsonl"

pytestmark = pytest.mark.skipif(
    not (GYMS.is_file() and REVIEWS.is_file()), reason=f"no gyms.jsonl and reviews.jsonl in {DATA} (GYM_REAL_DATA)"
)


@dataclass(frozen=True)
class Story:
    """A new home: ingest (`taken_in` is a copy of it as it was then), run, run again, one more review, run again."""

    user: User
    taken_in: Path
    with_text: set[str]
    gyms: int
    reviews: int
    ingested: dict[str, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    third: dict[str, Any]
    changed: str


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    user = new_user(tmp_path_factory.mktemp("real"), GYM_LLM="offline")
    known = {row["place_id"] for row in _rows(GYMS)}
    texts = Counter(row["place_id"] for row in _rows(REVIEWS) if (row["text"] or "").strip())
    with_text = set(texts) & known
    ingested = user.cli("ingest", str(GYMS), str(REVIEWS), "--json").succeeded().json
    taken_in = Path(shutil.copytree(user.home, user.folder / "taken in"))
    first = user.cli("run", "--json").succeeded().json
    second = user.cli("run", "--json").succeeded().json
    # A new fact of a gym with few, so that it is among the ten that are published.
    changed = min(with_text, key=lambda place_id: (texts[place_id], place_id))
    review = {
        "review_id": "acceptance-1",
        "place_id": changed,
        "text": "Le nouveau sauna est ouvert à tous.",
        "rating": 5,
        "published_at": "2026-11-01",
    }
    user.cli("ingest", write_jsonl(user.folder / "one.jsonl", [review])).succeeded()
    third = user.cli("run", "--json").succeeded().json
    reviews = sum(1 for _ in _rows(REVIEWS))
    return Story(user, taken_in, with_text, len(known), reviews, ingested, first, second, third, changed)


def test_every_real_row_is_taken_in(story: Story) -> None:
    assert story.ingested == {
        "gyms": {"new": story.gyms, "updated": 0, "unchanged": 0, "quarantined": 0},
        "reviews": {"new": story.reviews, "updated": 0, "unchanged": 0, "quarantined": 0},
    }


def test_every_gym_with_review_text_is_enriched_with_one_call_and_none_fails(story: Story) -> None:
    run = story.first
    assert run["failed"] == 0
    assert run["failures"] == []
    assert run["enriched"] == run["llm_calls"] == len(story.with_text)
    assert run["gyms"] == story.gyms
    assert run["skipped"] == story.gyms - len(story.with_text)
    assert run["review_queries"] == 1


def test_exactly_the_gyms_with_review_text_are_published_as_enriched(story: Story) -> None:
    out = story.user.cli("export", "--format", "jsonl").succeeded().out
    published = [json.loads(line) for line in out.splitlines()]
    assert len(published) == story.gyms
    assert {row["place_id"] for row in published if row["state"] == "enriched"} == story.with_text
    assert {row["state"] for row in published} <= {"enriched", "skipped"}
    assert {row["model"] for row in published if row["state"] == "enriched"} == {"offline-extractive"}


def test_packed_needs_a_third_of_the_calls_and_fewer_tokens(
    story: Story, tmp_path_factory: pytest.TempPathFactory
) -> None:
    user = new_user(tmp_path_factory.mktemp("packed"), GYM_LLM="offline")
    shutil.copytree(story.taken_in, user.home)
    run = user.cli("run", "--variant", "packed", "--json").succeeded().json
    assert run["failed"] == 0
    assert run["enriched"] == len(story.with_text)
    assert run["llm_calls"] <= 0.3 * run["enriched"]
    tokens = [each["prompt_tokens"] + each["completion_tokens"] for each in (run, story.first)]
    assert tokens[0] < 0.9 * tokens[1]
    assert user.cli("run", "--variant", "packed", "--json").succeeded().json["llm_calls"] == 0
    published = user.cli("export", "--format", "jsonl").succeeded().out.splitlines()
    assert {json.loads(line)["variant"] for line in published} == {"packed"}


def test_a_second_run_makes_no_call(story: Story) -> None:
    assert story.second["llm_calls"] == 0
    assert story.second["failed"] == 0


def test_one_more_review_of_one_gym_makes_one_call(story: Story) -> None:
    assert story.third["llm_calls"] == 1
    assert story.third["failed"] == 0
    shown = story.user.cli("show", story.changed, "--json").succeeded().json
    assert "Sauna" in shown["amenities"]
