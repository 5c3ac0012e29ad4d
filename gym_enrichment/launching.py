"""Runs the code location's jobs in this process, on the Dagster instance below GYM_HOME: what the CLI calls.

The same jobs, assets and instance as Dagster's own UI and commands; only the process is ours.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import as_file, files
from typing import Any

import dagster as dg

from gym_enrichment.assets.outcomes import FAILED_PARTITIONS, STOPPED
from gym_enrichment.assets.raw import ingest_metadata, raw_gyms, raw_reviews
from gym_enrichment.definitions import build_definitions
from gym_enrichment.partitions import add_missing_keys, gym_batches
from gym_enrichment.pipeline.choosing import choose_batches
from gym_enrichment.pipeline.enriching.enricher import Progress
from gym_enrichment.pipeline.ingesting import IngestReport, ingest
from gym_enrichment.resources import RUN_TAG, GymPipeline
from gym_enrichment.settings import Settings
from gym_enrichment.sources import Kind
from gym_enrichment.storage.enrichments import find_failures
from gym_enrichment.storage.private_files import make_private_folder
from gym_enrichment.storage.statistics import run_figures

_RAW_ASSETS: tuple[tuple[dg.AssetsDefinition, Kind], ...] = ((raw_gyms, "gyms"), (raw_reviews, "reviews"))
# The tags that make one run of a range of partitions (Dagster's docs, "Passing a partition range").
_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"
# The run's own console log would drown the progress bar; everything is in Dagster's event log.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class RunReport:
    """What `run` did, under the names of `--json`. `error` is set when the run could not go on."""

    figures: dict[str, Any]
    failures: list[dict[str, str]]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The object of `run --json`."""
        shown = self.figures | {"failures": self.failures}
        return shown if self.error is None else shown | {"error": self.error}


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance below GYM_HOME, made on first use with its telemetry off."""
    home = settings.dagster_home
    make_private_folder(home)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        configuration.write_bytes((files("gym_enrichment") / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def report_ingest(settings: Settings, report: IngestReport) -> None:
    """Let Dagster know what an ingest outside of it wrote, so that its UI shows the raw assets as they are."""
    with open_instance(settings) as instance:
        for asset, kind in _RAW_ASSETS:
            metadata = ingest_metadata(settings.database, report, kind)
            instance.report_runless_asset_event(dg.AssetMaterialization(asset.key, metadata=metadata))


def run_batches(
    settings: Settings, batches: Sequence[str], on_progress: Callable[[Progress], None] | None = None
) -> RunReport:
    """Bundle, enrich and publish `batches` through Dagster, in runs of GYM_PARTITIONS_PER_RUN partitions.

    Raises:
        KeyboardInterrupt: after Ctrl-C, with everything finished saved.
    """
    started = time.monotonic()
    database = settings.database
    pipeline = GymPipeline(settings, on_progress)
    definitions = build_definitions(pipeline)
    queries_before = database.review_queries.value
    errors: list[str] = []
    seconds = 0.0
    run_id = uuid.uuid4().hex
    if batches:
        # Half a second of import, done while Dagster waits for its own database.
        threading.Thread(target=import_module, args=("gym_enrichment.llm.openai_transport",), daemon=True).start()
    with open_instance(settings) as instance:
        add_missing_keys(instance, database)
        queue = pipeline.queue_tags()
        keys = instance.get_dynamic_partitions(gym_batches.name or "")
        for first, last in _ranges(keys, batches, settings.partitions_per_run):
            tags = {_RANGE_START: first, _RANGE_END: last, RUN_TAG: run_id} | queue
            result = _execute(definitions, "enrich_batches", instance, tags)
            errors += _errors_beyond_failed_gyms(result)
            seconds += _step_seconds(instance, result.run_id, "gym_enrichments")
            if errors:
                break
        published = _execute(definitions, "publish_directory", instance, {})
        errors += _errors_beyond_failed_gyms(published)
    with database.read() as connection:
        figures: dict[str, Any] = run_figures(connection, run_id)
        failures = [
            {"place_id": row["place_id"], "error": f"{row['kind']}: {row['message']}"}
            for row in find_failures(connection, run_id=run_id)
        ]
    figures |= {
        "review_queries": database.review_queries.value - queries_before,
        "enrich_seconds": round(seconds, 3),
        "wall_seconds": round(time.monotonic() - started, 3),
    }
    return RunReport(figures, failures, errors[0] if errors else None)


def enrich_golden(settings: Settings, on_progress: Callable[[Progress], None] | None = None) -> RunReport:
    """Enrich the golden set with the LLM of the settings, in a database apart: the directory never sees it.

    Answers stay in that database's cache, so that only a changed prompt or model is paid for again.
    """
    with as_file(files("gym_enrichment") / "golden") as golden:
        ingest(settings.database, [str(golden / "gyms.jsonl"), str(golden / "reviews.jsonl")])
    return run_batches(settings, choose_batches(settings).batch_ids, on_progress)


def _execute(
    definitions: dg.Definitions, job: str, instance: dg.DagsterInstance, tags: dict[str, str]
) -> dg.ExecuteInProcessResult:
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, tags=tags, run_config=_QUIET, raise_on_error=False
    )
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        if error is not None and error.cls_name == "DagsterExecutionInterruptedError":
            raise KeyboardInterrupt
    return result


def _ranges(keys: Sequence[str], wanted: Sequence[str], partitions_per_run: int | None) -> Iterator[tuple[str, str]]:
    """First and last key of each run: neighbours in Dagster's order share one, up to the configured number."""
    positions = {key: position for position, key in enumerate(keys)}
    run: list[str] = []
    for key in sorted(set(wanted), key=positions.__getitem__):
        full = partitions_per_run is not None and len(run) >= partitions_per_run
        if run and (full or positions[key] != positions[run[-1]] + 1):
            yield run[0], run[-1]
            run = []
        run.append(key)
    if run:
        yield run[0], run[-1]


def _errors_beyond_failed_gyms(result: dg.ExecuteInProcessResult) -> list[str]:
    """Why steps failed, except for failed gyms, which have rows of their own."""
    errors = []
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        failure = data.user_failure_data
        if failure is not None and STOPPED in failure.metadata:
            errors.append(str(failure.metadata[STOPPED].value))
        elif failure is None or FAILED_PARTITIONS not in failure.metadata:
            cause = data.error.cause or data.error if data.error else None
            errors.append((failure and failure.description) or (cause and cause.message.strip()) or "unknown error")
    return errors


def _step_seconds(instance: dg.DagsterInstance, run_id: str, step: str) -> float:
    return sum(
        (stats.end_time or 0.0) - stats.start_time
        for stats in instance.get_run_step_stats(run_id, [step])
        if stats.start_time is not None and stats.end_time is not None
    )
