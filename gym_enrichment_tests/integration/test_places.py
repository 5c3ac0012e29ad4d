"""Google Places against a server that behaves like it: nothing lost, nothing asked twice, no limit passed."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import Table, select, update

from gym_enrichment.domain.places import parse_area
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.pipeline.places.discovering import discover, estimate_discovery
from gym_enrichment.pipeline.places.refreshing import estimate_refresh, refresh
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.sources.google_places import Sku
from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.places_server import (
    AUTHOR,
    FAULTS,
    KEY,
    Fault,
    PlacesServer,
    World,
    crowded_world,
    place_id,
)
from gym_enrichment_tests.processes import processes

GYMS = 500
ALGER = (parse_area("Alger"),)
CENTRE = (parse_area("36.60,2.90,36.86,3.30"),)
START = datetime(2026, 11, 26, 9, tzinfo=UTC)


def settings_for(database: Database, server: PlacesServer, **others: Any) -> Settings:
    usual: dict[str, Any] = {
        "GOOGLE_PLACES_API_KEY": KEY,
        "GYM_PLACES_URL": server.url,
        "GYM_PLACES_RPM": 1_000_000,
        "GYM_PLACES_TIMEOUT": 5.0,
    }
    settings = load_settings(_env_file=None, **usual | others)
    settings.__dict__["database"] = database
    return settings


def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def states(database: Database) -> dict[str, tuple[str, str | None]]:
    return {row["place_id"]: (row["state"], row["reason"]) for row in rows(database, tables.places)}


def few(count: int = 12) -> World:
    """Few enough for one page."""
    return World({place_id(number): (36.75, 3.05 + number / 10_000) for number in range(count)})


def seldom(what: str, before: int) -> Fault | None:
    """One first attempt in seven fails, and one second or third attempt in five is refused."""
    draw = random.Random(f"{what} {before}")
    if before == 0 and draw.random() < 0.14:
        return draw.choices(FAULTS, [9 if fault != "timeout" else 1 for fault in FAULTS])[0]
    return "server_error" if before in (1, 2) and draw.random() < 0.2 else None


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=True) as traveller:
        yield traveller


def test_500_places_with_faults_are_all_found_fetched_once_and_refreshed_after_30_days(
    database: Database, clock: time_machine.Traveller
) -> None:
    world = crowded_world(GYMS)
    renamed, followed, follower = place_id(3), place_id(4), place_id(9_999)
    world.vanished = {place_id(1), place_id(2)}
    world.malformed = {place_id(5)}
    world.relocated = {followed: follower}
    found_there = set(world.places)
    with PlacesServer(world, seldom) as server:
        settings = settings_for(database, server)
        expected = estimate_discovery(settings, ALGER)
        assert not server.asked
        assert expected.as_dict()["requests"][Sku.SEARCH_PRO]["requests"] == 1

        found = discover(settings, ALGER)

        assert (found.stopped, found.failures, found.unfinished, found.full) == (None, [], 0, 0)
        assert set(states(database)) == found_there
        assert found.new == found.due == GYMS
        assert found.split > 5
        assert {asked.mask for asked in server.asked} == {Sku.SEARCH_IDS.mask, Sku.SEARCH_PRO.mask}
        # What was charged is the one look for where Alger is, but for attempts whose answers were lost.
        assert expected.cost_usd <= sum(used.cost_usd for used in found.usage) <= expected.cost_usd_at_most

        server.forget()
        assert discover(settings, ALGER).pages == 0
        assert not server.asked

        # What Google knows of four of them changes before their details are asked for.
        world.places[follower] = world.places[followed]
        new_id = place_id(8_888)
        world.places[new_id] = world.places.pop(renamed)
        world.renamed = {renamed: new_id}
        expected = estimate_refresh(settings)
        assert (expected.subject["due"], expected.cost_usd) == (GYMS, GYMS * 0.025)
        assert not server.asked

        done = refresh(settings)

        assert (done.stopped, done.failures, done.due) == (None, [], 0)
        # The one that followed another was found and fetched in the same run.
        assert done.fetched + done.gone + done.set_aside == GYMS + 1
        assert (done.gone, done.set_aside, done.id_changed) == (3, 1, 1)
        assert set(server.good_details()) == (found_there | {follower}) - world.vanished
        assert set(server.good_details().values()) == {1}
        assert {asked.mask for asked in server.asked} == {Sku.DETAILS.mask}
        assert server.most_at_once > 1
        assert_the_books_agree(database, server, done.usage[0].requests)
        assert (GYMS + 1) * 0.025 <= sum(used.cost_usd for used in done.usage) <= expected.cost_usd_at_most

        known = states(database)
        assert {key for key, (state, _) in known.items() if state == "gone"} == world.vanished | {followed}
        assert known[place_id(1)] == ("gone", "Google Places knows no such place any more (NOT_FOUND)")
        assert known[followed] == ("gone", f"CLOSED_PERMANENTLY, moved to {follower}")
        assert known[place_id(5)][0] == "set_aside"
        assert "rating" in rows(database, tables.quarantine)[0]["reason"]
        gyms = {row["place_id"]: row for row in rows(database, tables.gyms)}
        assert set(gyms) == (found_there | {follower}) - world.vanished - world.malformed
        # A renamed one keeps its gym and the ids of its reviews.
        assert gyms[renamed]["name"] == "Salle 8888"
        reviews = [row for row in rows(database, tables.reviews) if row["place_id"] == renamed]
        assert {row["review_id"] for row in reviews} == {f"places/{renamed}/reviews/{n}" for n in range(2)}

        server.forget()
        clock.shift(timedelta(days=29, hours=23))
        assert refresh(settings).usage == []
        assert not server.asked

        clock.shift(timedelta(hours=2))
        again = refresh(settings)
        assert (again.stopped, again.failures, again.due) == (None, [], 0)
        still_there = (found_there | {follower, new_id}) - world.vanished - {followed, renamed}
        assert set(server.good_details()) == still_there
        assert set(server.good_details().values()) == {1}
        assert again.ingested.gyms.new == 0
        assert again.ingested.gyms.unchanged == len(still_there) - 1


def assert_the_books_agree(database: Database, server: PlacesServer, asked: int) -> None:
    """What was counted is what the server saw."""
    booked = {row["sku"]: row for row in rows(database, tables.place_requests)}
    assert booked[Sku.DETAILS]["requests"] == asked == len(server.asked)
    # 429 and 503 are on no bill; what was lost may be.
    free = sum(a.outcome in {"rate_limited", "server_error"} for a in server.asked)
    assert booked[Sku.DETAILS]["charged"] == asked - free
    assert booked[Sku.DETAILS]["cost"] == booked[Sku.DETAILS]["charged"] * 25_000_000
    assert booked[Sku.SEARCH_IDS]["cost"] == 0


def test_nothing_of_authors_and_photos_is_asked_for_or_kept(database: Database) -> None:
    with PlacesServer(few()) as server:
        settings = settings_for(database, server)
        discover(settings, CENTRE)
        refresh(settings)
        assert not any(word in asked.mask for asked in server.asked for word in ("photo", "author", "openNow"))
    for table in tables.metadata.sorted_tables:
        assert AUTHOR not in json.dumps(rows(database, table), default=str)


def run_refresh(url: str, search_path: str | None, server_url: str) -> None:
    """What a process of its own does."""
    database = Database(url, search_path=search_path)
    settings = load_settings(
        _env_file=None, GOOGLE_PLACES_API_KEY=KEY, GYM_PLACES_URL=server_url, GYM_PLACES_RPM=1_000_000
    )
    settings.__dict__["database"] = database
    discover(settings, CENTRE)
    refresh(settings)


def test_what_a_killed_process_paid_for_is_not_paid_again(database: Database) -> None:
    gyms, in_flight = 120, 8
    half_way = processes.Event()

    def slow(what: str, before: int) -> Fault | None:
        if len(server.good_details()) >= gyms // 2:
            half_way.set()
            return "timeout"
        return None

    server = PlacesServer(crowded_world(gyms), slow)
    with server:
        settings = settings_for(database, server)
        assert database.engine
        child = processes.Process(target=run_refresh, args=(database.url, database.search_path, server.url))
        child.start()
        assert half_way.wait(60)
        child.kill()
        child.join()
        server.fault = lambda _what, _before: None
        with database.write() as connection:
            # The claims of the dead end: else its successor would leave them alone for five minutes.
            connection.execute(update(tables.places).values(claimed_until=0.0))

        done = refresh(settings)

        assert (done.stopped, done.due) == (None, 0)
        assert {state for state, _ in states(database).values()} == {"current"}
        assert len(rows(database, tables.gyms)) == gyms
        given = server.good_details()
        # Only what was on its way when the process died was asked for again.
        assert sum(given.values()) - gyms <= in_flight
        assert max(given.values()) <= 2


def test_details_that_were_paid_for_and_not_ingested_are_ingested_by_the_next_run(database: Database) -> None:
    with PlacesServer(few(1)) as server:
        settings = settings_for(database, server)
        discover(settings, CENTRE)
        refresh(settings)
        [gym] = rows(database, tables.gyms)
        answer = {"id": place_id(0), "displayName": {"text": "Renommée"}}
        with database.write() as connection:
            connection.execute(update(tables.places).values(state="answered", answer=answer))
        server.forget()

        refresh(settings)

        assert gym["name"] == "Salle 0"
        assert [row["name"] for row in rows(database, tables.gyms)] == ["Renommée"]
        assert not server.asked
        assert [row["answer"] for row in rows(database, tables.places)] == [None]


def test_two_processes_at_once_ask_for_each_place_once(database: Database) -> None:
    gyms = 60
    with PlacesServer(crowded_world(gyms)) as server:
        assert database.engine
        children = [
            processes.Process(target=run_refresh, args=(database.url, database.search_path, server.url))
            for _ in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
        assert [child.exitcode for child in children] == [0, 0]
        # One may have ended while the other still searched.
        refresh(settings_for(database, server))
        assert len(rows(database, tables.gyms)) == gyms
        assert set(server.good_details().values()) == {1}
        searches = [asked.what for asked in server.asked if not asked.is_details]
        assert len(searches) == len(set(searches))


@pytest.mark.parametrize(
    ("limits", "requests", "reason"),
    [
        ({"GYM_PLACES_REQUESTS_PER_DAY": 7}, 7, "GYM_PLACES_REQUESTS_PER_DAY=7 is reached"),
        ({"GYM_PLACES_BUDGET_MONTH_USD": 0.13}, 6, "GYM_PLACES_BUDGET_MONTH_USD=0.13 is reached"),
    ],
)
def test_a_limit_is_never_passed_and_the_next_day_or_month_goes_on(
    database: Database, clock: time_machine.Traveller, limits: dict[str, Any], requests: int, reason: str
) -> None:
    with PlacesServer(few()) as server:
        settings = settings_for(database, server, **limits)
        assert discover(settings, CENTRE).pages == 1

        done = refresh(settings)

        assert done.stopped == reason
        assert len(server.asked) == requests
        assert (done.fetched, done.due) == (requests - 1, 12 - (requests - 1))
        # What was not asked for is nobody's: the next day it is asked for at once.
        clock.shift(timedelta(days=1) if "DAY" in reason else timedelta(days=5))
        later = refresh(settings)
        assert later.fetched == min(later.usage[0].requests, later.fetched) > 0
        assert set(server.good_details().values()) == {1}


def test_requests_of_a_minute_are_limited_over_processes(sqlite_database: Database) -> None:
    with PlacesServer(few()) as server:
        settings = settings_for(sqlite_database, server)
        discover(settings, CENTRE)
        with sqlite_database.write() as connection:
            # Another process has just used up this minute, but for three; in 62 s it is over.
            now = connection.exec_driver_sql("SELECT CAST(unixepoch() AS INTEGER) - 61").scalar_one()
            connection.execute(tables.llm_usage.delete())
            values = {"endpoint": server.url, "second": now, "requests": 7, "tokens": 0}
            connection.execute(tables.llm_usage.insert().values(values))
        limited = settings_for(sqlite_database, server, GYM_PLACES_RPM=10)

        assert refresh(limited, limit=4).fetched == 4

        seconds = sorted(row["second"] for row in rows(sqlite_database, tables.llm_usage))
        assert seconds[-1] >= now + 62


def test_what_google_asks_to_wait_is_waited(sqlite_database: Database) -> None:
    with PlacesServer(few(1)) as server:
        settings = settings_for(sqlite_database, server)
        discover(settings, CENTRE)
        server.fault = lambda _what, before: "rate_limited" if before == 0 else None
        server.forget()
        server.retry_after = "700"

        done = refresh(settings)

        assert done.stopped is not None
        assert "asks to wait 700 s" in done.stopped
        assert (len(server.asked), done.due) == (1, 1)

        server.forget()
        server.retry_after = "1"

        assert refresh(settings).fetched == 1

        [refused, answered] = server.asked
        assert answered.at - refused.at >= 1.0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("daily_quota", "quota of requests per day is used up"),
        ("no_body", "is GYM_PLACES_URL right?"),
    ],
)
def test_what_no_repetition_can_mend_stops_the_run(sqlite_database: Database, fault: Fault, words: str) -> None:
    with PlacesServer(few()) as server:
        settings = settings_for(sqlite_database, server)
        discover(settings, CENTRE)
        server.fault = lambda _what, _before: fault
        server.forget()

        done = refresh(settings)

        assert done.stopped is not None
        assert words in done.stopped
        # No more than were on their way.
        assert len(server.asked) <= 8
        assert done.due == 12
        assert done.usage[0].cost_usd == 0


def test_a_wrong_key_stops_and_is_not_repeated(sqlite_database: Database) -> None:
    with PlacesServer(few()) as server:
        settings = settings_for(sqlite_database, server, GOOGLE_PLACES_API_KEY="AIza-wrong")

        found = discover(settings, CENTRE)

        assert found.stopped is not None
        assert "API_KEY_INVALID" in found.stopped
        assert "AIza-wrong" not in json.dumps([found.as_dict(), repr(settings)])
        assert found.unfinished == 1


def test_a_server_that_is_down_is_left_alone_after_a_few_places(sqlite_database: Database) -> None:
    with PlacesServer(few(60), lambda what, _before: "broken" if what.startswith("ChIJ") else None) as server:
        settings = settings_for(sqlite_database, server)
        discover(settings, CENTRE)
        server.forget()

        done = refresh(settings)

        assert done.stopped is not None
        assert "in a row failed" in done.stopped
        # Answers that were lost may have been charged: two attempts each.
        assert len(server.asked) <= 2 * (10 + 8)
        assert done.failed >= 10
        assert done.due == 60
        assert ("failed", "Google Places answers with no JSON object") in states(sqlite_database).values()


def test_a_page_token_that_is_not_accepted_any_more_begins_the_search_anew(database: Database) -> None:
    with PlacesServer(crowded_world(50)) as server:
        settings = settings_for(database, server)
        server.token_lives = False

        found = discover(settings, CENTRE)

        assert (found.new, found.failures, found.stopped) == (50, [], None)
        assert len(server.asked) == 1 + 1 + 3


def test_an_area_that_google_does_not_know_is_named(sqlite_database: Database) -> None:
    with PlacesServer(few()) as server:
        found = discover(settings_for(sqlite_database, server), (parse_area("Atlantis"), *CENTRE))

        assert [area for area, _ in found.failures] == ["Atlantis"]
        assert found.new == 12


def test_places_that_two_ids_mean_are_one_gym(database: Database, clock: time_machine.Traveller) -> None:
    world = few(2)
    with PlacesServer(world) as server:
        settings = settings_for(database, server)
        discover(settings, CENTRE)
        world.places.pop(place_id(1))
        world.renamed = {place_id(1): place_id(0)}

        done = refresh(settings)

        assert (done.gone, done.due) == (1, 0)
        known = states(database)
        assert known[place_id(0)] == ("current", None)
        assert known[place_id(1)] == ("gone", f"Google knows it as {place_id(0)} now, which is gym {place_id(0)}")
        assert [row["place_id"] for row in rows(database, tables.gyms)] == [place_id(0)]


def test_a_place_that_was_gone_and_is_found_again_after_30_days_is_asked_for(
    database: Database, clock: time_machine.Traveller
) -> None:
    world = few(2)
    world.vanished = {place_id(1)}
    with PlacesServer(world) as server:
        settings = settings_for(database, server)
        discover(settings, CENTRE)
        assert refresh(settings).gone == 1
        world.vanished.clear()
        clock.shift(timedelta(days=29))
        assert (discover(settings, CENTRE).pages, refresh(settings).usage) == (0, [])

        clock.shift(timedelta(days=2))
        assert discover(settings, CENTRE).due == 2

        assert refresh(settings).fetched == 2


def test_gyms_of_files_with_googles_ids_are_refreshed_30_days_after_they_last_changed(
    database: Database, clock: time_machine.Traveller, tmp_path: Path
) -> None:
    source = tmp_path / "gyms.jsonl"
    source.write_text("".join(json.dumps({"place_id": key}) + "\n" for key in (place_id(0), "own-1")))
    ingest(database, [str(source)])
    with PlacesServer(few()) as server:
        settings = settings_for(database, server)
        assert refresh(settings).usage == []

        clock.shift(timedelta(days=31))
        assert refresh(settings).fetched == 1

        assert set(server.good_details()) == {place_id(0)}
        assert {row["place_id"]: row["name"] for row in rows(database, tables.gyms)}[place_id(0)] == "Salle 0"
