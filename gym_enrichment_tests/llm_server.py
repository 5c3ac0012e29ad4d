"""A real HTTP server that speaks OpenAI's protocol and misbehaves on request. Knows nothing of our engine.

A test gives it a `script`: a function from what was asked to what is answered. It runs in a thread, counts
every request, and remembers how many were in flight at once.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gym_enrichment_tests.loopback import LoopbackServer


@dataclass(frozen=True)
class Ask:
    """One request: its body, and the gym's facts and reviews as the first user message gives them."""

    body: Mapping[str, Any]
    gym: Mapping[str, Any]
    reviews: Mapping[str, str]
    number: int
    """How many requests for this gym's name came before, plus one."""
    at: float
    gyms: Mapping[str, Any] = field(default_factory=dict)
    """Of a packed prompt: each gym's facts and reviews by its id; `gym` and `reviews` are then the first one's."""

    @property
    def name(self) -> str:
        return str(self.gym.get("name"))

    @property
    def packed_names(self) -> list[str]:
        return [str(gym["gym"].get("name")) for gym in self.gyms.values()]


@dataclass(frozen=True)
class Reply:
    """What is answered. `drop` closes the connection without an answer; `raw` replaces the whole body; with `until`,
    nothing is answered before it is set."""

    content: str = ""
    status: int = 200
    error_code: str | None = None
    error_message: str = "scripted"
    finish_reason: str = "stop"
    refusal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    until: threading.Event | None = None
    drop: bool = False
    raw: bytes | None = None
    usage: Mapping[str, int] | None = field(default_factory=lambda: {"prompt_tokens": 1000, "completion_tokens": 100})


def good_content(name: str = "Cette salle") -> str:
    """An answer that keeps every rule."""
    description = (
        f"{name} est une salle de sport ouverte à tous. Elle dispose d'un espace de musculation et de vestiaires."
        " La salle se trouve au rez-de-chaussée."
    )
    return json.dumps(
        {
            "description": description,
            "amenities": [{"name": "Musculation", "reviews": [1]}, {"name": "Vestiaires", "reviews": [1]}],
            "has_women_hours": False,
            "women_hours_reviews": [],
            "hours_french": "Non communiqué",
        },
        ensure_ascii=False,
    )


def packed_entries(ask: Ask) -> list[dict[str, Any]]:
    """An entry that keeps every rule for each gym of a packed prompt."""
    return [
        {"id": gym_id, **json.loads(good_content(name))}
        for gym_id, name in zip(ask.gyms, ask.packed_names, strict=True)
    ]


def packed_content(entries: list[dict[str, Any]]) -> str:
    """The answer to a packed prompt."""
    return json.dumps({"gyms": entries}, ensure_ascii=False)


def good_packed(ask: Ask) -> Reply:
    """The script of a server that is well and is asked about several gyms."""
    return Reply(packed_content(packed_entries(ask)))


def good(ask: Ask) -> Reply:
    """The script of a server that is well."""
    return Reply(good_content())


class LlmServer(LoopbackServer):
    """Use as a context; `base_url` is what OPENAI_BASE_URL wants."""

    def __init__(self, script: Callable[[Ask], Reply] = good) -> None:
        super().__init__()
        self.script = script
        self.asks: list[Ask] = []
        self.most_in_flight = 0
        self.base_url = ""
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that are not answered yet."""
        return self._in_flight

    def names(self) -> list[str]:
        """The gyms asked about, in the order of the requests."""
        return [ask.name for ask in self.asks]

    def started(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "test-model", "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        ask = self._read(await request.json())
        self.asks.append(ask)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            reply = self.script(ask)
            await asyncio.sleep(reply.delay)
            while reply.until is not None and not reply.until.is_set():
                await asyncio.sleep(0.01)
        finally:
            self._in_flight -= 1
        if reply.drop:
            assert request.transport is not None
            request.transport.close()
        if reply.raw is not None:
            return web.Response(status=reply.status, body=reply.raw, headers=reply.headers)
        if reply.status != 200:
            error = {"message": reply.error_message, "type": "error", "param": None, "code": reply.error_code}
            return web.json_response({"error": error}, status=reply.status, headers=reply.headers)
        return web.json_response(_completion(ask, reply), headers=reply.headers)

    def _read(self, body: Mapping[str, Any]) -> Ask:
        user = next(message["content"] for message in body["messages"] if message["role"] == "user")
        gyms: Mapping[str, Any] = {}
        try:
            content = json.loads(user)
            gyms = content.get("gyms", {})
            first = next(iter(gyms.values()), content)
            gym, reviews = first["gym"], first["reviews"]
        except (ValueError, KeyError, TypeError, AttributeError):
            gym, reviews = {"name": user}, {}
        number = 1 + sum(ask.name == str(gym.get("name")) for ask in self.asks)
        return Ask(body, gym, reviews, number, time.monotonic(), gyms)


def _completion(ask: Ask, reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    completion = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1,
        "model": ask.body["model"],
        "choices": [{"index": 0, "finish_reason": reply.finish_reason, "message": message}],
    }
    return completion if reply.usage is None else completion | {"usage": dict(reply.usage)}
