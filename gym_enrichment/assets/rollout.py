"""rollout_status: where the rollout in force stands, and what its guardrails say."""

from typing import Any

import dagster as dg

from gym_enrichment.assets.enrichments import gym_enrichments
from gym_enrichment.domain.rollout import Decision
from gym_enrichment.pipeline.experimenting import move_rollout
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.experiments import ExperimentVersion, experiment_history, latest_version


@dg.asset(deps=[gym_enrichments], group_name="publication", kinds={"table"}, owners=["team:directory"])
def rollout_status(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.MaterializeResult[None]:
    """Does what the rollout in force has to do now, and shows where it stands.

    It goes to the next step when the present one was watched for long enough and its guardrails hold; if they do
    not, it pauses, and in a severe breach goes back a step. Materializing it more often changes nothing.
    """
    decision = move_rollout(gym_pipeline.database)
    with gym_pipeline.database.read() as connection:
        latest = latest_version(connection)
        history = experiment_history(connection, latest.experiment.name) if latest else []
    return dg.MaterializeResult(metadata=_state(latest) | _looked_at(decision) | {"history": _table(history)})


def _state(latest: ExperimentVersion | None) -> dict[str, Any]:
    if latest is None:
        return {"state": "none"}
    shares = {f"share_{name}": share for name, share in latest.experiment.shares.items()}
    return {"state": latest.state, "experiment": latest.experiment.name, "version": latest.version} | shares


def _looked_at(decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {}
    figures = {finding.name: finding.new for finding in decision.findings if finding.new is not None}
    return {"action": decision.action, "reason": decision.reason, **figures}


def _table(history: list[ExperimentVersion]) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "version": version.version,
                "when": version.changed_at.isoformat(timespec="minutes"),
                "action": version.action,
                "state": version.state,
                "shares": version.experiment.shown_shares,
                "by": version.changed_by,
                "why": version.reason,
            }
        )
        for version in history
    ]
    columns = ("version", "when", "action", "state", "shares", "by", "why")
    schema = dg.TableSchema([dg.TableColumn(name, "int" if name == "version" else "string") for name in columns])
    return dg.MetadataValue.table(records, schema)
