"""Asks Dagster's webserver as its UI does.

What must not live here: what is asked.
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any


def ask_graphql(
    url: str, query: str, variables: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The `data` of the answer to one request.

    Args:
        url: the webserver's, without `/graphql`.
        query: a query or a mutation.
        variables: its variables.
        headers: more headers, such as those that a proxy wants.

    Raises:
        OSError: nothing answers, or an error does.
    """
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    if "errors" in answer:
        raise OSError(str(answer["errors"])[:500])
    found: dict[str, Any] = answer["data"]
    return found
