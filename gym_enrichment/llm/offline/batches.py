"""Files and batches of OpenAI's protocol in memory, with the faults that a real Batch API has, on request.

What must not live here: how one request is answered (server.py gives that).
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

Completion = Callable[[Any], tuple[int, dict[str, Any]]]
"""Answers one request body with a status and a body."""

_FAULTS = ("lines", "expired", "cancelled")
_MISSING, _FAILED = 0.1, 0.2
"""Of the lines of a faulty batch: those that are in neither file, and those in the error file (from there on)."""


@dataclass
class _Batch:
    id: str
    input_file_id: str
    metadata: dict[str, str]
    requests: list[dict[str, Any]]
    fault: str | None
    chance: random.Random
    created: float = field(default_factory=time.time)
    cancelled: bool = False
    ended: asyncio.Task[dict[str, Any]] | None = None


class OfflineBatches:
    """The endpoints `/v1/files` and `/v1/batches`.

    Args:
        complete: answers one request.
        seconds: how long a batch takes.
        faults: seed of the faults; None for none. Every batch comes back in another order, and in turn a batch
            has missing and failed lines, expires, is cancelled, or is well.
    """

    def __init__(self, complete: Completion, seconds: float, faults: int | None) -> None:
        self._complete = complete
        self._seconds = seconds
        self._faults = faults
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, _Batch] = {}

    def add_routes(self, app: web.Application) -> None:
        """Answer these endpoints in `app`."""
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._get)
        app.router.add_post("/v1/batches/{id}/cancel", self._cancel)

    async def _upload(self, request: web.Request) -> web.Response:
        content = bytearray()
        async for part in await request.multipart():
            # By chunks: a whole read would stop at what the server takes for one prompt.
            while isinstance(part, BodyPartReader) and part.name == "file" and (chunk := await part.read_chunk()):
                content += chunk
        if not content:
            return _error(400, "'file' is required")
        file_id = self._store(bytes(content))
        about = {"id": file_id, "object": "file", "purpose": "batch", "bytes": len(content), "status": "processed"}
        return web.json_response(about | {"filename": "batch.jsonl", "created_at": int(time.time())})

    async def _content(self, request: web.Request) -> web.Response:
        content = self._files.get(request.match_info["id"])
        return _error(404, "no such file") if content is None else web.Response(body=content)

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        content = self._files.get(str(body.get("input_file_id")))
        if content is None:
            return _error(400, "no such input file")
        try:
            requests = [json.loads(line) for line in content.splitlines() if line.strip()]
            ids = {line["custom_id"] for line in requests if line["url"] == body["endpoint"]}
        except (ValueError, KeyError, TypeError):
            return _error(400, "the input file is not of the batch format")
        if not requests or len(ids) != len(requests):
            return _error(400, "every line needs a custom_id of its own and the batch's endpoint")
        number = len(self._batches)
        fault = None if self._faults is None else (*_FAULTS, None)[number % 4]
        chance = random.Random(f"{self._faults} {number}")  # noqa: S311 - no secret
        batch = _Batch(
            f"batch_{uuid.uuid4().hex}",
            str(body["input_file_id"]),
            dict(body.get("metadata") or {}),
            requests,
            fault,
            chance,
        )
        self._batches[batch.id] = batch
        return web.json_response(await self._shown(batch))

    async def _list(self, request: web.Request) -> web.Response:
        newest = list(reversed(self._batches.values()))
        after = request.query.get("after")
        start = next((place + 1 for place, batch in enumerate(newest) if batch.id == after), 0)
        limit = int(request.query.get("limit", 20))
        page = [await self._shown(batch) for batch in newest[start : start + limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return web.json_response({"object": "list", "data": page, "has_more": start + limit < len(newest)} | ends)

    async def _get(self, request: web.Request) -> web.Response:
        batch = self._batches.get(request.match_info["id"])
        return _error(404, "no such batch") if batch is None else web.json_response(await self._shown(batch))

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self._batches.get(request.match_info["id"])
        if batch is None:
            return _error(404, "no such batch")
        batch.cancelled = True
        return web.json_response(await self._shown(batch))

    async def _shown(self, batch: _Batch) -> dict[str, Any]:
        """The batch object as it is at this moment."""
        about = {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "input_file_id": batch.input_file_id,
            "metadata": batch.metadata,
            "created_at": int(batch.created),
        }
        past = time.time() - batch.created
        total = len(batch.requests)
        if batch.ended is None and past < self._seconds and not batch.cancelled:
            counts = {"total": total, "completed": int(total * past / self._seconds), "failed": 0}
            return about | {"status": "in_progress", "request_counts": counts}
        if batch.ended is None:
            share = min(1.0, past / self._seconds) if batch.cancelled and self._seconds else 1.0
            batch.ended = asyncio.create_task(asyncio.to_thread(self._results, batch, share))
        if not batch.ended.done():
            counts = {"total": total, "completed": total, "failed": 0}
            return about | {"status": "finalizing", "request_counts": counts}
        return about | batch.ended.result()

    def _results(self, batch: _Batch, share: float) -> dict[str, Any]:
        """Answer the requests, as far as the batch came; returns how it ended."""
        good: list[Mapping[str, Any]] = []
        bad: list[Mapping[str, Any]] = []
        chance = batch.chance
        status = "cancelled" if batch.cancelled else "completed"
        if batch.fault in ("expired", "cancelled"):
            status, share = batch.fault, 0.5
        for line in batch.requests:
            lot = chance.random()
            if share < 1.0 and lot >= share:
                bad.append(_unanswered(line, f"batch_{status}"))
                continue
            if batch.fault == "lines" and lot < _MISSING:
                continue
            failing = batch.fault == "lines" and lot < _FAILED
            code = chance.choice([500, 429]) if failing else 0
            answered = (code, {"error": {"code": None, "message": "fault"}}) if code else self._complete(line["body"])
            (good if answered[0] == 200 else bad).append(_answered(line, *answered))
        if self._faults is not None:
            chance.shuffle(good)
        return {
            "status": status,
            "request_counts": {"total": len(batch.requests), "completed": len(good), "failed": len(bad)},
            "output_file_id": self._store_lines(good),
            "error_file_id": self._store_lines(bad),
        }

    def _store_lines(self, lines: list[Mapping[str, Any]]) -> str | None:
        return self._store("".join(json.dumps(line) + "\n" for line in lines).encode()) if lines else None

    def _store(self, content: bytes) -> str:
        file_id = f"file-{uuid.uuid4().hex}"
        self._files[file_id] = content
        return file_id


def _answered(line: Mapping[str, Any], status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": uuid.uuid4().hex, "body": body}
    return {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": response, "error": None}


def _unanswered(line: Mapping[str, Any], code: str) -> dict[str, Any]:
    error = {"code": code, "message": "This request was not executed."}
    return {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": None, "error": error}


def _error(status: int, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=status)
