"""No client of the LLM follows a redirect: it would carry reviews, and perhaps the key, where nobody sent them."""

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web

from gym_enrichment.doctor import examine
from gym_enrichment.llm.batch_client import BatchApiFailed, BatchClient
from gym_enrichment.llm.errors import CallError, ErrorKind
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment_tests.loopback import LoopbackServer


class Redirector(LoopbackServer):
    """Sends every request to another address of itself, and remembers all of them."""

    def app(self) -> web.Application:
        self.paths: list[str] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._redirect)
        return app

    def started(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    async def _redirect(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        return web.Response(status=307, headers={"Location": f"http://localhost:{request.url.port}/elsewhere"})


@pytest.fixture
def redirector() -> Iterator[Redirector]:
    with Redirector() as server:
        yield server


def test_a_call_is_not_redirected(redirector: Redirector) -> None:
    async def call() -> None:
        transport = OpenAITransport("key", redirector.base_url, 5.0)
        try:
            await transport.send(b"{}")
        finally:
            await transport.close()

    with pytest.raises(CallError, match="OPENAI_BASE_URL") as failed:
        asyncio.run(call())
    assert failed.value.kind is ErrorKind.MODEL_NOT_FOUND
    assert redirector.paths == ["/v1/chat/completions"]


def test_the_batch_api_is_not_redirected(redirector: Redirector) -> None:
    async def upload() -> None:
        client = BatchClient("key", redirector.base_url, 5.0, 1.0)
        try:
            await client.upload("name", b"{}\n")
        finally:
            await client.close()

    with pytest.raises(BatchApiFailed, match="OPENAI_BASE_URL"):
        asyncio.run(upload())
    assert redirector.paths == ["/v1/files"]


def test_doctor_is_not_redirected(redirector: Redirector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("OPENAI_BASE_URL", redirector.base_url)
    (found,) = [finding for finding in examine() if finding.check == "LLM"]
    assert not found.ok
    assert "answers HTTP 307" in found.found
    assert redirector.paths == ["/v1/models"]
