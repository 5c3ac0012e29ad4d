"""Writes docs/comparison.md from what compare.py measured. No measuring here."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from gym_enrichment.llm.pricing import Price

COLUMNS = {"celery": "Celery fan-out", "fanout": "`fanout`", "combined": "`combined`", "packed": "`packed`"}


@dataclass
class Figures:
    """Of one measured piece of work over all gyms. `bundling` is the part of `wall` before the first call."""

    wall: float
    review_queries: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    bundling: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def asking(self) -> float:
        return self.wall - self.bundling


@dataclass(frozen=True)
class Row:
    """One line: how a figure is taken and written, what the report expected of it, and what has to be reached."""

    title: str
    of: Callable[[Mapping[str, Figures]], float]
    form: str
    estimate: str
    targets: str = ""


def rows(gyms: int, price: Price, at_once: int, latency: float) -> Sequence[Row]:
    def each(take: Callable[[Figures], float]) -> Callable[[Mapping[str, Figures]], float]:
        return lambda found: take(found["run"]) / gyms

    def waiting(figures: Figures) -> float:
        return ceil(figures.calls / at_once) * latency

    def cost(figures: Figures) -> float:
        return price.cost(figures.prompt_tokens, 0, figures.completion_tokens)

    return [
        Row("review queries per gym", each(lambda f: f.review_queries), ".3f", "1 (75 % less)", "at most 0.02"),
        Row(
            "LLM calls per gym",
            each(lambda f: f.calls),
            ".2f",
            "1 (66 % less)",
            "`combined` 1, `packed` at most 0.3",
        ),
        Row("prompt tokens per gym", each(lambda f: f.prompt_tokens), ",.0f", ""),
        Row("completion tokens per gym", each(lambda f: f.completion_tokens), ",.0f", ""),
        Row("tokens per gym", each(lambda f: f.tokens), ",.0f", "58 % less", "`combined` 72 %, `packed` 78 % less"),
        Row("cost per 1,000 gyms, $", each(lambda f: 1_000 * cost(f)), ".3f", ""),
        Row("wall time from raw reviews, s", lambda found: found["run"].wall, ".2f", "40 % less", "70 % less"),
        Row("– of it building bundles, s", lambda found: found["run"].bundling, ".2f", ""),
        Row("– waiting for calls at best (computed), s", lambda found: waiting(found["run"]), ".2f", ""),
        Row("– all but bundles: calls, checks, saving, s", lambda found: found["run"].asking, ".2f", ""),
        Row("retry after half of the gyms failed: time, s", lambda found: found["retry"].wall, ".2f", ""),
        Row("– calls", lambda found: found["retry"].calls, ",.0f", ""),
        Row("– tokens", lambda found: found["retry"].tokens, ",.0f", ""),
        Row(
            "what had succeeded, given again: time, s",
            lambda found: found["succeeded again"].wall,
            ".3f",
            "90 % less",
            "98 % less",
        ),
        Row("– tokens", lambda found: found["succeeded again"].tokens, ",.0f", "", "0"),
    ]


def page(
    found: Mapping[str, Mapping[str, Figures]],
    *,
    gyms: int,
    reviews: int,
    source: str,
    price: Price,
    at_once: int,
    latency: float,
    load: float,
    model: str,
) -> str:
    """The whole document. `load` is the machine's load average before anything was measured."""
    lines = [
        "# Old against new",
        "",
        f"`make compare` measured this in one run: {gyms} {source} with {reviews:,} reviews, at most {at_once} calls in"
        f" flight, a local server that answers after {latency:g} s, {os.cpu_count()} cores with a load of {load:.1f}"
        " before it began. In brackets the difference to the Celery fan-out.",
        "",
        "| | " + " | ".join(COLUMNS.values()) + " | report's estimate | to be reached |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for row in rows(gyms, price, at_once, latency):
        old = row.of(found["celery"])
        cells = [format(old, row.form)]
        cells += [_cell(row, old, row.of(found[name])) for name in COLUMNS if name != "celery"]
        lines.append(f"| {row.title} | " + " | ".join(cells) + f" | {row.estimate} | {row.targets} |")
    return "\n".join([*lines, "", *_READING.format(model=model, latency=f"{latency:g}").splitlines()]) + "\n"


def _cell(row: Row, old: float, new: float) -> str:
    written = format(new, row.form)
    if not old:
        return written
    change = 1 - new / old
    return f"{written} ({abs(change):.1%} {'less' if change >= 0 else 'more'})".replace("%", " %")


_READING = """\
## Reading it

- **Celery fan-out** is `benchmarks/celery_baseline/`: a `group()` of three tasks for each gym, a worker with as many
  processes on a real broker, one reviews query and all reviews in each task, the synchronous openai client. The others
  are variants of this project, from raw reviews to checked and saved rows, without Dagster's start-up.
- **Tokens** are counted by the server, in the model's vocabulary: messages, the schema that our calls send (the old
  ones send none) and answers. **Cost** is theirs at the list price of `{model}`, no prompt cache.
- **Wall time** begins with raw reviews in the database and ends with saved results; every process was warm. Bundles are
  built before the first call, as in Dagster, and are stored: only gyms that changed need them again.
- **What to expect of it**: three calls against one, as many in flight, can give at most 66.7 % less, and more only by
  what the old way wastes besides waiting; building bundles takes some of that away. `packed`, whose calls hold several
  gyms, is the one that can pass 70 %. `fanout` makes as many calls as the old way: it saves tokens, no time.
- Waiting costs no computing, building bundles does: where the load was above the number of cores, other work stretched
  the times of bundles, and the wall times of our variants say less than the line of calls.
- The server answers after {latency} s; a model takes as long or longer for such an answer, and `--latency` sets
  another wait. The shorter it is, the more weighs what this machine computes.
- **Retry**: in a run half of the gyms fail (garbage instead of their answer; of the three calls of a fan-out, one).
  Then all is well. Celery does the failed gyms again from scratch; a run of ours takes the whole batches, takes bundles
  as they are stored, finds what it has in the cache and asks the rest.
- **What had succeeded**: the good half of that run, given again.
"""
