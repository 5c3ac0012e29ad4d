"""The provider's endpoints for files and batches over the openai client, patient with what passes.

What must not live here: which requests go together (batch_api.py) and what a line says (batch_lines.py).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import openai
from openai.types import Batch

from gym_enrichment.llm.batch_lines import CHAT_COMPLETIONS
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction
from gym_enrichment.llm.openai_transport import connection_error, status_error

Result = TypeVar("Result")

SUBMISSION = "gym_enrichment_submission"
"""The key in a batch's metadata under which our own name of it stands."""
_FILE_SECONDS = 600.0
"""Longest transfer of one file: 200 MB at 3 Mbit/s."""
_LONGEST_PAUSE_SECONDS = 30.0
_PASSING = {
    ErrorKind.CONNECTION,
    ErrorKind.TIMEOUT,
    ErrorKind.RATE_LIMITED,
    ErrorKind.SERVER_ERROR,
    ErrorKind.CONFLICT,
}


class BatchApiFailed(CallError):
    """Files or batches cannot be used at all: no request can be answered, and the run stops with one message."""

    @property
    def reaction(self) -> Reaction:
        """Whatever its kind says of a single request."""
        return Reaction.RUN_STOPS


class BatchClient:
    """Uploads, creates, looks and downloads.

    Args:
        api_key: sent as a bearer token.
        base_url: None for OpenAI itself.
        timeout: seconds for one answer; files get ten minutes.
        patience: seconds during which failures that may pass are borne, for each thing that is done.

    Every method raises BatchApiFailed when its patience is over or the provider says no.
    """

    def __init__(self, api_key: str, base_url: str | None, timeout: float, patience: float) -> None:
        self._patience = patience
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,  # a creation that is repeated blindly is paid twice
            http_client=openai.DefaultAioHttpClient(timeout=timeout, follow_redirects=False),
        )

    async def upload(self, name: str, content: bytes) -> str:
        """The id of the new file."""
        file = (f"{name}.jsonl", content)

        async def attempt() -> str:
            return (await self._client.files.create(file=file, purpose="batch", timeout=_FILE_SECONDS)).id

        return await self._patiently(attempt)

    async def create(self, name: str, file_id: str) -> str:
        """The id of the batch for the submission `name`: never created twice, though its answer may get lost."""

        async def attempt() -> str:
            created = await self._client.batches.create(
                input_file_id=file_id,
                endpoint=CHAT_COMPLETIONS,
                completion_window="24h",
                metadata={SUBMISSION: name},
            )
            return created.id

        return await self._patiently(attempt, found_instead=lambda: self.find(name, file_id))

    async def find(self, name: str, file_id: str) -> str | None:
        """The batch of the submission `name` among those that the provider has."""

        async def attempt() -> str | None:
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(SUBMISSION) == name or batch.input_file_id == file_id:
                    return batch.id
            return None

        return await self._patiently(attempt)

    async def look(self, batch_id: str) -> Batch | None:
        """The batch as it is now; None when the provider does not know it."""

        async def attempt() -> Batch | None:
            try:
                return await self._client.batches.retrieve(batch_id)
            except openai.NotFoundError:
                return None

        return await self._patiently(attempt)

    async def download(self, file_id: str) -> bytes | None:
        """The content of a file; None when the provider does not know it."""

        async def attempt() -> bytes | None:
            try:
                return (await self._client.files.content(file_id, timeout=_FILE_SECONDS)).content
            except openai.NotFoundError:
                return None

        return await self._patiently(attempt)

    async def cancel(self, batch_id: str) -> None:
        """Ask for the end of a batch; a batch that has ended already is no error."""
        with suppress(openai.OpenAIError):
            await self._client.batches.cancel(batch_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _patiently(
        self,
        attempt: Callable[[], Awaitable[Result]],
        found_instead: Callable[[], Awaitable[Result | None]] | None = None,
    ) -> Result:
        """What `attempt` brings; before it is repeated, `found_instead` may find that it succeeded unseen."""
        since, failures = time.monotonic(), 0
        while True:
            try:
                return await attempt()
            # `from None`: the client's exceptions quote what the server said.
            except openai.APIConnectionError as error:
                failed = connection_error(error)
            except openai.APIStatusError as error:
                failed = status_error(error.status_code, error.code, error.response.headers)
            except openai.OpenAIError as error:
                failed = CallError(ErrorKind.SERVER_ERROR, f"unreadable answer: {type(error).__name__}")
            failures += 1
            pause = random.uniform(0.5, 1) * min(2.0 ** (failures - 2), _LONGEST_PAUSE_SECONDS)  # noqa: S311 - no secret
            pause = max(pause, failed.retry_after or 0.0)
            if failed.kind not in _PASSING or time.monotonic() + pause - since > self._patience:
                raise _final(failed) from None
            await asyncio.sleep(pause)
            if found_instead is not None and (found := await found_instead()) is not None:
                return found


def _final(failed: CallError) -> BatchApiFailed:
    if failed.http_status in {404, 405, 501}:
        mend = "this server has no Batch API: unset GYM_LLM_MODE"
        return BatchApiFailed(failed.kind, f"{mend} (HTTP {failed.http_status})", http_status=failed.http_status)
    if failed.kind in _PASSING:
        message = f"the Batch API does not answer ({failed.message}); run again when it is back: nothing is lost"
    else:
        message = f"the Batch API refuses: {failed.message}"
    return BatchApiFailed(failed.kind, message, http_status=failed.http_status)
