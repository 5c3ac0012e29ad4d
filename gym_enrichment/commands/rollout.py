"""`gym-enrichment rollout`: from one variant to another, step by step while guardrails hold."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gym_enrichment.commands.arguments import PERCENT, json_option, parse_variant, signed
from gym_enrichment.domain.rollout import DEFAULT_STEPS, GUARDRAILS, MIN_GYMS, Plan, Step
from gym_enrichment.settings import load_settings

if TYPE_CHECKING:
    from gym_enrichment.domain.rollout import Decision
    from gym_enrichment.storage.experiments import ExperimentVersion

_STEPS = ",".join(f"{step.share * 100:g}:{step.days:g}" for step in DEFAULT_STEPS)


@click.group()
def rollout() -> None:
    """Raise the share of a new variant step by step, while its guardrails hold."""


@rollout.command("set")
@click.option("--old", default="fanout", show_default=True, help="The variant to leave (as for `experiment begin`).")
@click.option("--new", default="combined", show_default=True, help="The variant to go to.")
@click.option("--steps", default=_STEPS, show_default=True, metavar="PERCENT:DAYS,...", help="The plan.")
@click.option("--min-gyms", type=click.IntRange(min=1), default=MIN_GYMS, show_default=True, help="To decide on.")
@click.option("--name", help="Of the experiment (default: OLD-to-NEW).")
@click.option("--share", type=PERCENT, help="Instead: go to this step of the rollout in force.")
@signed
def set_(
    old: str, new: str, steps: str, min_gyms: int, name: str | None, share: float | None, by: str, reason: str
) -> None:
    """Begin a rollout with its first step, or go to another step of the one in force."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import begin_rollout, set_rollout

    database = load_settings().database
    if share is not None:
        set_rollout(database, share, by, reason)
        say(f"the new variant has {share:.0%} of the gyms")
        return
    specs = [parse_variant(old), parse_variant(new)]
    plan = Plan(specs[0].name, specs[1].name, _parse_steps(steps), GUARDRAILS, min_gyms)
    begin_rollout(database, name or f"{plan.old}-to-{plan.new}", plan, specs, by, reason)
    say(
        f"{plan.new} has {plan.steps[0].share:.0%} of the gyms; rollout_schedule takes the next steps,"
        " moved_gyms_sensor (or `gym-enrichment run`) asks about the gyms that move"
    )


@rollout.command()
@signed
def pause(by: str, reason: str) -> None:
    """Leave the share where it is until `rollout resume`."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import pause_rollout

    pause_rollout(load_settings().database, by, reason)
    say("paused")


@rollout.command()
@signed
def resume(by: str, reason: str) -> None:
    """Watch the present step again, from now on."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.experimenting import resume_rollout

    resume_rollout(load_settings().database, by, reason)
    say("resumed")


@rollout.command()
@json_option
def show(as_json: bool) -> None:
    """Where the rollout in force stands, what its guardrails say now, and its history."""
    from gym_enrichment.console import print_json, print_table, say
    from gym_enrichment.pipeline.experimenting import look_at_rollout, required_version
    from gym_enrichment.storage.experiments import experiment_history

    database = load_settings().database
    latest = required_version(database)
    decision = look_at_rollout(database)
    with database.read() as connection:
        history = experiment_history(connection, latest.experiment.name)
    if as_json:
        print_json(_as_dict(latest, decision, history))
        return
    shares = [[name, f"{share:.0%}"] for name, share in latest.experiment.shares.items()]
    print_table(f"{latest.experiment.name}: {latest.state}", ["variant", "share"], shares)
    if latest.rollout is not None:
        rows = [
            [">" if number == latest.rollout.step else "", f"{step.share:.0%}", step.days]
            for number, step in enumerate(latest.rollout.plan.steps)
        ]
        print_table("Plan", ["", "share of the new variant", "days"], rows)
    if decision is not None:
        looked_at = [
            [f.name, f.new, f.old, f.bound, "holds" if f.holds else "SEVERE" if f.severe else "BROKEN"]
            for f in decision.findings
        ]
        print_table("Guardrails", ["", "new", "old", "bound", ""], looked_at)
        say(f"next: {decision.action}, since {decision.reason}")
    changes = [
        [version.changed_at, version.action, version.experiment.shown_shares, version.changed_by, version.reason]
        for version in history
    ]
    print_table("History", ["when", "what", "shares", "who", "why"], changes)


def _parse_steps(text: str) -> Sequence[Step]:
    steps = []
    for part in text.split(","):
        share, _, days = part.partition(":")
        try:
            steps.append(Step(PERCENT.convert(share.strip(), None, None), float(days or 0)))
        except ValueError:
            raise click.BadParameter(f"{part!r}: write PERCENT:DAYS") from None
    return tuple(steps)


def _as_dict(
    latest: "ExperimentVersion", decision: "Decision | None", history: "Sequence[ExperimentVersion]"
) -> dict[str, Any]:
    return {
        "experiment": latest.experiment.name,
        "state": latest.state,
        "shares": latest.experiment.shares,
        "step": latest.rollout.step if latest.rollout else None,
        "step_began_at": latest.rollout.step_began_at if latest.rollout else None,
        "plan": latest.rollout.plan.as_dict() if latest.rollout else None,
        "next": {"action": decision.action, "reason": decision.reason} if decision else None,
        "guardrails": [asdict(finding) for finding in decision.findings] if decision else [],
        "history": [
            {
                "version": version.version,
                "changed_at": version.changed_at,
                "action": version.action,
                "state": version.state,
                "shares": version.experiment.shares,
                "changed_by": version.changed_by,
                "reason": version.reason,
            }
            for version in history
        ],
    }
