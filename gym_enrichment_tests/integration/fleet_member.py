"""One process of a fleet: asks what it is told through a gateway of its own, and says what came of it."""

import asyncio
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.llm.pricing import Price
from gym_enrichment.llm.requests import BudgetReached, LlmRequest
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Terms

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": True}
PRICE = Price(prompt=1e-6, cached_prompt=1e-6, completion=1e-5)


def question(number: int) -> LlmRequest:
    """One of as many different questions as there are numbers, all of one length."""
    return LlmRequest(
        endpoint="fleet",
        model="test-model",
        messages=[{"role": "user", "content": f"question {number:06d}"}],
        schema_name="anything",
        schema=SCHEMA,
        parameters={"max_completion_tokens": 100},
    )


async def ask_all(orders: dict[str, Any]) -> dict[str, int]:
    """How many asks ended how."""
    gateway = Gateway(
        OpenAITransport("test", orders["server"], 30.0),
        Database(orders["database"], search_path=orders["search_path"]),
        run_id=orders.get("run_id", "run-1"),
        concurrency=orders.get("concurrency", 20),
        terms=Terms("fleet", orders.get("rpm"), orders.get("tpm"), orders.get("budgets", {})),
        prices=lambda _: PRICE,
    )
    ends: Counter[str] = Counter()

    async def one(number: int) -> None:
        try:
            answer = await gateway.ask(question(number), str)
        except BudgetReached:
            ends["budget"] += 1
        else:
            ends["known" if answer.from_cache else "paid"] += 1

    try:
        await asyncio.gather(*map(one, orders["questions"]))
    finally:
        await gateway.close()
    return dict(ends)


def work(leader: Connection, orders: dict[str, Any]) -> None:
    """What the process does: says that it is there, waits for the word, and reports."""
    leader.send("ready")
    leader.recv()
    leader.send(asyncio.run(ask_all(orders)))
