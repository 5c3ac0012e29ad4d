"""The sensor that tells people of failed runs and of rollouts that their guardrails stopped."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from gym_enrichment.assets.outcomes import FAILED_PARTITIONS, STOPPED
from gym_enrichment.pipeline.alerting import KEPT_FOR, FailedRuns, new_incidents, raise_alerts, send_alerts
from gym_enrichment.resources import GymPipeline, run_id_of

_OVERLAP = timedelta(minutes=10)
"""How far behind its cursor a tick looks again: clocks of machines differ, and the alerts table drops what is known."""
_MOST_LOOKED_INTO = 3
_TICK = "dagster/tick"
_WILL_RETRY = "dagster/will_retry"


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells GYM_ALERT_WEBHOOK, once per incident, of failed runs and of rollouts that guardrails stopped.",
)
def alerts_sensor(
    context: dg.SensorEvaluationContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Posts to GYM_ALERT_WEBHOOK, once per incident, what failed and what to do.

    All failed runs of one backfill, of one `gym-enrichment run` or of one tick of a sensor or schedule are one
    incident; so is each version of an experiment that guardrails made. What the webhook does not take is tried
    again at every tick for a day.
    """
    settings = gym_pipeline.settings
    if settings.alert_webhook is None:
        return dg.SkipReason("GYM_ALERT_WEBHOOK is not set")
    now = datetime.now(UTC)
    oldest = now - KEPT_FOR
    since = max(oldest, datetime.fromisoformat(context.cursor) - _OVERLAP) if context.cursor else oldest
    raise_alerts(settings.database, _failed_since(context, gym_pipeline, since), now)
    sent = send_alerts(settings.database, settings.alert_webhook, now)
    if sent.problem is not None:
        context.log.warning(f"{sent.problem}: tried again at the next tick")
    told = f"{sent.alerts} sent" if sent.alerts else "nothing to tell"
    return dg.SensorResult(skip_reason=dg.SkipReason(sent.problem or told), cursor=now.isoformat())


def _failed_since(
    context: dg.SensorEvaluationContext, gym_pipeline: GymPipeline, since: datetime
) -> Sequence[FailedRuns]:
    """The incidents of which nothing was told yet, of runs of ours that failed since."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    incidents: dict[str, list[dg.DagsterRun]] = {}
    for record in context.instance.get_run_records(failed, ascending=True):
        run = record.dagster_run
        # Dagster starts a crashed run again by itself: only the last failure is one.
        if _is_ours(run, context.repository_def) and run.tags.get(_WILL_RETRY) != "true":
            incidents.setdefault(_incident(run, record.create_timestamp), []).append(run)
    new = new_incidents(gym_pipeline.database, list(incidents))
    return [_described(context.instance, name, runs) for name, runs in incidents.items() if name in new]


def _is_ours(run: dg.DagsterRun, repository: dg.RepositoryDefinition | None) -> bool:
    """Other code locations may share the instance; they may well have assets, and so a job of them, too."""
    assert repository is not None
    if run.asset_selection:
        return not run.asset_selection.isdisjoint(repository.asset_graph.get_all_asset_keys())
    return run.job_name in repository.job_names


def _incident(run: dg.DagsterRun, created: datetime) -> str:
    """Its day tells a tick from that of an instance which began to count anew."""
    if run_id_of(run) == run.run_id and _TICK in run.tags:
        return f"tick:{run.tags[_TICK]}:{created:%Y-%m-%d}"
    return f"run:{run_id_of(run)}"


def _described(instance: dg.DagsterInstance, incident: str, runs: Sequence[dg.DagsterRun]) -> FailedRuns:
    first = runs[0]
    by = first.tags.get("dagster/sensor_name") or first.tags.get("dagster/schedule_name")
    if incident.startswith("tick:"):
        started_by = f"one tick of {by}"
    else:
        started_by = f"{'backfill' if 'dagster/backfill' in first.tags else 'run'} {run_id_of(first)}"
    causes = (cause for run in runs[:_MOST_LOOKED_INTO] for cause in _causes(instance, run))
    return FailedRuns(
        incident,
        started_by,
        run_ids=sorted({run_id_of(run) for run in runs}),
        dagster_runs=[run.run_id for run in runs],
        what=sorted({name for run in runs for name in _what(run)}),
        causes=list(dict.fromkeys(causes)),
    )


def _what(run: dg.DagsterRun) -> list[str]:
    return [key.to_user_string() for key in run.asset_selection] if run.asset_selection else [run.job_name]


def _causes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """What broke in a run, except single gyms, which are counted. Of a foreign error only its name is told."""
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE)]
    if not events:
        yield "the run ended without a step that failed: its process died or could not be started"
    for event in events:
        assert event is not None
        data = event.step_failure_data
        metadata = data.user_failure_data.metadata if data.user_failure_data else {}
        if STOPPED in metadata:
            yield f"{event.step_key}: the run was stopped: {metadata[STOPPED].value}"
        elif FAILED_PARTITIONS not in metadata:
            cause = None if data.user_failure_data else data.error and (data.error.cause or data.error)
            yield f"{event.step_key} failed" + (f": {cause.cls_name}" if cause else "")
