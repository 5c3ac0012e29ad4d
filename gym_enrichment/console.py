"""What the CLI shows: tables on standard output, progress on standard error.

What must not live here: finding out what is shown.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from gym_enrichment.pipeline.enriching.enricher import Progress as RunProgress

_SECONDS_BETWEEN_LINES = 5.0
# A name or a review may hold orders to the terminal: to move about in it, to rename it, to fill the clipboard.
_LATE_CONTROLS = re.compile(r"[\x7f-\x9f]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# A pipe has no width of its own; a table of 80 columns would be all line breaks.
_PIPE_WIDTH = None if sys.stdout.isatty() else 150

output = Console(highlight=False, width=_PIPE_WIDTH)
errors = Console(stderr=True, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    # JSON itself spells the other control characters.
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write(_LATE_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people. Cells are text: nothing in them is taken for markup, or for an order to the terminal."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(harmless(_shown(cell))) for cell in row))
    output.print(table)


def say(message: str) -> None:
    """A line for people, on standard error so that `--json` stays one object."""
    errors.print(Text(harmless(message)), soft_wrap=True)


def harmless(text: str) -> str:
    """`text` with control characters spelled (`\\x1b`), line breaks and tabs kept."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[RunProgress], None]]:
    """A bar on a terminal, a plain line every few seconds elsewhere."""
    if not errors.is_terminal:
        yield _plain_lines()
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} gyms"),
        TextColumn("{task.fields[line]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=total, line="")

        def update(progress: RunProgress) -> None:
            bar.update(task, completed=progress.done, line=f"{progress.failed} failed, {progress.calls()}")

        yield update


def _plain_lines() -> Callable[[RunProgress], None]:
    last = 0.0

    def update(progress: RunProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - max(last, progress.started) >= _SECONDS_BETWEEN_LINES:
            last = now
            say(progress.line())

    return update


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
