"""Servers that know only a part of OpenAI's protocol: GYM_LLM_PROTOCOL=grammar and basic."""

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
    asked = ask.body["response_format"]
    if asked["type"] != "json_object" or asked.keys() > {"type", "schema"}:
        return Reply(status=400, error_message="no such response_format")
    return (good_packed if ask.gyms else good)(ask)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(knows_a_part) as running:
        yield running


@pytest.fixture
def job(sqlite_database: Database, server: LlmServer, tmp_path: Path) -> Job:
    return Job(sqlite_database, server, tmp_path)


@pytest.mark.parametrize("protocol", ["grammar", "basic"])
@pytest.mark.parametrize("variant", ["combined", "fanout", "packed"])
def test_every_variant_can_be_asked(job: Job, server: LlmServer, variant: str, protocol: str) -> None:
    (batch,) = job.enrich(job.bundles(4, batch_size=4), GYM_LLM_PROTOCOL=protocol, GYM_VARIANT=variant)
    assert [enrichment.state for enrichment in batch.enrichments] == ["enriched"] * 4


def test_a_grammar_s_schema_stands_in_the_response_format(job: Job, server: LlmServer) -> None:
    list(job.enrich(job.bundles(1, batch_size=1), GYM_LLM_PROTOCOL="grammar"))
    (ask,) = server.asks
    assert "description" in ask.body["response_format"]["schema"]["properties"]
    assert SCHEMA_NOTE not in ask.body["messages"][0]["content"]


def test_the_basic_schema_stands_in_the_instructions(job: Job, server: LlmServer) -> None:
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


@pytest.mark.parametrize("status", [400, 500])
def test_without_the_setting_the_failure_names_it(job: Job, server: LlmServer, status: int) -> None:
    server.script = lambda _: Reply(status=status)
    (batch,) = job.enrich(job.bundles(1, batch_size=1), GYM_LLM_MAX_ATTEMPTS="2")
    (failure,) = batch.failures
    assert "GYM_LLM_PROTOCOL=grammar or basic" in failure.message


def test_another_protocol_is_another_question(job: Job, server: LlmServer) -> None:
    """What one form of asking brought is not passed off as the other's."""
    server.script = good
    batches = job.bundles(1, batch_size=1)
    list(job.enrich(batches))
    list(job.enrich(batches, GYM_LLM_PROTOCOL="grammar"))
    list(job.enrich(batches, GYM_LLM_PROTOCOL="basic"))
    assert len(server.asks) == 3
