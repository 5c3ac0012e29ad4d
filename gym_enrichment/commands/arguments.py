"""What several commands take: shares, variants, who changes something and why."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from gym_enrichment.domain.experiments import LEGACY, VariantSpec
from gym_enrichment.settings import VariantChoice

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def signed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for who changes something, and why."""
    command = click.option("--reason", required=True, help="Why: kept in the history.")(command)
    return click.option("--by", default=_user, show_default="the user of this machine", help="Who.")(command)


class PercentType(click.ParamType[float]):
    """25 or 25% becomes 0.25."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Fails for what is no percentage."""
        try:
            share = float(str(value).rstrip("% ")) / 100
        except ValueError:
            self.fail(f"{value!r} is no percentage", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not from 0 to 100", param, ctx)
        return share


PERCENT = PercentType()


def parse_variant(text: str) -> VariantSpec:
    """`combined`, or `nano=combined,model=gpt-4.1-nano,temperature=0.2`: a name, a kind, and what differs; or `legacy`.

    Raises:
        click.BadParameter: what it is not.
    """
    if text == LEGACY:
        return VariantSpec.of_kind(LEGACY)
    first, *others = text.split(",")
    name, _, kind = first.partition("=")
    given = dict(part.partition("=")[::2] for part in others)
    try:
        known = VariantChoice(kind or name)
        model = given.pop("model", None)
        parameters = {key: float(value) for key, value in given.items()}
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}. Write name=kind,model=...,temperature=...") from None
    return VariantSpec(name, known.value, model, _prompt_version(known), parameters)


def parse_shares(texts: Sequence[str], names: Sequence[str]) -> Mapping[str, float]:
    """`nano=10` for 10 %; the first of `names` has what is left.

    Raises:
        click.BadParameter: what it is not.
    """
    shares = dict.fromkeys(names, 0.0)
    for text in texts:
        name, _, percent = text.partition("=")
        if name not in names[1:]:
            known = ", ".join(names[1:]) or "a second variant"
            raise click.BadParameter(f"{text!r}: write NAME=PERCENT, for {known}")
        shares[name] = PERCENT.convert(percent, None, None)
    return shares | {names[0]: 1 - sum(shares[name] for name in names[1:])}


def _prompt_version(kind: VariantChoice) -> str:
    from gym_enrichment.prompts import combined, fanout, packed

    versions = {
        VariantChoice.COMBINED: combined.VERSION,
        VariantChoice.FANOUT: fanout.VERSION,
        VariantChoice.PACKED: packed.VERSION,
    }
    return versions[kind]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a user without a name
        return "unknown"
