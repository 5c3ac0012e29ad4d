"""A second Batch API, independent of the offline server's: a test says line by line and step by step what it does.

It counts what is paid: every line that a batch was created with and that was answered, whatever becomes of it.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gym_enrichment_tests.llm_server import good_content, packed_content
from gym_enrichment_tests.loopback import LoopbackServer


@dataclass(frozen=True)
class Line:
    """What becomes of one request. `lost`: in neither file; `unanswered`: no response, this code."""

    content: str | None = None
    status: int = 200
    code: str | None = None
    lost: bool = False
    unanswered: str | None = None


@dataclass
class ApiBatch:
    """A batch as the server keeps it. `number` counts from 1."""

    number: int
    file_id: str
    metadata: dict[str, str]
    lines: list[dict[str, Any]]
    looks: int = 0
    ended: dict[str, Any] | None = None


@dataclass(frozen=True)
class End:
    """How a batch ends: its status, and its errors when it is refused as a whole."""

    status: str = "completed"
    errors: tuple[dict[str, Any], ...] = ()


def names_of(body: dict[str, Any]) -> list[str]:
    """The gyms that a request asks about: one, or those of a pack."""
    asked = json.loads(body["messages"][1]["content"])
    return [str(gym["gym"]["name"]) for gym in asked.get("gyms", {"": asked}).values()]


def name_of(body: dict[str, Any]) -> str:
    """The gym that a request asks about; the first one of a pack."""
    return names_of(body)[0]


def good_line(body: dict[str, Any]) -> Line:
    """An answer that keeps every rule, for each gym asked about."""
    if "gyms" not in json.loads(body["messages"][1]["content"]):
        return Line(good_content(name_of(body)))
    entries = [{"id": f"g{n}", **json.loads(good_content(name))} for n, name in enumerate(names_of(body), start=1)]
    return Line(packed_content(entries))


@dataclass
class Plan:
    """What the server does.

    Args:
        line: what becomes of a request, by batch, request body and how often its (first) gym was asked before.
        end: how a batch ends.
        looks: looks at a batch before it has ended.
        hold: a step ("upload", "create", "created", "look", "content") that is reached and never answered.
        drop: steps whose next answer is lost, though the step itself is done.
        fail: steps that end in a 500, again and again.
    """

    line: Callable[[ApiBatch, dict[str, Any], int], Line] = lambda _batch, body, _before: good_line(body)
    end: Callable[[ApiBatch], End] = lambda _: End()
    looks: int = 1
    hold: str | None = None
    drop: set[str] = field(default_factory=set)
    fail: set[str] = field(default_factory=set)


class BatchServer(LoopbackServer):
    """Use as a context; `base_url` is what OPENAI_BASE_URL wants. Answers single completions as well, all well."""

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__()
        self.plan = plan or Plan()
        self.base_url = ""
        self.batches: dict[str, ApiBatch] = {}
        self.files: dict[str, bytes] = {}
        self.paid: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.held = threading.Event()

    def started(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._look)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _step(self, name: str, request: web.Request) -> None:
        self.calls[name] += 1
        if self.plan.hold == name:
            self.held.set()
            await asyncio.sleep(60)
        if name in self.plan.drop:
            self.plan.drop.discard(name)
            assert request.transport is not None
            request.transport.close()
        if name in self.plan.fail:
            raise web.HTTPInternalServerError

    async def _complete(self, request: web.Request) -> web.Response:
        await self._step("complete", request)
        body = await request.json()
        self.paid.update(names_of(body))
        return web.json_response(_completion(body, good_line(body)))

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        await self._step("upload", request)
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": file_id, "object": "file", "purpose": "batch"})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._step("create", request)
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
        batch = ApiBatch(len(self.batches) + 1, body["input_file_id"], body["metadata"], lines)
        batch_id = f"batch-{batch.number}"
        self.batches[batch_id] = batch
        await self._step("created", request)
        return web.json_response(self._shown(batch_id))

    async def _list(self, request: web.Request) -> web.Response:
        """One batch a page, newest first: whoever looks for the first one has to turn pages."""
        await self._step("list", request)
        ids = list(reversed(self.batches))
        after = request.query.get("after")
        ids = ids[ids.index(after) + 1 :] if after else ids
        data = [self._shown(batch_id) for batch_id in ids[:1]]
        return web.json_response({"object": "list", "data": data, "has_more": len(ids) > 1})

    async def _look(self, request: web.Request) -> web.Response:
        await self._step("look", request)
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return web.json_response({"error": {"message": "no such batch", "code": None}}, status=404)
        batch = self.batches[batch_id]
        batch.looks += 1
        if batch.looks > self.plan.looks and batch.ended is None:
            batch.ended = self._end(batch)
        return web.json_response(self._shown(batch_id))

    async def _content(self, request: web.Request) -> web.Response:
        await self._step("content", request)
        return web.Response(body=self.files[request.match_info["id"]])

    def _shown(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        about = {
            "id": batch_id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "input_file_id": batch.file_id,
            "metadata": batch.metadata,
            "created_at": int(time.time()),
            "status": "in_progress",
            "request_counts": {"total": len(batch.lines), "completed": 1, "failed": 0},
        }
        return about | (batch.ended or {})

    def _end(self, batch: ApiBatch) -> dict[str, Any]:
        end = self.plan.end(batch)
        if end.errors:
            return {"status": end.status, "errors": {"object": "list", "data": list(end.errors)}}
        good, bad = [], []
        for request in batch.lines:
            body, names = request["body"], names_of(request["body"])
            self.bodies.append(body)
            line = self.plan.line(batch, body, self.asked[names[0]])
            self.asked.update(names)
            if line.status == 200 and not line.unanswered:
                self.paid.update(names)
            if not line.lost:
                (good if line.status == 200 and not line.unanswered else bad).append(_said(request, line))
        # Backwards: nobody promised an order.
        return {
            "status": end.status,
            "output_file_id": self._store("".join(reversed(good))),
            "error_file_id": self._store("".join(reversed(bad))),
            "request_counts": {"total": len(batch.lines), "completed": len(good), "failed": len(bad)},
        }

    def _store(self, text: str) -> str | None:
        if not text:
            return None
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text.encode()
        return file_id


def _said(request: dict[str, Any], line: Line) -> str:
    about: dict[str, Any] = {"id": "r", "custom_id": request["custom_id"], "response": None, "error": None}
    if line.unanswered:
        about["error"] = {"code": line.unanswered, "message": "not executed"}
    elif line.status != 200:
        body = {"error": {"code": line.code, "message": "scripted", "type": "error", "param": None}}
        about["response"] = {"status_code": line.status, "request_id": "q", "body": body}
    else:
        about["response"] = {"status_code": 200, "request_id": "q", "body": _completion(request["body"], line)}
    return json.dumps(about) + "\n"


def _completion(body: dict[str, Any], line: Line) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": line.content}}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    about = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
    return about | {"choices": [choice], "usage": usage}
