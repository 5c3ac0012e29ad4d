"""A server that knows only a part of OpenAI's protocol: GYM_LLM_PROTOCOL=basic."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_enrichment.llm.requests import SCHEMA_NOTE
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_content, good_packed


def knows_a_part(ask: Ask) -> Reply:
    """As llama.cpp's Python server and others: what they do not know is refused."""
    known = {"model", "messages", "response_format", "max_tokens"}
    if unknown := ask.body.keys() - known:
        return Reply(status=400, error_message=f"unknown: {sorted(unknown)}")
    if ask.body["response_format"] != {"type": "json_object"}:
        return Reply(status=400, error_message="no such response_format")
    return (good_packed if ask.gyms else good)(ask)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(knows_a_part) as running:
        yield running


@pytest.fixture
def job(sqlite_database: Database, server: LlmServer, tmp_path: Path) -> Job:
    return Job(sqlite_database, server, tmp_path)


@pytest.mark.parametrize("variant", ["combined", "fanout", "packed"])
def test_every_variant_can_be_asked(job: Job, server: LlmServer, variant: str) -> None:
    (batch,) = job.enrich(job.bundles(4, batch_size=4), GYM_LLM_PROTOCOL="basic", GYM_VARIANT=variant)
    assert [enrichment.state for enrichment in batch.enrichments] == ["enriched"] * 4


def test_the_schema_stands_in_the_instructions(job: Job, server: LlmServer) -> None:
    list(job.enrich(job.bundles(1, batch_size=1), GYM_LLM_PROTOCOL="basic"))
    (ask,) = server.asks
    instructions, schema = ask.body["messages"][0]["content"].split(SCHEMA_NOTE)
    assert instructions.strip()
    assert "description" in json.loads(schema)["properties"]


def test_a_broken_answer_is_sent_back_with_the_schema_still_there(job: Job, server: LlmServer) -> None:
    server.script = lambda ask: Reply("{}" if ask.number == 1 else good_content())
    (batch,) = job.enrich(job.bundles(1, batch_size=1), GYM_LLM_PROTOCOL="basic")
    assert len(batch.enrichments) == 1
    first, second = (ask.body["messages"] for ask in server.asks)
    assert second[: len(first)] == first
    assert SCHEMA_NOTE in second[0]["content"]


def test_without_the_setting_the_failure_names_it(job: Job) -> None:
    (batch,) = job.enrich(job.bundles(1, batch_size=1))
    (failure,) = batch.failures
    assert "GYM_LLM_PROTOCOL=basic" in failure.message


def test_another_protocol_is_another_question(job: Job, server: LlmServer) -> None:
    """What one form of asking brought is not passed off as the other's."""
    server.script = good
    batches = job.bundles(1, batch_size=1)
    list(job.enrich(batches))
    list(job.enrich(batches, GYM_LLM_PROTOCOL="basic"))
    assert len(server.asks) == 2
