"""The two kinds of JSON lines of the Batch API: requests as they are uploaded, results as they come back.

What must not live here: moving files (batch_client.py) and waiting (batch_api.py).
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from gym_enrichment.llm.errors import CallError, ErrorKind
from gym_enrichment.llm.openai_transport import readable_code, status_error
from gym_enrichment.llm.requests import RawAnswer
from gym_enrichment.llm.transport import read_completion

MOST_REQUESTS = 50_000
MOST_BYTES = 190_000_000
"""OpenAI's limits for one batch are 50,000 requests and a file of 200 MB."""
CHAT_COMPLETIONS: Final = "/v1/chat/completions"


def request_line(custom_id: str, content: bytes) -> bytes:
    """One line of the uploaded file; `content` is the JSON body, which holds no line break."""
    head = f'{{"custom_id":"{custom_id}","method":"POST","url":"{CHAT_COMPLETIONS}","body":'
    return head.encode() + content + b"}\n"


def read_results(files: Iterable[bytes]) -> dict[str, RawAnswer | CallError]:
    """What the output and the error file of a batch say of each request, by custom_id and in any order.

    A line that cannot be read is as good as missing. Of two lines for one request an answer counts.
    """
    results: dict[str, RawAnswer | CallError] = {}
    for line in (line for content in files for line in content.split(b"\n") if line.strip()):
        try:
            parsed = json.loads(line)
            custom_id = parsed["custom_id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(custom_id, str) and not isinstance(results.get(custom_id), RawAnswer):
            results[custom_id] = _result(parsed)
    return results


def _result(line: dict[str, Any]) -> RawAnswer | CallError:
    response = line.get("response")
    status = response.get("status_code") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(status, int):
        code = _code(line)
        said = f" ({code})" if code else ""
        return CallError(ErrorKind.SERVER_ERROR, f"the batch ended without an answer{said}")
    if status >= 400:
        return status_error(status, _code(response.get("body")), {})
    try:
        return read_completion(response.get("body"), status, {})
    except CallError as error:
        return error


def _code(holder: Any) -> str:
    """The `code` of an error object, as far as it is one; its message may quote the prompt."""
    error = holder.get("error") if isinstance(holder, dict) else None
    return readable_code(error.get("code") if isinstance(error, dict) else None)
