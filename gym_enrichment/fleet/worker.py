"""The Celery app of the workers: `celery -A gym_enrichment.fleet.worker worker -Q optimized`.

Broker, backend and everything else are those of the run launcher in DAGSTER_HOME's dagster.yaml: what sends runs
and what takes them cannot disagree.
"""

from contextlib import suppress
from importlib import import_module

import dagster as dg
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task
from sqlalchemy.exc import DBAPIError

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.fleet.run_launcher import FleetRunLauncher
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.resources import LLM_POOL

instance = dg.DagsterInstance.get()
launcher = instance.run_launcher
if not isinstance(launcher, FleetRunLauncher):
    raise dg.DagsterInvariantViolationError(
        "the run launcher of DAGSTER_HOME's dagster.yaml is not gym_enrichment.fleet.run_launcher.FleetRunLauncher:"
        " copy deploy/dagster.yaml there"
    )
app = launcher.celery
execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)

# Dagster makes the row of a pool when a run first needs it; of two runs at once, one then fails on Postgres. Of two
# workers at once one fails here, and the row is there all the same.
with suppress(DBAPIError):
    instance.event_log_storage.initialize_concurrency_limit_to_default(LLM_POOL)

# Once, before the processes of the worker are forked: the first run of each would spend seconds on it otherwise.
for module in ("gym_enrichment.definitions", "gym_enrichment.llm.openai_transport", "psycopg"):
    import_module(module)
Vocabulary.default()
count_tokens("")
