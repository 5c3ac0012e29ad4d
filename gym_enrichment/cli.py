"""The command line. Each command is a few sentences over `pipeline/` and `launching.py`.

Exit codes: 0 success, 1 some gyms failed, 2 wrong use or configuration. Standard output carries the result,
standard error everything else.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gym_enrichment.commands.arguments import json_option
from gym_enrichment.commands.exits import WRONG_USE, refuse
from gym_enrichment.commands.experiment import experiment as experiment_command
from gym_enrichment.commands.places import places as places_command
from gym_enrichment.commands.report import report as report_command
from gym_enrichment.commands.rollout import rollout as rollout_command
from gym_enrichment.commands.run import enrich
from gym_enrichment.commands.run import run as run_command
from gym_enrichment.domain.experiments import ExperimentError
from gym_enrichment.settings import LlmChoice, Settings, SettingsError, VariantChoice, load_settings
from gym_enrichment.storage.engine import DatabaseError

if TYPE_CHECKING:
    from gym_enrichment.pipeline.evaluating import Evaluation
    from gym_enrichment.pipeline.ingesting import IngestReport


class _Commands(click.Group):
    """Turns expected errors of any command into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, DatabaseError, ExperimentError) as error:
            refuse(str(error))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gym-enrichment")
def main() -> None:
    """Enriches a directory of gyms from its customer reviews, with an LLM.

    Settings come from the environment and .env: GYM_HOME, GYM_DATABASE_URL, OPENAI_API_KEY, GYM_LLM ...
    """
    # Most of a short command is imports, which make no garbage: looking for it takes an eighth of the time.
    gc.set_threshold(20_000, 20, 50)


@main.command()
@json_option
@click.option(
    "--home", type=click.Path(path_type=Path), help="Where the demo's database lives (default: GYM_HOME/demo)."
)
def demo(as_json: bool, home: Path | None) -> None:
    """The whole main job on the sample that ships with the package: offline, no key."""
    home = home or load_settings().home / "demo"
    settings = load_settings(
        GYM_HOME=home, GYM_LLM=LlmChoice.OFFLINE, GYM_DATABASE_URL=f"sqlite:///{home.absolute() / 'gym.db'}"
    )
    settings.database.migrate()
    with as_file(files("gym_enrichment") / "sample") as sample:
        _ingest(settings, [str(sample / "gyms.jsonl"), str(sample / "reviews.jsonl")])
    enrich(settings, as_json=as_json)


@main.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@json_option
def ingest(sources: tuple[str, ...], as_json: bool) -> None:
    """Take in gyms and reviews: files (.jsonl .csv .parquet, also .gz), Google Places details, a database URL.

    Of the old pipeline's database, what it found comes over too: see docs/migration.md.
    """
    from gym_enrichment.console import print_json, print_table, say

    report = _ingest(load_settings(), sources)
    counts = report.as_dict()
    if as_json:
        print_json(counts | ({"errors": report.errors} if report.errors else {}))
    else:
        columns = list(counts["gyms"])
        print_table("Ingested", ["", *columns], [[kind, *found.values()] for kind, found in counts.items()])
    if quarantined := sum(found["quarantined"] for found in counts.values()):
        say(f"{quarantined} rows are in quarantine; `gym-enrichment show --quarantine` says where and why")
    for error in report.errors:
        say(f"error: {error}")
    if report.errors:
        sys.exit(WRONG_USE)


