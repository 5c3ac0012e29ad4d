"""`make bench-fleet`: what workers add to each other, and what Dagster takes for itself.

A whole fleet (deploy/fleet.py) against a server that answers after one second. Prints tables and writes
benchmarks/fleet.json; docs/production.md says how to read it.

What must not live here: what a worker alone can do (bench.py).
"""

import argparse
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from benchmarks.bench import server
from benchmarks.workload import TEXT
from deploy.fleet import Fleet
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment_tests.acceptance.conftest import User, wait_for, write_jsonl
from gym_enrichment_tests.acceptance.fleets import QUEUE, backfill, running_fleet

RESULTS = Path(__file__).parent / "fleet.json"
LATENCY, AT_ONCE, BATCH_SIZE = 1.0, 10, 20
GYMS = 400
PER_MINUTE, LIMITED_GYMS = 240, 260
BATCHES, PROCESSES = 200, 4
PARTITIONS_PER_RUN = (5, 25, 50)
USUAL_BATCH_SIZE, USUAL_PARTITIONS_PER_RUN = 100, 10
_MOST_SECONDS = 1_800.0


@dataclass(frozen=True)
class Stretch:
    """One run: moments in seconds since its backfill was launched, and how long it did our work, whoever ran it."""

    queue: str | None
    created: float
    started: float
    ended: float
    bundling: float
    enriching: float


@dataclass(frozen=True)
class Backfill:
    """How a backfill went, in seconds since it was launched; `ended` is when its status says so."""

    runs: Sequence[Stretch]
    ended: float

    def rate(self, gyms: int) -> float:
        """Gyms per second, over all queues: each queue's share over the time from its first run's start to its
        last run's end. Two backfills are not begun at the same moment: the daemon may look between their launches.
        """
        queues: dict[str | None, list[Stretch]] = {}
        for run in self.runs:
            queues.setdefault(run.queue, []).append(run)
        spans = [max(run.ended for run in runs) - min(run.started for run in runs) for runs in queues.values()]
        return sum(gyms / len(queues) / span for span in spans)


@contextmanager
def fleet_for(gyms: int, **variables: str) -> "Iterator[tuple[str, Fleet, User, list[str]]]":
    """The server's address, a fleet that asks it, a user, and batches of `gyms` new gyms."""
    with server("--latency", LATENCY) as address, tempfile.TemporaryDirectory() as folder:
        asking = {
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": f"{address}/v1",
            "GYM_LLM_MODEL": "bench",
            "GYM_LLM_CONCURRENCY": str(AT_ONCE),
            "GYM_BATCH_SIZE": str(BATCH_SIZE),
        }
        with running_fleet(Path(folder) / "user", asking | variables) as (fleet, user):
            take_in(user, gyms)
            yield address, fleet, user, user.make_batches()


def take_in(user: User, gyms: int) -> None:
    """Gyms whose reviews bear out what the server says of them: no call is repeated."""
    numbers = range(gyms)
    kept = [{"place_id": f"gym-{number}", "name": f"Gym {number}", "city": "Oran"} for number in numbers]
    said = [
        {"place_id": f"gym-{number}", "text": f"{TEXT}{number} {review}"} for number in numbers for review in range(3)
    ]
    paths = [write_jsonl(user.folder / name, rows) for name, rows in (("gyms.jsonl", kept), ("reviews.jsonl", said))]
    assert not ingest(user.database, paths).errors


def run(fleet: Fleet, user: User, shares: Mapping[str | None, Sequence[str]]) -> Backfill:
    """Launch a backfill for each queue, all at once, and wait for their ends. Raises SystemExit if a run failed."""
    launched = time.time()
    ids = [backfill(fleet, list(batches), queue) for queue, batches in shares.items()]
    with user.instance() as instance:
        wait_for("the backfills to end", lambda: _have_ended(instance, ids), seconds=_MOST_SECONDS, every=0.5)
        ended = time.time() - launched
        filters = [dg.RunsFilter(tags={"dagster/backfill": backfill_id}) for backfill_id in ids]
        records = [record for each in filters for record in instance.get_run_records(each)]
        if {record.dagster_run.status for record in records} != {dg.DagsterRunStatus.SUCCESS}:
            raise SystemExit("a run failed and was begun again: the figures would be worth nothing")
        return Backfill([_stretch(instance, record, launched) for record in records], ended)


def _have_ended(instance: dg.DagsterInstance, backfill_ids: Sequence[str]) -> bool:
    found = [instance.get_backfill(backfill_id) for backfill_id in backfill_ids]
    statuses = {each.status.value for each in found if each is not None}
    if statuses & {"FAILED", "COMPLETED_FAILED", "CANCELED"}:
        raise SystemExit(f"a backfill failed ({', '.join(statuses)}): the figures would be worth nothing")
    return statuses == {"COMPLETED_SUCCESS"}


