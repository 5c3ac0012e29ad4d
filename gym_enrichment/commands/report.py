"""`gym-enrichment report`: the report page as a file."""

from pathlib import Path

import click

from gym_enrichment.commands.exits import refuse
from gym_enrichment.pipeline.gallery import DEFAULT_GYMS
from gym_enrichment.settings import load_settings


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The HTML file.",
)
@click.option(
    "--gyms",
    type=click.IntRange(min=0),
    default=DEFAULT_GYMS,
    show_default=True,
    help="Most gyms in the gallery, the newest first.",
)
def report(output: Path, gyms: int) -> None:
    """Figures, comparisons and a gallery of gyms with their evidence as one HTML file that needs no network."""
    from gym_enrichment.console import say
    from gym_enrichment.pipeline.reporting import gather_report
    from gym_enrichment.report.page import write_report

    found = gather_report(load_settings().database, gyms)
    try:
        size = write_report(found, output)
    except OSError as error:
        refuse(f"cannot write {output}: {error.strerror or error}")
    left_out = f", {found.gallery.left_out} left out" if found.gallery.left_out else ""
    say(f"{output}: {size / 1e6:.2f} MB, {len(found.gallery.gyms)} gyms in the gallery{left_out}")
