"""`gym-enrichment experiment`: variants side by side, begun, changed, compared and ended."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gym_enrichment.commands.arguments import json_option, parse_shares, parse_variant, signed
from gym_enrichment.domain.experiments import Experiment, Shadow
from gym_enrichment.settings import load_settings

if TYPE_CHECKING:
    from gym_enrichment.domain.evaluation import Share
    from gym_enrichment.pipeline.experimenting import Comparison
    from gym_enrichment.storage.experiments import ExperimentVersion


@click.group()
def experiment() -> None:
    """Several variants side by side: each gym has one of them, and is published with it."""


@experiment.command()
@click.argument("name")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    required=True,
    metavar="NAME[=KIND,model=...,temperature=...]",
    help="A variant; the first is what the others are compared with. Give several.",
)
@click.option("--share", "shares", multiple=True, metavar="NAME=PERCENT", help="The first variant has what is left.")
@click.option("--shadow", metavar="NAME=PERCENT", help="Ask about so many gyms with this one too, unpublished.")
@signed
def begin(name: str, variants: Sequence[str], shares: Sequence[str], shadow: str | None, by: str, reason: str) -> None:
    """Begin an experiment: from now on it decides about variants, not GYM_VARIANT."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import begin_experiment

    specs = [parse_variant(text) for text in variants]
    names = [spec.name for spec in specs]
    begun = Experiment.begun(name, specs, parse_shares(shares, names), _shadow(shadow, names))
    begin_experiment(load_settings().database, begun, by, reason)
    say(f"{name} is in force ({begun.shown_shares}): moved_gyms_sensor or `gym-enrichment run` asks what it needs")


@experiment.command("set")
@click.option("--share", "shares", multiple=True, metavar="NAME=PERCENT", help="The first variant has what is left.")
@click.option("--shadow", metavar="NAME=PERCENT", help="0 percent ends it.")
@signed
def set_(shares: Sequence[str], shadow: str | None, by: str, reason: str) -> None:
    """Give the experiment in force other shares: as few gyms as possible move."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import change_experiment, required_version

    database = load_settings().database
    names = [spec.name for spec in required_version(database).experiment.variants]
    changed = change_experiment(
        database, by, reason, parse_shares(shares, names) if shares else None, _shadow(shadow, names)
    )
    say(f"{changed.experiment.name}: {changed.experiment.shown_shares}")


@experiment.command()
@signed
def end(by: str, reason: str) -> None:
    """End the experiment in force: GYM_VARIANT decides again."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import end_experiment

    settings = load_settings()
    ended = end_experiment(settings.database, by, reason)
    say(f"{ended.experiment.name} is ended: GYM_VARIANT decides, and says {settings.variant}")


@experiment.command()
@json_option
def show(as_json: bool) -> None:
    """The experiment in force: what each variant did, how they differ, and where the shadow agrees."""
    from gym_enrichment import showing
    from gym_enrichment.console import print_json, print_table
    from gym_enrichment.pipeline.experimenting import compare_variants

    version, compared, agreeing = compare_variants(load_settings().database)
    if as_json:
        print_json(_as_dict(version, compared, agreeing))
        return
    found = version.experiment
    print_table(
        f"Experiment {found.name}, version {version.version}: {version.state}",
        ["variant", "kind", "model", "prompt", "share", "enriched", "failed", "cost, $"],
        [
            [
                *(c.spec.name, c.spec.kind, c.spec.model or "GYM_LLM_MODEL", c.spec.prompt_version, f"{c.share:.1%}"),
                *(c.counts.enriched, c.counts.failed, round(c.counts.cost_usd, 4)),
            ]
            for c in compared
        ],
    )
    for comparison in compared:
        print_table(
            f"{comparison.spec.name}: less is better",
            ["", "value", "95 % interval", f"against {compared[0].spec.name}"],
            [
                [name, showing.rounded(figure.value), showing.interval(figure), _difference(comparison, name)]
                for name, figure in comparison.figures.items()
            ],
        )
    if agreeing and found.shadow:
        print_table(
            f"{found.shadow.variant} in the shadow of {found.shadow.share:.1%} agrees with what is published",
            ["field", "share", "95 % interval", "of"],
            [
                [name, showing.rounded(share.value), showing.interval(share), share.of]
                for name, share in agreeing.items()
            ],
        )


def _as_dict(
    version: "ExperimentVersion", compared: "Sequence[Comparison]", agreeing: "dict[str, Share] | Any"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "experiment": version.experiment.name,
        "version": version.version,
        "state": version.state,
        "changed_by": version.changed_by,
        "changed_at": version.changed_at,
        "reason": version.reason,
        "variants": [
            asdict(c.spec)
            | {"share": c.share, "enriched": c.counts.enriched, "failed": c.counts.failed}
            | {"answers": c.counts.answers, "invalid": c.counts.invalid, "cost_usd": c.counts.cost_usd}
            | {"figures": {name: asdict(figure) for name, figure in c.figures.items()}}
            | {"differences": {name: asdict(change) for name, change in c.differences.items()}}
            for c in compared
        ],
        "shadow": asdict(version.experiment.shadow) if version.experiment.shadow else None,
        "agreement": {name: asdict(share) for name, share in agreeing.items()},
    }


def _shadow(text: str | None, names: Sequence[str]) -> Shadow | None:
    if text is None:
        return None
    name = text.partition("=")[0]
    shares = parse_shares([text], ["", *names])
    return Shadow(name, shares[name])


def _difference(comparison: "Comparison", name: str) -> str:
    from gym_enrichment import showing

    change = comparison.differences.get(name)
    return showing.changed(change) or (change.verdict if change else "")
