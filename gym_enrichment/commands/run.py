"""`gym-enrichment run`: the main job, and its small test of a variant."""

import sys
from typing import TYPE_CHECKING, Any

import click

from gym_enrichment.commands.arguments import json_option
from gym_enrichment.commands.exits import INTERRUPTED, SOME_FAILED, refuse
from gym_enrichment.settings import LlmChoice, Settings, VariantChoice, load_settings

if TYPE_CHECKING:
    from gym_enrichment.pipeline.trying import Trial

_TEST_GYMS = 5


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"Enrich at most N gyms (of a test: N, by default {_TEST_GYMS})."
)
@click.option("--variant", metavar="VARIANT", help="The way of asking (default: GYM_VARIANT).")
@click.option("--batches", help="Only these batches, separated by commas, whether they need it or not.")
@click.option("--test", is_flag=True, help="Ask about a few gyms and show what comes of it, without saving it.")
@click.option("--publish", is_flag=True, help="Of a test: save and publish it all the same.")
@json_option
def run(limit: int | None, variant: str | None, batches: str | None, test: bool, publish: bool, as_json: bool) -> None:
    """Batch what is new, bundle, enrich and publish, through Dagster."""
    if limit is not None and batches is not None:
        raise click.UsageError("--limit and --batches exclude each other")
    if test:
        if batches is not None:
            raise click.UsageError("--test picks its gyms itself: use --limit")
        _test(load_settings(), variant, limit or _TEST_GYMS, publish=publish, as_json=as_json)
        return
    if publish:
        raise click.UsageError("--publish goes with --test: without it everything is published")
    wanted = [batch.strip() for batch in batches.split(",") if batch.strip()] if batches is not None else None
    enrich(_settings_with(variant), as_json=as_json, limit=limit, batches=wanted)


def enrich(settings: Settings, *, as_json: bool, limit: int | None = None, batches: list[str] | None = None) -> None:
    """Enrich what needs it, or `batches`; shows how it went, and ends with the exit code that says so."""
    from gym_enrichment import showing
    from gym_enrichment.console import print_json, progress_bar, say
    from gym_enrichment.launching import run_batches
    from gym_enrichment.pipeline.choosing import choose_batches
    from gym_enrichment.storage.batches import UnknownBatch

    _say_who_answers(settings)
    try:
        chosen = choose_batches(settings, limit=limit, wanted=batches)
    except UnknownBatch as error:
        refuse(str(error))
    try:
        with progress_bar(chosen.gyms) as on_progress:
            report = run_batches(settings, chosen.batch_ids, on_progress)
    except KeyboardInterrupt:
        say("stopped: what was answered is saved and will not be paid again; `gym-enrichment run` goes on from here")
        sys.exit(INTERRUPTED)
    if as_json:
        print_json(report.as_dict())
    else:
        showing.show_run(settings.database, report)
    if report.error is not None:
        refuse(report.error)
    if unasked := report.figures["skipped_budget"]:
        say(f"the budget is reached: {unasked} gyms were not asked about; raise it and run again")
    if report.figures["failed"]:
        say("`gym-enrichment run` asks again for what failed; `gym-enrichment show PLACE_ID` says more")
        sys.exit(SOME_FAILED)


def _settings_with(variant: str | None) -> Settings:
    """The settings with another variant; refused where an experiment decides about variants."""
    if variant is None:
        return load_settings()
    if variant not in list(VariantChoice):
        raise click.BadParameter(f"{variant!r} is none of {', '.join(VariantChoice)}", param_hint="--variant")
    from gym_enrichment.storage.experiments import version_in_force

    settings = load_settings(GYM_VARIANT=variant)
    with settings.database.read() as connection:
        version = version_in_force(connection)
    if version is not None:
        refuse(
            f"experiment {version.experiment.name} decides about variants: change it (`experiment set`, `rollout set`),"
            " end it, or try a variant with --test"
        )
    return settings


def _test(settings: Settings, variant: str | None, gyms: int, *, publish: bool, as_json: bool) -> None:
    from gym_enrichment.console import print_json, say
    from gym_enrichment.llm.errors import RunStopped
    from gym_enrichment.pipeline.trying import try_variant

    _say_who_answers(settings)
    try:
        trial = try_variant(settings, variant or settings.variant, gyms, publish=publish)
    except RunStopped as stopped:
        refuse(str(stopped))
    if as_json:
        print_json(trial.as_dict())
    else:
        _show_trial(trial)
    say("published" if publish else "nothing was saved; the answers are in the cache, so that `run` does not pay again")
    if trial.figures["failed"]:
        sys.exit(SOME_FAILED)


def _show_trial(trial: "Trial") -> None:
    from gym_enrichment.console import print_table

    rows: list[list[Any]] = [
        [
            f"{trial.names.get(found.place_id) or found.place_id}",
            found.description,
            found.amenities,
            found.has_women_hours,
            found.hours_sentence or found.hours_french,
        ]
        for found in trial.enrichments
    ]
    print_table(f"Test of {trial.variant}", ["gym", "description", "amenities", "women-only", "hours"], rows)
    if trial.failures:
        print_table("Failed", ["gym", "why"], [[f.place_id, f"{f.kind}: {f.message}"] for f in trial.failures])
    print_table("This test", ["", ""], list(trial.figures.items()))


def _say_who_answers(settings: Settings) -> None:
    from gym_enrichment.console import say

    if settings.require_llm() is LlmChoice.OFFLINE:
        say("offline-extractive answers: local rules that read the reviews, no language model")
