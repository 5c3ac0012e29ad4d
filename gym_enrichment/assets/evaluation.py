"""evaluation_report: how good what is published is, against gyms that people labelled."""

import dagster as dg

from gym_enrichment.assets.enrichments import gym_enrichments
from gym_enrichment.pipeline.evaluating import evaluate, read_labels
from gym_enrichment.resources import GymPipeline


@dg.asset(deps=[gym_enrichments], group_name="quality", kinds={"table"}, owners=["team:directory"])
def evaluation_report(
    context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.MaterializeResult[None]:
    """Every figure of `gym-enrichment eval` for the labels in GYM_LABELS, as metadata that plots over time."""
    settings = gym_pipeline.settings
    if settings.labels is None:
        context.log.info("GYM_LABELS names no file of labels: nothing to evaluate")
        return dg.MaterializeResult()
    labels = read_labels(settings.labels)
    found = evaluate(settings.database, labels, settings.labels.name, settings.vocabulary)
    figures = {
        f"{evaluation.variant}/{name}": figure.value
        for evaluation in found
        for name, figure in evaluation.figures.items()
        if figure.value is not None
    }
    return dg.MaterializeResult(metadata={"gyms": sum(evaluation.gyms for evaluation in found), **figures})
