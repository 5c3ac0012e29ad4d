"""A server that speaks OpenAI's protocol, in a process of its own: `python -m benchmarks.server --latency 0.2`.

It answers every prompt with the same valid answer. `--rps` refuses more requests than so many in any second,
`--parallel` queues calls beyond so many: both are capacities that a client has to find out by itself.
"""

import argparse
import asyncio
import json
import time
from collections import deque

from aiohttp import web

CONTENT = json.dumps(
    {
        "description": (
            "Cette salle de sport propose un espace de musculation et des vestiaires. Elle dispose de douches."
            " Des cours ont lieu dans la semaine."
        ),
        "amenities": [{"name": "Musculation", "reviews": [1]}, {"name": "Vestiaires", "reviews": [1]}],
        "has_women_hours": False,
        "women_hours_reviews": [],
        "hours_french": "Non communiqué",
    },
    ensure_ascii=False,
)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": CONTENT, "refusal": None}}
        ],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 250, "total_tokens": 1450},
    }
).encode()
REFUSAL = json.dumps({"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}}).encode()


class Server:
    """Counts what it does; `/stats` tells."""

    def __init__(self, latency: float, rps: float | None, parallel: int | None) -> None:
        self.latency = latency
        self.rps = rps
        self.slots = asyncio.Semaphore(parallel) if parallel else None
        self.recent: deque[float] = deque()
        self.answered = 0
        self.arrived: list[float] = []
        self.refused: list[float] = []
        self.started = time.monotonic()

    async def complete(self, request: web.Request) -> web.Response:
        await request.read()
        now = time.monotonic()
        if self.rps is not None:
            while self.recent and self.recent[0] <= now - 1.0:
                self.recent.popleft()
            if len(self.recent) >= self.rps:
                self.refused.append(now - self.started)
                return web.Response(status=429, body=REFUSAL, content_type="application/json")
            self.recent.append(now)
        self.arrived.append(now - self.started)
        if self.slots is not None:
            async with self.slots:
                await asyncio.sleep(self.latency)
        else:
            await asyncio.sleep(self.latency)
        self.answered += 1
        return web.Response(body=ANSWER, content_type="application/json")

    async def stats(self, _request: web.Request) -> web.Response:
        return web.json_response({"answered": self.answered, "arrived": self.arrived, "refused": self.refused})


async def serve(app: web.Application) -> None:
    """Serve on a free loopback port, which is printed, until killed."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--rps", type=float)
    parser.add_argument("--parallel", type=int)
    arguments = parser.parse_args()

    async def start() -> None:
        server = Server(arguments.latency, arguments.rps, arguments.parallel)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.complete)
        app.router.add_get("/stats", server.stats)
        await serve(app)

    asyncio.run(start())


if __name__ == "__main__":
    main()
