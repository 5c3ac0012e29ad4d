"""`make compare`: today's Celery fan-out against this project's variants, on real gyms, in one run on this machine.

All contenders ask the same local server (benchmarks/answering.py), which answers after a fixed latency and counts
calls and tokens itself; all may have as many calls in flight. Each goes over the gyms once unmeasured before that, so
that nobody pays for imports. Writes docs/comparison.md. Needs the dev dependencies.
"""

import argparse
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from benchmarks.bench import server
from benchmarks.celery_baseline import running
from benchmarks.comparison import Figures, page
from gym_enrichment.domain.models import Bundle
from gym_enrichment.domain.reviews import clean_text
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.llm.pricing import price_of
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.bundles import read_bundles, write_bundles
from gym_enrichment.storage.enrichments import write_enriched_batch

REAL = Path(os.environ.get("GYM_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
DOCUMENT = Path(__file__).parents[1] / "docs" / "comparison.md"
MODEL = "gpt-4o-mini"
GYMS, AT_ONCE = 100, 20
LATENCY = 2.0  # what a model takes for such an answer, or less
VARIANTS = ("fanout", "combined", "packed")


@dataclass(frozen=True)
class Data:
    """The gyms that are compared, with their reviews as they are."""

    gyms: Sequence[Mapping[str, Any]]
    reviews: Sequence[Mapping[str, Any]]
    source: str

    @property
    def ids(self) -> list[str]:
        return [gym["place_id"] for gym in self.gyms]


def read_data(most: int) -> Data:
    """So many gyms that have a review with text, chosen by a hash of their id; the golden set without real data."""
    folder, source = (REAL, "real gyms") if (REAL / "gyms.jsonl").exists() else (files("gym_enrichment") / "golden", "")

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]

    reviews = rows("reviews.jsonl")
    with_text = {review["place_id"] for review in reviews if (review.get("text") or "").strip()}
    named: dict[str, dict[str, Any]] = {}
    for gym in sorted(rows("gyms.jsonl"), key=lambda gym: blake2b(gym["place_id"].encode()).digest()):
        # The server tells gyms apart by name.
        if gym["place_id"] in with_text and gym.get("name") and len(named) < most:
            named.setdefault(gym["name"], gym)
    gyms = list(named.values())
    chosen = {gym["place_id"] for gym in gyms}
    return Data(gyms, [r for r in reviews if r["place_id"] in chosen], source or "gyms of the golden set")


@dataclass
class Llm:
    """The server as contenders and this process see it."""

    address: str
    latency: float = LATENCY

    def reset(self, latency: float, failing: Collection[str] = ()) -> None:
        body = json.dumps({"latency": latency, "failing": sorted(failing)}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.address}/control", body)).close()

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.address}/stats") as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def measure(self, work: Callable[[], int]) -> Figures:
        """Of work that returns how many reviews queries it made; with the latency, and nothing failing."""
        self.reset(self.latency)
        began = time.monotonic()
        queries = work()
        wall = time.monotonic() - began
        return Figures(wall=wall, review_queries=queries, **self.counts())


class Contender(Protocol):
    """One way of enriching the gyms, with a database of its own that remembers what was done before."""

    def run(self, place_ids: Sequence[str]) -> int:
        """Enrich these from raw reviews to saved results; returns the number of reviews queries."""

    def again(self, place_ids: Sequence[str]) -> int:
        """What a later run does to these."""

    def failed(self) -> list[str]:
        """Who failed in the last of those."""


@dataclass
class Celery:
    """Today's."""

    baseline: Any
    _failed: list[str] = field(default_factory=list)

    def run(self, place_ids: Sequence[str]) -> int:
        queries, self._failed = running.run(self.baseline, place_ids)
        return queries

    again = run  # nothing is remembered: it is done from scratch

    def failed(self) -> list[str]:
        return self._failed


@dataclass
class Ours:
    """One of this project's variants: bundles are built and saved, then read, asked about and saved, as in Dagster."""

    settings: Settings
    batch_ids: Sequence[str]
    runs: int = 0
    bundling_seconds: float = 0.0
    _failed: list[str] = field(default_factory=list)

    def run(self, place_ids: Sequence[str]) -> int:
        database, before, began = self.settings.database, self.settings.database.review_queries.value, time.monotonic()
        for batch_id, bundles in build_bundles(database, self.batch_ids, self.settings.token_budget):
            write_bundles(database, batch_id, bundles)
        self.bundling_seconds = time.monotonic() - began
        self.runs += 1
        self._failed = []
        enricher = Enricher(self.settings, describe_endpoint(self.settings))
        for batch in enricher.enrich(self._bundles(set(place_ids)), f"run-{self.runs}"):
            write_enriched_batch(database, batch)
            self._failed += [failure.place_id for failure in batch.failures]
        return database.review_queries.value - before

    again = run  # it finds what is stored

    def _bundles(self, wanted: set[str]) -> Iterator[tuple[str, list[Bundle]]]:
        for batch_id in self.batch_ids:
            bundles = [bundle for bundle in read_bundles(self.settings.database, batch_id) if bundle.place_id in wanted]
            yield batch_id, bundles

    def failed(self) -> list[str]:
        return self._failed


