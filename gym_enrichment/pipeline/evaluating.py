"""How good what was found is, against gyms that people labelled; kept, so that a change shows its difference.

What must not live here: the scores (domain/evaluation), and running a variant (launching.py).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.answer_rules import broken_description_rules
from gym_enrichment.domain.evaluation import (
    Difference,
    Estimate,
    Label,
    Percentiles,
    Share,
    amenity_score,
    difference,
    evidence_kept,
    hours_exact,
    parse_label,
    percentiles,
    share_of,
    women_score,
)
from gym_enrichment.domain.hours import NOT_STATED
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.evaluations import (
    labelled_bundles,
    labelled_enrichments,
    labelled_failures,
    last_evaluation,
    save_evaluation,
)

Figure = Share | Estimate | Percentiles
LESS_IS_BETTER = ("tokens_per_gym", "review_tokens_per_gym", "cost_usd_per_gym")
_KINDS: dict[str, type[Figure]] = {"share": Share, "estimate": Estimate, "percentiles": Percentiles}


class LabelsError(Exception):
    """A file of labels cannot be used; says where and why."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How one variant, prompt version and model did on some labelled gyms; `changes` since the evaluation before."""

    labels: str
    variant: str
    prompt_version: str
    model: str
    gyms: int
    figures: Mapping[str, Figure]
    changes: Mapping[str, Difference]
    compared_with: str | None

    def as_dict(self) -> dict[str, Any]:
        """For `eval --json`."""
        return asdict(self)


def read_labels(path: Path) -> list[Label]:
    """The labels of a JSON-lines file.

    Raises:
        LabelsError: it cannot be read; names the line.
    """
    labels = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(f"cannot read the labels {path}: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            labels.append(parse_label(json.loads(line)))
        except (ValueError, AttributeError) as error:
            raise LabelsError(f"{path}, line {number}: {error}") from None
    return labels


def evaluate(
    database: Database,
    labels: Sequence[Label],
    name: str,
    vocabulary: Vocabulary,
    history: Database | None = None,
    more: Mapping[str, Figure] | None = None,
) -> list[Evaluation]:
    """Each variant, prompt version and model that enriched labelled gyms, compared with its last evaluation.

    Args:
        database: where the gyms are enriched.
        labels: what people found.
        name: what the labels are called in the history.
        vocabulary: ids of the amenities' labels.
        history: where evaluations are kept; default: in `database`.
        more: figures that were measured otherwise, to be kept with the others.
    """
    ids = sorted(label.place_id for label in labels)
    with database.read() as connection:
        rows = labelled_enrichments(connection, ids)
        failed = labelled_failures(connection, ids)
        bundles = labelled_bundles(connection, ids)
    evaluations = []
    with (history or database).write() as connection:
        for (variant, prompt_version, model), found in sorted(_groups(rows).items()):
            asked = {row["place_id"] for row in found} | {gym for gym, by in failed if by == variant}
            known = [label for label in labels if label.place_id in asked]
            figures = _figures(known, found, bundles, vocabulary) | dict(more or {})
            before = last_evaluation(connection, name, variant)
            evaluation = Evaluation(
                labels=name,
                variant=variant,
                prompt_version=prompt_version,
                model=model,
                gyms=len(known),
                figures=figures,
                changes=changes_since(before["figures"], figures) if before else {},
                compared_with=_asked_before(before) if before else None,
            )
            stored = {name: getattr(evaluation, name) for name in ("labels", "variant", "prompt_version", "model")}
            save_evaluation(connection, stored | {"gyms": evaluation.gyms, "figures": _stored(figures)})
            evaluations.append(evaluation)
    return evaluations


def _asked_before(before: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (before["prompt_version"], before["model"]))) or str(before["variant"])


def _groups(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
    """The rows of each variant, prompt version and model; skipped ones, which nobody was asked about, in all."""
    rows = list(rows)
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["state"] == "enriched":
            groups.setdefault((row["variant"], row["prompt_version"] or "", row["model"] or ""), []).append(row)
    for (variant, _, _), group in groups.items():
        group += [row for row in rows if row["state"] == "skipped" and row["variant"] == variant]
    return groups


def _figures(
    labels: Sequence[Label],
    rows: Sequence[Mapping[str, Any]],
    bundles: Mapping[str, tuple[Sequence[str], int]],
    vocabulary: Vocabulary,
) -> dict[str, Figure]:
    enriched = [row for row in rows if row["state"] == "enriched"]
    ids = {amenity.label: amenity.id for amenity in vocabulary.amenities}
    amenities = {row["place_id"]: [ids.get(label, label) for label in row["amenities"]] for row in enriched}
    women = women_score(labels, {row["place_id"]: "yes" if row["has_women_hours"] else "no" for row in enriched})
    amenity = amenity_score(labels, amenities)
    shown = [bool(row["evidence"]["amenities"].get(label)) for row in enriched for label in row["amenities"]]
    figures: dict[str, Figure] = {
        "women_precision": women.precision,
        "women_recall": women.recall,
        "women_f1": women.f1,
        "evidence_kept": evidence_kept(labels, {place_id: reviews for place_id, (reviews, _) in bundles.items()}),
        "amenity_precision": amenity.precision,
        "amenity_recall": amenity.recall,
        "amenities_with_evidence": share_of(sum(shown), len(shown)),
        "hours_exact": hours_exact(labels, {row["place_id"]: _lines(row["hours_french"]) for row in rows}),
        **_description_figures(enriched),
        "review_tokens_per_gym": percentiles([tokens for reviews, tokens in bundles.values() if reviews]),
        "tokens_per_gym": percentiles([row["prompt_tokens"] + row["completion_tokens"] for row in enriched]),
        "cost_usd_per_gym": percentiles([row["cost_usd"] for row in enriched]),
    }
    return figures


def _description_figures(enriched: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    kept = [not broken_description_rules(row["description"]) for row in enriched]
    verified = [row["statuses"].get("description") == "verified" for row in enriched]
    return {
        "descriptions_within_rules": share_of(sum(kept), len(kept)),
        "descriptions_verified": share_of(sum(verified), len(verified)),
    }


def _lines(hours_french: str) -> list[str]:
    return [] if hours_french == NOT_STATED else hours_french.split("; ")


def changes_since(before: Mapping[str, Any], after: Mapping[str, Figure]) -> dict[str, Difference]:
    """How the figures of an evaluation differ from the stored figures of one before it."""
    earlier = {name: figure for name, figure in restored(before).items() if name in after}
    return {
        name: difference(figure, after[name], higher_is_better=name not in LESS_IS_BETTER)
        for name, figure in earlier.items()
    }


def _stored(figures: Mapping[str, Figure]) -> dict[str, Any]:
    kinds = {kind: name for name, kind in _KINDS.items()}
    return {name: {"kind": kinds[type(figure)], **asdict(figure)} for name, figure in figures.items()}


def restored(figures: Mapping[str, Any]) -> dict[str, Figure]:
    """The stored figures of an evaluation."""
    return {
        name: _KINDS[stored["kind"]](**{key: value for key, value in stored.items() if key != "kind"})
        for name, stored in figures.items()
    }
