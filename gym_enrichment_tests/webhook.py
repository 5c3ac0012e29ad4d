"""A real HTTP server that takes alerts as Slack's incoming webhooks do, and misbehaves on request."""

import asyncio
from typing import Any

from aiohttp import web

from gym_enrichment_tests.loopback import LoopbackServer

SECRET = "T0KEN-5f81"


class Webhook(LoopbackServer):
    """Use as a context; `url` is what GYM_ALERT_WEBHOOK wants.

    `statuses` are answered one by one, then 200; while `hangs`, nothing is answered at all.
    """

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.hangs = False
        self.bodies: list[dict[str, Any]] = []
        """Of every request, whatever it was answered."""
        self.url = ""

    def texts(self) -> list[str]:
        """What was posted."""
        assert all(set(body) == {"text"} for body in self.bodies)
        return [body["text"] for body in self.bodies]

    def started(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/services/{SECRET}"

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post(f"/services/{SECRET}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        if self.hangs:
            await asyncio.sleep(60)
        status = self.statuses.pop(0) if self.statuses else 200
        # A redirect leads back here: who follows it posts twice.
        return web.Response(status=status, text="ok", headers={"Location": request.path} if status == 307 else None)
