"""Queries for evaluations: what is known of labelled gyms, and how good it was found to be.

What must not live here: the scores themselves (domain/evaluation) and files of labels (pipeline/evaluating.py).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from gym_enrichment.storage.tables import bundles, enrichments, evaluations, failures

_IDS_PER_STATEMENT = 5_000


def labelled_enrichments(connection: Connection, place_ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """Every enrichment of these gyms, of any variant."""
    query = select(enrichments).order_by(enrichments.c.variant, enrichments.c.place_id)
    return [
        dict(row._mapping)
        for ids in _parts(place_ids)
        for row in connection.execute(query.where(enrichments.c.place_id.in_(ids)))
    ]


def labelled_failures(connection: Connection, place_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Place id and variant of these gyms that failed."""
    query = select(failures.c.place_id, failures.c.variant)
    return [
        (row.place_id, row.variant)
        for ids in _parts(place_ids)
        for row in connection.execute(query.where(failures.c.place_id.in_(ids)))
    ]


def labelled_bundles(connection: Connection, place_ids: Sequence[str]) -> dict[str, tuple[list[str], int]]:
    """The ids of the reviews in each gym's bundle, and their tokens."""
    query = select(bundles.c.place_id, bundles.c.reviews, bundles.c.review_tokens)
    return {
        row.place_id: ([review_id for review_id, _ in row.reviews], row.review_tokens)
        for ids in _parts(place_ids)
        for row in connection.execute(query.where(bundles.c.place_id.in_(ids)))
    }


def save_evaluation(connection: Connection, evaluation: Mapping[str, Any]) -> None:
    """Remember one evaluation: labels, variant, prompt_version, model, gyms, figures."""
    connection.execute(insert(evaluations).values(**evaluation, evaluated_at=datetime.now(UTC)))


def last_evaluation(connection: Connection, labels: str, variant: str) -> Mapping[str, Any] | None:
    """The newest evaluation of a variant against these labels."""
    query = (
        select(evaluations)
        .where(evaluations.c.labels == labels, evaluations.c.variant == variant)
        .order_by(evaluations.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return dict(row._mapping) if row else None


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _IDS_PER_STATEMENT] for start in range(0, len(ids), _IDS_PER_STATEMENT)]