def _stretch(instance: dg.DagsterInstance, record: RunRecord, launched: float) -> Stretch:
    assert record.start_time is not None
    assert record.end_time is not None
    entries = instance.all_logs(record.dagster_run.run_id)
    told = [(entry.step_key, entry.dagster_event, entry.timestamp) for entry in entries]
    events = [(step, event.event_type, at) for step, event, at in told if event is not None]

    def between(step: str, begin: dg.DagsterEventType, end: dg.DagsterEventType) -> float:
        moments = [next(at for key, kind, at in events if (key, kind) == (step, wanted)) for wanted in (begin, end)]
        return moments[1] - moments[0]

    kinds = dg.DagsterEventType
    return Stretch(
        record.dagster_run.tags.get(QUEUE),
        record.create_timestamp.timestamp() - launched,
        record.start_time - launched,
        record.end_time - launched,
        # The bundles are built and saved before Dagster tells of the first one.
        between("review_bundles", kinds.STEP_START, kinds.ASSET_MATERIALIZATION),
        between("gym_enrichments", kinds.STEP_INPUT, kinds.STEP_OUTPUT),
    )


def throughput() -> dict[str, float]:
    """The same number of gyms by one worker of one process, and by two such workers."""
    rates = {}
    with fleet_for(2 * GYMS, WORKER_RUNS="1", GYM_PARTITIONS_PER_RUN="5") as (_, fleet, user, batches):
        half = len(batches) // 2
        quarter = half + half // 2
        one = run(fleet, user, {None: batches[:half]})
        two = run(fleet, user, {None: batches[half:quarter], "default": batches[quarter:]})
    for name, done in {"one": one, "two": two}.items():
        rates[name] = done.rate(GYMS)
        print(f"{name} worker(s), {AT_ONCE} calls at once each: {rates[name]:.1f} gyms/s", flush=True)
    return {
        "gyms_per_second_one": rates["one"],
        "gyms_per_second_two": rates["two"],
        "gain": rates["two"] / rates["one"],
    }


def limited() -> dict[str, float]:
    """Two workers that could do five times as much as GYM_LLM_RPM allows them together."""
    variables = {"WORKER_RUNS": "1", "GYM_PARTITIONS_PER_RUN": "50", "GYM_LLM_RPM": str(PER_MINUTE)}
    with fleet_for(LIMITED_GYMS, **variables) as (address, fleet, user, batches):
        half = len(batches) // 2
        run(fleet, user, {None: batches[:half], "default": batches[half:]})
        with urllib.request.urlopen(f"{address}/stats") as answer:
            moments = sorted(json.load(answer)["arrived"])
    most = max(sum(begin <= moment < begin + 60.0 for moment in moments) for begin in moments)
    # The first minute's requests go at once; the next is admitted when the first of them is a minute old.
    print(f"GYM_LLM_RPM={PER_MINUTE}, two workers: at most {most} requests in any 60 s", flush=True)
    return {"most_per_minute": most, "allowed_per_minute": PER_MINUTE}


def overhead(partitions_per_run: int, batch_size: int = BATCH_SIZE) -> dict[str, float]:
    """A backfill of 200 batches: what of its wall time Dagster takes, and for what.

    Our own work is measured in place, so that whatever else the machine does is in both: building bundles and
    enriching, spread over all processes. `ideal_seconds` is what the calls alone would take.
    """
    gyms = BATCHES * batch_size
    ideal = gyms * LATENCY / AT_ONCE / PROCESSES
    variables = {
        "WORKER_RUNS": str(PROCESSES),
        "GYM_PARTITIONS_PER_RUN": str(partitions_per_run),
        "GYM_BATCH_SIZE": str(batch_size),
    }
    with fleet_for(gyms, **variables) as (_, fleet, user, batches):
        done = run(fleet, user, {None: batches})
    runs = done.runs
    work = sum(run.bundling + run.enriching for run in runs) / PROCESSES
    begun = min(run.started for run in runs)
    found = {
        "runs": len(runs),
        "wall_seconds": done.ended,
        "ideal_seconds": ideal,
        "work_seconds": work,
        "overhead": 1 - work / done.ended,
        "begin_seconds": min(run.created for run in runs),
        "dequeue_seconds": begun - min(run.created for run in runs),
        "end_seconds": done.ended - max(run.ended for run in runs),
        "seconds_per_run": median(run.ended - run.started - run.bundling - run.enriching for run in runs),
        "load": os.getloadavg()[0],
    }
    shown = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
    name = f"{batch_size}x{partitions_per_run}"
    print(f"{name} (GYM_BATCH_SIZE, GYM_PARTITIONS_PER_RUN): {shown}", flush=True)
    return {f"{name}/{figure}": value for figure, value in found.items()}


def small_batches() -> dict[str, float]:
    """Batches of a fifth of the usual size, so that it takes minutes; what Dagster takes weighs five times as much."""
    results: dict[str, float] = {}
    for partitions_per_run in PARTITIONS_PER_RUN:
        results |= overhead(partitions_per_run)
    return results


def usual_batches() -> dict[str, float]:
    """Batches of the usual size; ten minutes."""
    return overhead(USUAL_PARTITIONS_PER_RUN, USUAL_BATCH_SIZE)


def main() -> None:
    """All parts but the last, or those named; what others found before is kept."""
    parts = {"throughput": throughput, "limited": limited, "small": small_batches, "usual": usual_batches}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all but `usual`")
    results: dict[str, float] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in parser.parse_args().parts or ("throughput", "limited", "small"):
        results |= parts[name]()
    RESULTS.write_text(json.dumps({name: round(value, 3) for name, value in results.items()}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