@contextmanager
def celery(data: Data, llm: Llm) -> Iterator[Callable[[], AbstractContextManager[Contender]]]:
    """Broker and worker; the contenders of it share both, and the database: nothing of it is ever used again."""
    with tempfile.TemporaryDirectory() as folder, running.broker() as url:
        database = Path(folder) / "baseline.db"
        running.make_database(database, data.gyms, data.reviews)
        with running.worker(url, database, f"{llm.address}/v1", AT_ONCE) as baseline:

            @contextmanager
            def contender() -> Iterator[Contender]:
                yield Celery(baseline)

            yield contender


@contextmanager
def ours(data: Data, llm: Llm, variant: str) -> Iterator[Contender]:
    """A variant with a new database that holds the raw gyms and reviews."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            GYM_HOME=folder,
            GYM_DATABASE_URL=f"sqlite:///{folder}/gym.db",
            GYM_LLM="openai",
            OPENAI_API_KEY="compare",
            OPENAI_BASE_URL=f"{llm.address}/v1",
            GYM_LLM_MODEL=MODEL,
            GYM_LLM_CONCURRENCY=AT_ONCE,
            GYM_VARIANT=variant,
        )
        settings.database.migrate()
        sources = []
        for name, rows in (("gyms", data.gyms), ("reviews", data.reviews)):
            path = Path(folder) / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            sources.append(str(path))
        ingest(settings.database, sources)
        yield Ours(settings, assign_batches(settings.database, settings.batch_size))


def scenario(
    name: str, data: Data, llm: Llm, contender: Callable[[], AbstractContextManager[Contender]]
) -> dict[str, Figures]:
    """A run; then, from the beginning, one in which half of the gyms fail, with what comes after it."""
    with contender() as warming:
        llm.reset(0.0)
        warming.run(data.ids)
    found = {}
    with contender() as fresh:
        found["run"] = llm.measure(lambda: fresh.run(data.ids))
        _nobody(name, fresh.failed())
        if isinstance(fresh, Ours):
            found["run"].bundling = fresh.bundling_seconds
    half = data.gyms[::2]
    with contender() as halved:
        # Bundles have names without their invisible characters, the baseline has them as they are.
        llm.reset(0.0, failing={name for gym in half for name in (gym["name"], clean_text(gym["name"]))})
        halved.run(data.ids)
        failed = sorted(halved.failed())
        if failed != sorted(gym["place_id"] for gym in half):
            raise SystemExit(f"{name}: {len(failed)} gyms failed, not the {len(half)} that should")
        good = [place_id for place_id in data.ids if place_id not in failed]
        found["succeeded again"] = llm.measure(lambda: halved.again(good))
        _nobody(name, halved.failed())
        # Today only failed gyms are given again; a run of ours takes their batches, and finds the rest in the cache.
        retried = failed if name == "celery" else data.ids
        found["retry"] = llm.measure(lambda: halved.again(retried))
        _nobody(name, halved.failed())
    return found


def _nobody(name: str, failed: Sequence[str]) -> None:
    if failed:
        raise SystemExit(f"{name}: {len(failed)} gyms failed where none should: the figures would be worth nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gyms", type=int, default=GYMS)
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds that an answer takes")
    parser.add_argument("-o", "--output", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    data = read_data(arguments.gyms)
    found: dict[str, dict[str, Figures]] = {}
    with server(module="benchmarks.answering") as address:
        llm = Llm(address, arguments.latency)
        with celery(data, llm) as contender:
            found["celery"] = scenario("celery", data, llm, contender)
        for variant in VARIANTS:
            found[variant] = scenario(variant, data, llm, lambda variant=variant: ours(data, llm, variant))
    price = price_of(MODEL)
    assert price is not None
    text = page(
        found,
        gyms=len(data.gyms),
        reviews=len(data.reviews),
        source=data.source,
        price=price,
        at_once=AT_ONCE,
        latency=arguments.latency,
        load=load,
        model=MODEL,
    )
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