@main.command()
@click.option("--limit", type=click.IntRange(min=1), help="As for `run`.")
@click.option(
    "--variant",
    type=click.Choice([choice.value for choice in VariantChoice]),
    help="The way of asking (default: GYM_VARIANT).",
)
@json_option
def estimate(limit: int | None, variant: str | None, as_json: bool) -> None:
    """Calls, tokens and cost of what `run` would do, before spending anything."""
    from gym_enrichment.console import print_json, print_table, say
    from gym_enrichment.llm.endpoint import describe_endpoint
    from gym_enrichment.pipeline.choosing import choose_batches
    from gym_enrichment.pipeline.estimating import estimate as estimate_run
    from gym_enrichment.storage.experiments import experiment_in_force

    settings = load_settings(GYM_VARIANT=variant) if variant is not None else load_settings()
    endpoint = describe_endpoint(settings)
    chosen = choose_batches(settings, limit=limit)
    with settings.database.read() as connection:
        experiment = experiment_in_force(connection, settings.variant)
    found = estimate_run(settings, endpoint, experiment, chosen.batch_ids)
    if as_json:
        print_json(found.as_dict())
    else:
        print_table("What `run` would do", ["", ""], list(found.as_dict().items()))
    if not found.priced:
        say(f"the price of {endpoint.model} is not known: set GYM_LLM_PRICE_PROMPT and GYM_LLM_PRICE_COMPLETION")


@main.command()
@click.argument("place_id", required=False)
@click.option("--quarantine", is_flag=True, help="Instead: the rows that could not be used, and why.")
@json_option
def show(place_id: str | None, quarantine: bool, as_json: bool) -> None:
    """One gym's enrichment with its evidence and metadata."""
    from gym_enrichment import showing

    settings = load_settings()
    database = settings.database
    if quarantine == (place_id is not None):
        raise click.UsageError("give a PLACE_ID, or --quarantine")
    if place_id is None:
        showing.show_quarantine(database, as_json)
    elif not showing.show_gym(database, place_id, as_json, settings.variant):
        refuse(f"no gym {place_id!r} in {database.shown}")


@main.command()
@json_option
@click.option("--prometheus", is_flag=True, help="Counters and gauges in Prometheus' text format instead.")
def stats(as_json: bool, prometheus: bool) -> None:
    """The statistics of the last run and of all time, by day, variant and model."""
    from gym_enrichment.console import print_json
    from gym_enrichment.pipeline.statistics import prometheus_text, statistics
    from gym_enrichment.showing import show_statistics

    database = load_settings().database
    if prometheus:
        sys.stdout.write(prometheus_text(database))
    elif as_json:
        print_json(statistics(database))
    else:
        show_statistics(statistics(database))


