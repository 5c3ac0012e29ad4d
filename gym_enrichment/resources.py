"""What assets are given: settings and database, opened when a run first needs them, never at import."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import dagster as dg

from gym_enrichment.domain.experiments import LEGACY, Experiment
from gym_enrichment.llm.endpoint import open_endpoint
from gym_enrichment.pipeline.enriching.enricher import Enricher, Progress
from gym_enrichment.settings import Settings, VariantChoice, load_settings
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import experiment_in_force

RUN_TAG = "gym_enrichment/run"
"""What `gym-enrichment run` tags its Dagster runs with, so that they count as the one run that the user started."""


LLM_POOL = "llm"
"""Dagster's pool of enrichments: no limit by default; a fleet bounds it (deploy/dagster.yaml)."""

_QUEUE_TAG = "dagster-celery/queue"
_OLD, _NEW = "default", "optimized"
"""The queues of the report: runs that only ask the old way, and all others."""


def run_id_of(run: dg.DagsterRun) -> str:
    """The run that ledger, statistics and GYM_BUDGET_USD mean: the user's `run`, the backfill, or else Dagster's."""
    return run.tags.get(RUN_TAG) or run.tags.get("dagster/backfill") or run.run_id


class GymPipeline:
    """The pipeline's settings and connections, as a Dagster resource.

    Args:
        settings: those of the environment when not given.
        on_progress: who else wants to know how far an enrichment is (the CLI's bar).
    """

    def __init__(self, settings: Settings | None = None, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._settings = settings
        self._on_progress = on_progress

    @cached_property
    def settings(self) -> Settings:
        """Raises SettingsError when the environment's cannot be used."""
        return self._settings or load_settings()

    @property
    def database(self) -> Database:
        """The database of the settings."""
        return self.settings.database

    @contextmanager
    def enricher(self, on_progress: Callable[[Progress], None]) -> Iterator[Enricher]:
        """An enricher whose LLM answers until the context ends.

        Raises:
            SettingsError: there is none.
            SchemaMismatch: the schema was changed since this process began.
        """
        self.database.check_schema()
        with open_endpoint(self.settings) as endpoint:
            yield Enricher(self.settings, endpoint, self._on_progress or on_progress)

    def queue_tags(self) -> dict[str, str]:
        """The tag that routes a run to its queue, where the deployment has queues (CeleryRunLauncher)."""
        experiment = self.experiment()
        asked = {spec.kind for spec in experiment.variants if experiment.shares[spec.name] and spec.name != LEGACY}
        return {_QUEUE_TAG: _OLD if asked == {VariantChoice.FANOUT} else _NEW}

    def experiment(self) -> Experiment:
        """The experiment in force, or one of the settings' variant alone."""
        with self.database.read() as connection:
            return experiment_in_force(connection, self.settings.variant)
