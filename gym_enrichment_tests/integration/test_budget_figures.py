"""What `stats` says of budgets; on both databases."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from gym_enrichment.console import print_json
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.pipeline.statistics import statistics
from gym_enrichment.showing import show_statistics
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import NANO, Terms, Want, admit, month_scope, run_scope
from gym_enrichment_tests.integration.fleet_member import PRICE, question
from gym_enrichment_tests.llm_server import LlmServer, Reply

RUN = run_scope("run-1")
MONTH = month_scope(datetime.now(UTC))
COST = PRICE.cost(100, 0, 50)


def ask_three(database: Database) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 50}

    async def work(server: LlmServer) -> None:
        transport = OpenAITransport("test", server.base_url, 30.0)
        terms = Terms("fleet", None, None, {RUN: 1.0, MONTH: 1.0})
        gateway = Gateway(transport, database, run_id="run-1", terms=terms, prices=lambda _: PRICE)
        await asyncio.gather(*(gateway.ask(question(number), str) for number in range(3)))
        await gateway.close()

    with LlmServer(lambda _: Reply("fine", usage=usage)) as server:
        asyncio.run(work(server))


def shown(database: Database, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> str:
    (print_json if as_json else show_statistics)(statistics(database))
    return capsys.readouterr().out


def test_budgets_of_the_last_run_and_of_this_month_are_shown_with_what_is_reserved(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_three(database)
    # A call of another run, not settled yet; and a month that is over.
    admit(database, Terms("fleet", None, None, {MONTH: 1.0, run_scope("run-0"): 1.0}), [Want(1, NANO // 4)])
    admit(database, Terms("fleet", None, None, {"month:2001-01": 1.0}), [Want(1, NANO // 4)])

    said = json.loads(shown(database, capsys, as_json=True))
    assert said["budgets"] == {
        MONTH: {"spent_usd": pytest.approx(3 * COST), "reserved_usd": 0.25},
        RUN: {"spent_usd": pytest.approx(3 * COST), "reserved_usd": 0.0},
    }
    assert said["budgets"][RUN]["spent_usd"] == pytest.approx(said["last_run"]["cost_usd"])
    table = shown(database, capsys, as_json=False)
    assert MONTH in table
    assert "0.25" in table


def test_without_budgets_none_are_shown(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.migrate()
    assert json.loads(shown(database, capsys, as_json=True))["budgets"] == {}
    assert "Budgets" not in shown(database, capsys, as_json=False)