@main.command()
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "parquet", "ui-json"]), required=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: standard output.")
def export(form: str, output: Path | None) -> None:
    """The published table as a file."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.exporting import export_parquet, export_text
    from gym_enrichment.storage.private_files import create_private_text

    database = load_settings().database
    if form == "parquet" and output is None:
        raise click.UsageError("parquet needs a file: -o FILE")
    try:
        if output is None:
            written = export_text(database, form, sys.stdout)
        elif form == "parquet":
            written = export_parquet(database, output)
        else:
            with create_private_text(output) as file:
                written = export_text(database, form, file)
    except OSError as error:
        refuse(f"cannot write {output}: {error.strerror or error}")
    say(f"{written} gyms exported")


@main.command("eval")
@click.argument("labels", required=False, type=click.Path(path_type=Path))
@click.option(
    "--variant",
    type=click.Choice([choice.value for choice in VariantChoice]),
    help="Which variant enriches the golden set (default: GYM_VARIANT).",
)
@json_option
def evaluate(labels: Path | None, variant: str | None, as_json: bool) -> None:
    """Quality against gyms that people labelled (JSON lines), and what changed since the last evaluation.

    Without LABELS: against the golden set of the package, which the LLM of the settings enriches first, in a
    database apart from the directory. That shows what a new prompt or model does before it goes live.
    """
    from gym_enrichment import showing
    from gym_enrichment.pipeline import evaluating

    settings = load_settings(GYM_VARIANT=variant) if variant is not None else load_settings()
    try:
        found = (
            _evaluate_golden(settings)
            if labels is None
            else evaluating.evaluate(
                settings.database, evaluating.read_labels(labels), labels.name, settings.vocabulary
            )
        )
    except evaluating.LabelsError as error:
        refuse(str(error))
    if not found:
        refuse("none of the labelled gyms is enriched: ingest them and run first")
    showing.show_evaluations(found, as_json)


def _evaluate_golden(settings: Settings) -> "list[Evaluation]":
    from gym_enrichment.console import progress_bar, say
    from gym_enrichment.launching import enrich_golden
    from gym_enrichment.pipeline import evaluating
    from gym_enrichment.pipeline.enriching.judging import Judge
    from gym_enrichment.pipeline.hostile import hostile_figures

    home = settings.home / "golden"
    apart = load_settings(
        GYM_HOME=home, GYM_DATABASE_URL=f"sqlite:///{home.absolute() / 'gym.db'}", GYM_VARIANT=settings.variant
    )
    apart.database.migrate()
    with as_file(files("gym_enrichment") / "golden") as golden:
        labels = evaluating.read_labels(golden / "labels.jsonl")
        hostile = [json.loads(line) for line in (golden / "hostile.jsonl").read_text(encoding="utf-8").splitlines()]
    with progress_bar(len(labels)) as on_progress:
        report = enrich_golden(apart, on_progress)
    if report.error is not None:
        refuse(report.error)
    say(f"golden set: {report.figures['llm_calls']} calls, ${report.figures['cost_usd']:.4f}")
    refused = hostile_figures(hostile, Judge(settings.vocabulary, settings.publish_unverified))
    return evaluating.evaluate(
        apart.database, labels, "golden", settings.vocabulary, history=settings.database, more=refused
    )


@main.command("serve-llm")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8008, show_default=True, help="0 picks a free one.")
@click.option(
    "--latency", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Mean seconds per answer."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Makes the spread of latencies repeatable.")
@click.option(
    "--batch-seconds", type=click.FloatRange(min=0), default=0.2, show_default=True, help="Seconds that a batch takes."
)
@click.option(
    "--batch-faults",
    type=int,
    metavar="SEED",
    help="Batches come back in disorder, with missing or failed lines, expired or cancelled.",
)
def serve_llm(host: str, port: int, latency: float, seed: int, batch_seconds: float, batch_faults: int | None) -> None:
    """The offline engine as an OpenAI-compatible server, until Ctrl-C."""
    from gym_enrichment.console import say
    from gym_enrichment.llm.offline.server import build_app, serve

    app = build_app(latency, seed, batch_seconds, batch_faults)
    try:
        asyncio.run(serve(app, host, port, on_start=lambda url: say(f"offline-extractive at {url}")))
    except OSError as error:
        refuse(f"cannot listen on {host}:{port}: {error.strerror or error}")
    except KeyboardInterrupt:
        say("stopped")


@main.command()
@click.option("--migrate", is_flag=True, help="First bring the database schema to this version.")
@json_option
def doctor(migrate: bool, as_json: bool) -> None:
    """Check settings, database, migrations, LLM and Dagster instance, and say how to mend what is wrong.

    With --migrate the exit code tells of the migration alone: deployments wait for it, also while the LLM is down.
    """
    from gym_enrichment.console import print_json, print_table, say
    from gym_enrichment.doctor import examine

    if migrate:
        say(f"database schema is now {load_settings().database.migrate()}")
    findings = examine()
    if as_json:
        print_json({"ok": all(finding.ok for finding in findings), "checks": [f.as_dict() for f in findings]})
    else:
        rows = [["WRONG" if not f.ok else "look" if f.mend else "ok", f.check, f.found, f.mend] for f in findings]
        print_table("gym-enrichment doctor", ["", "check", "found", "how to mend it"], rows)
    if not migrate and not all(finding.ok for finding in findings):
        sys.exit(WRONG_USE)


main.add_command(run_command)
main.add_command(experiment_command)
main.add_command(rollout_command)
main.add_command(places_command)
main.add_command(report_command)


def _ingest(settings: Settings, sources: Sequence[str]) -> "IngestReport":
    from gym_enrichment.launching import report_ingest
    from gym_enrichment.pipeline.ingesting import ingest as ingest_sources
    from gym_enrichment.pipeline.taking_over import take_over

    report = ingest_sources(settings.database, sources)
    take_over(settings, sources, report)
    report_ingest(settings, report)
    return report
