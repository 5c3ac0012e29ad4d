"""`make bench`: this project's gateway, the bare wire and the plain openai client, side by side in one run.

Prints a small table and writes benchmarks/results.json. Absolute times wander with the machine; the ratios are
what counts. docs/performance.md says how to read them.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import openai
from pydantic import BaseModel

from benchmarks.workload import bundles, requests
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.settings import Settings, load_settings

ROWS, AT_ONCE, LATENCY = 300, 20, 0.2
GROWTH = (1_000, 10_000, 100_000)
RESULTS = Path(__file__).parent / "results.json"


class AmenityAnswer(BaseModel):
    """For the plain client's `parse`."""

    name: str
    reviews: list[int]


class GymAnswer(BaseModel):
    """For the plain client's `parse`: the same schema as the combined prompt's."""

    description: str
    amenities: list[AmenityAnswer]
    has_women_hours: bool
    women_hours_reviews: list[int]
    hours_french: str


@contextmanager
def server(*options: object, module: str = "benchmarks.server") -> Iterator[str]:
    """A server in its own process; yields its address."""
    command = [sys.executable, "-m", module, *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of wall time and of this process's CPU."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def floor(address: str) -> None:
    """Bare aiohttp: posts the bytes, reads the bytes."""

    async def main() -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        async with aiohttp.ClientSession() as session:

            async def one(content: bytes) -> None:
                async with slots, session.post(f"{address}/v1/chat/completions", data=content) as response:
                    await response.read()

            await asyncio.gather(*(one(request.payload.content) for request in requests(ROWS)))

    asyncio.run(main())


def client(address: str) -> None:
    """The openai client as its documentation shows it: `parse` with a pydantic model."""

    async def main() -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        async with openai.AsyncOpenAI(api_key="bench", base_url=f"{address}/v1", max_retries=0) as plain:

            async def one(messages: Any) -> None:
                async with slots:
                    await plain.chat.completions.parse(model="bench", messages=messages, response_format=GymAnswer)

            await asyncio.gather(*(one(request.messages) for request in requests(ROWS)))

    asyncio.run(main())


@contextmanager
def prepared(address: str, at_once: int = AT_ONCE) -> Iterator[Settings]:
    """Settings with an empty database, its schema made: nobody makes it anew for every run."""
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(
            GYM_HOME=home,
            GYM_LLM="openai",
            OPENAI_API_KEY="bench",
            OPENAI_BASE_URL=f"{address}/v1",
            GYM_LLM_CONCURRENCY=at_once,
        )
        settings.database.migrate()
        yield settings


def ours(settings: Settings, gyms: int = ROWS, seed: int = 0) -> None:
    """The whole way from bundles to checked, durable enrichments: cache, leases, ledger on SQLite."""
    enricher = Enricher(settings, describe_endpoint(settings))
    failed = sum(len(batch.failures) for batch in enricher.enrich(bundles(gyms, seed), "bench"))
    if failed:
        raise SystemExit(f"{failed} gyms failed: the figures would be worth nothing")


def wire() -> dict[str, float]:
    """300 rows, 20 at once, 0.2 s per answer; the best of three runs each, interleaved."""
    ideal = ROWS / AT_ONCE * LATENCY
    contenders: dict[str, Callable[[str, Settings], None]] = {
        "floor": lambda address, _: floor(address),
        "client": lambda address, _: client(address),
        "ours": lambda _, settings: ours(settings),
    }
    best = {name: (float("inf"), float("inf")) for name in contenders}
    for _ in range(3):
        for name, contender in contenders.items():
            with server("--latency", LATENCY) as address, prepared(address) as settings:
                wall, cpu = measured(partial(contender, address, settings))
            best[name] = (min(best[name][0], wall / ideal), min(best[name][1], cpu / ROWS * 1000))
    for name, (wall, cpu) in best.items():
        print(f"{name:8} wall/ideal {wall:.2f}   CPU per row {cpu:.2f} ms", flush=True)
    return {
        "wall_over_ideal": best["ours"][0],
        "cpu_ms_per_gym": best["ours"][1],
        "floor_wall_over_ideal": best["floor"][0],
        "floor_cpu_ms": best["floor"][1],
        "client_wall_over_ideal": best["client"][0],
        "client_cpu_ms": best["client"][1],
    }


def hidden_capacity() -> dict[str, float]:
    """A server that says nothing of its capacity: what share of it is used, and how many calls it refuses."""
    rps, parallel, gyms = 40.0, 30, 1_500
    with server("--latency", LATENCY, "--rps", rps) as address, prepared(address, at_once=200) as settings:
        wall, _ = measured(partial(ours, settings, gyms))
        with urllib.request.urlopen(f"{address}/stats") as answer:
            refused = json.load(answer)["refused"]
    settled = [moment for moment in refused if moment > 5.0]
    by_rate = gyms / rps / wall
    with server("--latency", LATENCY, "--parallel", parallel) as address, prepared(address, at_once=200) as settings:
        wall, _ = measured(partial(ours, settings, gyms))
    by_slots = gyms * LATENCY / parallel / wall
    share = len(settled) / (gyms + len(settled))
    print(f"hidden capacity: {by_rate:.0%} of {rps:.0f} requests/s, {share:.1%} refused once settled", flush=True)
    print(f"hidden capacity: {by_slots:.0%} of {parallel} at once", flush=True)
    return {"hidden_capacity_share": min(by_rate, by_slots), "refused_share": share}


def growth() -> dict[str, float]:
    """CPU per gym and peak memory at 1 thousand, 10 thousand and 100 thousand gyms, each in a fresh process."""
    found = []
    for gyms in GROWTH:
        with server("--latency", 0.02) as address:
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.growth", address, str(gyms)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        found.append(json.loads(output))
        print(
            f"{gyms:>7} gyms: {found[-1]['cpu_ms']:.2f} ms CPU each, {found[-1]['peak_mb']:.0f} MB at most", flush=True
        )
    return {
        "cpu_growth": found[-1]["cpu_ms"] / found[0]["cpu_ms"] - 1,
        "memory_growth_mb": found[-1]["peak_mb"] - found[0]["peak_mb"],
    }


def main() -> None:
    """All parts, or those named."""
    parts = {"wire": wire, "hidden": hidden_capacity, "growth": growth}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    results: dict[str, float] = {}
    for name in parser.parse_args().parts or parts:
        results |= parts[name]()
    RESULTS.write_text(json.dumps({name: round(value, 4) for name, value in results.items()}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
