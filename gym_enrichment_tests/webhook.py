"""A real HTTP server that takes alerts as Slack's incoming webhooks do, and misbehaves on request."""

import asyncio
import threading
from types import TracebackType
from typing import Any, Self

from aiohttp import web

SECRET = "T0KEN-5f81"


class Webhook:
    """Use as a context; `url` is what GYM_ALERT_WEBHOOK wants.

    `statuses` are answered one by one, then 200; while `hangs`, nothing is answered at all.
    """

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.hangs = False
        self.bodies: list[dict[str, Any]] = []
        """Of every request, whatever it was answered."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def texts(self) -> list[str]:
        """What was posted."""
        assert all(set(body) == {"text"} for body in self.bodies)
        return [body["text"] for body in self.bodies]

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        self.url = f"http://127.0.0.1:{port}/services/{SECRET}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        app = web.Application()
        app.router.add_post(f"/services/{SECRET}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        if self.hangs:
            await asyncio.sleep(60)
        status = self.statuses.pop(0) if self.statuses else 200
        # A redirect leads back here: who follows it posts twice.
        return web.Response(status=status, text="ok", headers={"Location": request.path} if status == 307 else None)
