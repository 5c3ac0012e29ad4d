"""A server for comparisons: `python -m benchmarks.answering`. Answers each prompt usefully, after a fixed latency.

The answers are the offline engine's, found once and remembered, so that all contenders wait for the same latency and
for nothing else. Counts prompt tokens (messages and schema) and completion tokens itself, alike for everybody.
POST /control sets `latency`, `failing` (names of gyms that get garbage) and zeroes the counts; GET /stats has them.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aiohttp import web

from benchmarks.celery_baseline import prompts
from benchmarks.server import serve
from gym_enrichment.llm.offline.engine import answer
from gym_enrichment.prompts.fanout import AMENITIES
from gym_enrichment.prompts.tokens import count_tokens

GARBAGE = "Bien sûr ! Voici ce que disent les avis."
tokens = lru_cache(maxsize=100_000)(count_tokens)


@lru_cache(maxsize=10_000)
def engine(gym: str) -> dict[str, object]:
    """The answer about one gym, given as JSON."""
    content = json.loads(gym)
    return answer(content["gym"], content["reviews"])


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def baseline_answer(text: str, failing: frozenset[str]) -> str:
    """To a prompt of the Celery baseline. Of a failing gym one of the three tasks fails, the amenities."""
    task = next(task for task in prompts.FIELDS if text.startswith(task))
    name, rest = text[len(task) + len(prompts.NAME) :].split(prompts.HOURS, 1)
    hours, reviews = rest.split(prompts.REVIEWS, 1)
    if task == prompts.AMENITIES and name in failing:
        return GARBAGE
    numbered = {str(number): review for number, review in enumerate(reviews.split(prompts.BULLET)[1:], start=1)}
    found = dict(engine(dumped({"gym": {"name": name, "hours": hours.split("; ")}, "reviews": numbered})))
    found["amenities"] = [claim["name"] for claim in found["amenities"]]  # type: ignore[attr-defined]
    return dumped({field: found[field] for field in prompts.FIELDS[task]})


def our_answer(body: Mapping[str, Any], content: Mapping[str, Any], failing: frozenset[str]) -> str:
    """To a prompt of ours. A failing gym has no entry in a pack; of its three calls, the amenities fail."""
    if "gyms" in content:
        gyms = {key: gym for key, gym in content["gyms"].items() if gym["gym"].get("name") not in failing}
        fields = body["response_format"]["json_schema"]["schema"]["properties"]["gyms"]["items"]["properties"]
        entries = [{"id": key} | engine(dumped(gym)) for key, gym in gyms.items()]
        return dumped({"gyms": [{name: entry[name] for name in fields} for entry in entries]})
    schema = body["response_format"]["json_schema"]
    one_of_three = len(schema["schema"]["properties"]) < 4 and schema["name"] != AMENITIES.schema_name
    if content["gym"].get("name") in failing and not one_of_three:
        return GARBAGE
    found = engine(dumped(content))
    return dumped({name: found[name] for name in schema["schema"]["properties"]})


class Server:
    """One server; its state is what /control set and what /stats tells."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.failing: frozenset[str] = frozenset()
        self.counts = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}

    async def control(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self.latency, self.failing = wanted["latency"], frozenset(wanted["failing"])
        self.counts = dict.fromkeys(self.counts, 0)
        return web.json_response({})

    async def stats(self, _request: web.Request) -> web.Response:
        return web.json_response(self.counts)

    async def complete(self, request: web.Request) -> web.Response:
        began = asyncio.get_running_loop().time()
        body = await request.json()
        text = next(message["content"] for message in body["messages"] if message["role"] == "user")
        content = baseline_answer(text, self.failing) if text.startswith(tuple(prompts.FIELDS)) else None
        content = content or our_answer(body, json.loads(text), self.failing)
        schema = dumped(body["response_format"]["json_schema"]["schema"]) if "response_format" in body else ""
        prompt_tokens = sum(tokens(message["content"]) for message in body["messages"]) + tokens(schema)
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens(content)}
        self.counts["calls"] += 1
        for name, value in usage.items():
            self.counts[name] += value
        await asyncio.sleep(max(0.0, self.latency - (asyncio.get_running_loop().time() - began)))
        message = {"role": "assistant", "content": content, "refusal": None}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": usage | {"total_tokens": sum(usage.values())},
            }
        )


async def main() -> None:
    server = Server()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_post("/control", server.control)
    app.router.add_get("/stats", server.stats)
    await serve(app)


if __name__ == "__main__":
    asyncio.run(main())
