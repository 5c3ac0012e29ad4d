"""Evaluations: figures against labels, kept in the database, compared with the ones before."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.evaluation import Label
from gym_enrichment.pipeline.evaluating import Evaluation, LabelsError, evaluate, read_labels
from gym_enrichment.storage import tables
from gym_enrichment.storage.bundles import write_bundles
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import write_enriched_batch
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content

GYMS = [
    {"place_id": "women", "name": "Une", "hours": ["lundi: 06:00 – 22:00"]},
    {"place_id": "mixed", "name": "Deux", "hours": ["selon saison"]},
    {"place_id": "no-text", "name": "Trois"},
]
REVIEWS = [
    {"review_id": "w1", "place_id": "women", "text": "Une salle réservée aux femmes le matin, sauna compris."},
    {"review_id": "m1", "place_id": "mixed", "text": "La salle est mixte. Vestiaires propres, mais pas de sauna."},
]
LABELS = [
    Label("women", "true", ("w1",), amenities=frozenset({"sauna"}), hours_french=("lundi: 06:00 – 22:00",)),
    Label("mixed", "false", ("m1",), amenities=frozenset({"vestiaires"}), amenities_absent=frozenset({"sauna"})),
    Label("no-text", "none", hours_french=()),
    Label("not-ingested", "true"),
]


@pytest.fixture
def job(database: Database, tmp_path: Path) -> Any:
    with LlmServer() as server:
        yield Job(database, server, tmp_path)


def answers(sauna: bool) -> Any:
    def script(_: Ask) -> Reply:
        answer = json.loads(good_content()) | {"has_women_hours": None, "hours_french": "lundi: 08:00 – 20:00"}
        names = ["Sauna", "Vestiaires"] if sauna else ["Vestiaires"]
        answer["amenities"] = [{"name": name, "reviews": [1]} for name in names]
        return Reply(json.dumps(answer))

    return script


def run(job: Job, model: str, *, sauna: bool) -> None:
    job.server.script = answers(sauna)
    batches = job.bundles_of(GYMS, REVIEWS, batch_size=10) if model == "first" else job.rebundle()
    for batch_id, bundles in batches:
        write_bundles(job.database, batch_id, bundles)
    for batch in job.enrich(batches, run_id=model, GYM_LLM_MODEL=model):
        write_enriched_batch(job.database, batch)


def evaluated(job: Job) -> Evaluation:
    (found,) = evaluate(job.database, LABELS, "labels", Vocabulary.default())
    return found


def test_figures_are_those_of_what_was_published_and_the_next_evaluation_says_what_changed(job: Job) -> None:
    run(job, "first", sauna=True)
    first = evaluated(job)

    assert (first.variant, first.model, first.gyms, first.compared_with) == ("combined", "first", 3, None)
    # The yes that the model missed is repaired, the sauna that "mixed" denies and the invented hours are held back.
    values = {name: figure.value for name, figure in first.figures.items()}
    assert values["women_f1"] == values["evidence_kept"] == values["hours_exact"] == 1.0
    assert values["amenity_precision"] == values["amenity_recall"] == values["amenities_with_evidence"] == 1.0
    assert values["tokens_per_gym"] == 1100
    with job.database.read() as connection:
        row = connection.execute(select(tables.enrichments).where(tables.enrichments.c.place_id == "mixed")).one()
    assert (row.amenities, row.hours_french, row.women_only) == (["Vestiaires"], "Non communiqué", "no")
    assert row.unpublished["amenities"] == ["Sauna"]
    assert "names a time that the source does not" in row.unpublished["hours_french"]

    run(job, "second", sauna=False)
    second = evaluated(job)

    assert (second.model, second.compared_with) == ("second", f"{first.prompt_version}, first")
    assert second.figures["amenity_recall"].value == 0.5
    assert second.changes["amenity_recall"].change == -0.5
    assert second.changes["women_f1"].change == 0.0
    with job.database.read() as connection:
        kept = connection.execute(select(tables.evaluations.c.model).order_by(tables.evaluations.c.id)).scalars()
        assert list(kept) == ["first", "second"]


def test_labels_of_gyms_that_nobody_enriched_are_no_evaluation(database: Database) -> None:
    assert evaluate(database, LABELS, "labels", Vocabulary.default()) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"place_id": "a"}', "line 1: the field 'verdict'"),
        ('{"place_id": "a", "verdict": "true"}\n\nno JSON', "line 3"),
        ("[]", "line 1"),
        ('{"place_id": "a", "verdict": "true", "amenities": "sauna"}', "line 1: the field 'amenities'"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(content)
    with pytest.raises(LabelsError, match=why):
        read_labels(path)
    with pytest.raises(LabelsError, match="cannot read the labels"):
        read_labels(tmp_path)
