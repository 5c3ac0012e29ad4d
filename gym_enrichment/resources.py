"""What assets are given: settings and database, opened when a run first needs them, never at import."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

from gym_enrichment.llm.endpoint import open_endpoint
from gym_enrichment.pipeline.enriching.enricher import Enricher, Progress
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage.engine import Database

BUDGET_SCOPE_TAG = "gym_enrichment/budget"
"""Runs with the same value of this tag share one GYM_BUDGET_USD; so do the runs of one backfill."""


def budget_scope(tags: Mapping[str, str]) -> str | None:
    """What the budget of a run with these tags is for; None: for the run alone."""
    return tags.get(BUDGET_SCOPE_TAG) or tags.get("dagster/backfill")


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
        """An enricher whose LLM answers until the context ends. Raises SettingsError if there is none."""
        with open_endpoint(self.settings) as endpoint:
            yield Enricher(self.settings, endpoint, self._on_progress or on_progress)
