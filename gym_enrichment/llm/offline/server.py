"""The offline engine behind OpenAI's protocol: chat completions, models, usage, rate-limit headers, batches.

What must not live here: the rules that find the answers (engine.py), files and batches (batches.py).
"""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from gym_enrichment.llm.endpoint import OFFLINE_MODEL
from gym_enrichment.llm.offline.batches import OfflineBatches
from gym_enrichment.llm.offline.engine import answer
from gym_enrichment.prompts.tokens import count_tokens

_REQUESTS_PER_MINUTE = 1_000_000
"""What the rate-limit headers announce: nothing here is scarce, but clients read the headers."""
_LARGEST_BODY = 16 * 1024 * 1024


class _BadRequest(Exception):
    """A request that OpenAI's server would answer with 400."""


def build_app(
    latency: float = 0.0, seed: int = 0, batch_seconds: float = 0.2, batch_faults: int | None = None
) -> web.Application:
    """The server as an aiohttp application.

    Args:
        latency: seconds that an answer takes on average, spread evenly over half to one and a half times it.
        seed: makes the spread repeatable.
        batch_seconds: how long a batch takes.
        batch_faults: seed of the faults that batches have; None for none.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    clock = random.Random(seed)  # noqa: S311 - no secret

    async def complete(request: web.Request) -> web.Response:
        started = time.monotonic()
        wait = latency * clock.uniform(0.5, 1.5)
        try:
            completion = _completion(await request.json())
        except (_BadRequest, json.JSONDecodeError, UnicodeDecodeError) as error:
            return _error(400, str(error))
        await asyncio.sleep(max(0.0, wait - (time.monotonic() - started)))
        return web.json_response(completion, headers=_rate_limits(completion["usage"]["total_tokens"]))

    async def models(_request: web.Request) -> web.Response:
        model = {"id": OFFLINE_MODEL, "object": "model", "created": 0, "owned_by": "gym-enrichment"}
        return web.json_response({"object": "list", "data": [model]})

    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    OfflineBatches(_complete_line, batch_seconds, batch_faults).add_routes(app)
    return app


class OfflineServer:
    """The offline engine on a free loopback port, in a thread of this process; ends with the context.

    A thread and not a process: nothing is left behind when the owner is killed.
    """

    def __init__(self, latency: float = 0.0, seed: int = 0) -> None:
        self._app = build_app(latency, seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gym-enrichment-offline", daemon=True)
        self._runner = web.AppRunner(self._app, access_log=None)
        self.base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])


async def serve(app: web.Application, host: str, port: int, on_start: Callable[[str], None]) -> None:
    """Serve in the running loop until cancelled; `on_start` is told the base URL. Raises OSError if it cannot."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        on_start(f"http://{host}:{runner.addresses[0][1]}/v1")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _complete_line(body: Any) -> tuple[int, dict[str, Any]]:
    """One request of a batch."""
    try:
        return 200, _completion(body)
    except _BadRequest as error:
        return 400, {"error": {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}}


def _completion(body: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping) or not isinstance(body.get("messages"), list):
        raise _BadRequest("'messages' is required")
    asked = _find_gyms(body["messages"])
    found = {gym_id: answer(*gym) for gym_id, gym in asked.items()}
    wanted = _schema_properties(body)
    said = found.get("") or {"gyms": [{"id": gym_id, **gym} for gym_id, gym in found.items()]}
    content = json.dumps({key: value for key, value in said.items() if key in wanted or not wanted}, ensure_ascii=False)
    prompt_tokens = sum(count_tokens(_text(message)) for message in body["messages"])
    completion_tokens = count_tokens(content)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": OFFLINE_MODEL,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


_Gym = tuple[Mapping[str, object], Mapping[str, str]]
"""Facts, and reviews by number."""


def _find_gyms(messages: list[Any]) -> dict[str, _Gym]:
    """The gyms and their reviews by id, from the first user message that is our JSON; a single one's id is ""."""
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") != "user":
            continue
        try:
            content = json.loads(_text(message))
            gyms = {str(gym_id): _gym(gym) for gym_id, gym in content["gyms"].items()} if "gyms" in content else {}
            return gyms or {"": _gym(content)}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    raise _BadRequest(
        f"{OFFLINE_MODEL} reads only prompts of gym-enrichment: a user message that is a JSON object"
        " with 'gym' and 'reviews', or with several such under 'gyms'"
    )


def _gym(content: Any) -> _Gym:
    return dict(content["gym"]), {str(number): str(text) for number, text in content["reviews"].items()}


def _text(message: Any) -> str:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else ""


def _schema_properties(body: Mapping[str, Any]) -> frozenset[str]:
    try:
        return frozenset(body["response_format"]["json_schema"]["schema"]["properties"])
    except (KeyError, TypeError):
        return frozenset()


def _rate_limits(tokens: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(_REQUESTS_PER_MINUTE),
        "x-ratelimit-remaining-requests": str(_REQUESTS_PER_MINUTE - 1),
        "x-ratelimit-reset-requests": "0s",
        "x-ratelimit-limit-tokens": str(_REQUESTS_PER_MINUTE * 1_000),
        "x-ratelimit-remaining-tokens": str(_REQUESTS_PER_MINUTE * 1_000 - tokens),
        "x-ratelimit-reset-tokens": "0s",
    }


def _error(status: int, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=status)
