"""docs/migration.md, followed command by command on a copy of an old pipeline's database."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gym_enrichment.pipeline.exporting import UI_COLUMNS
from gym_enrichment.storage.tables import gym_directory, ledger
from gym_enrichment_tests.acceptance.conftest import REPOSITORY, Outcome, User, new_user
from gym_enrichment_tests.old_pipeline import AUTHOR, HOURS, PHOTO, TRUE, gym, write_old_database

GYMS = [
    *(gym(f"g{n:02d}", name=f"Salle d'Été n° {n}") for n in range(12)),
    gym("g00", name="said twice"),
    gym("g12", hours=None, hours_french=None),
    gym("open", description=None, amenities=None, has_women_hours=None, hours_french=None),
    gym("half", description=None),
    gym("bad-json", amenities="[oops"),
    gym("bad-hours", hours="{oops"),
]


def blocks() -> list[list[list[str]]]:
    """The arguments of each command of each block of the page, in order."""
    text = (REPOSITORY / "docs" / "migration.md").read_text(encoding="utf-8")
    console = [part.partition("```")[0] for part in text.split("```console\n")[1:]]
    return [[shlex.split(line, comments=True) for line in block.splitlines() if line] for block in console]


class Follower:
    """Someone who types what the page says."""

    def __init__(self, user: User) -> None:
        self.user = user

    def follow(self, commands: list[list[str]]) -> dict[str, Outcome]:
        """What each command said, by its words."""
        said = {}
        for program, *arguments in commands:
            assert program == "gym-enrichment"
            known = [argument.replace("PLACE_ID", "g00") for argument in arguments]
            said[" ".join(arguments)] = self.user.cli(*known).succeeded()
        return said

    def variants(self) -> Counter[str | None]:
        """How many gyms are published with each variant."""
        with self.user.database.read() as connection:
            return Counter(connection.execute(select(gym_directory.c.variant)).scalars())

    def asked(self) -> int:
        with self.user.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(ledger)).scalar_one())


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    user = new_user(tmp_path, GYM_LLM="offline", GYM_BATCH_SIZE="5")
    path = write_old_database(user.work / "old.db", GYMS, wal=True)
    path.chmod(0o444)
    return Follower(user)


def test_the_page_leads_from_the_old_pipeline_to_the_new(follower: Follower) -> None:
    come_over, rollout, at_once = blocks()
    file = follower.user.work / "old.db"
    before = file.read_bytes()
    counted = follower.user.cli("ingest", "old.db", "--json").succeeded().json
    assert counted["gyms"] == {"new": 16, "updated": 0, "unchanged": 0, "quarantined": 2}
    assert counted["enrichments"] == {"new": 13, "updated": 0, "unchanged": 1, "quarantined": 3}
    # A batch of which nothing was found is published by its first run, as always.
    assert (follower.variants(), follower.asked()) == (Counter({"legacy": 13, None: 2}), 0)

    said = follower.follow(come_over)
    assert "duplicate place_id" in said["show --quarantine"].out
    assert "legacy" in said["stats"].out
    assert TRUE[:40] in said["show PLACE_ID"].out
    # What the old pipeline did not finish, and nothing else.
    assert (follower.variants(), follower.asked()) == (Counter({"legacy": 13, "combined": 3}), 3)
    exported = json.loads((follower.user.work / "gyms.json").read_text(encoding="utf-8"))
    assert {tuple(row) for row in exported} == {UI_COLUMNS}
    first = next(row for row in exported if row["place_id"] == "g00")
    assert (first["name"], first["city"], first["lat"], first["reviews_count"]) == ("Salle d'Été n° 0", "Oran", 35.7, 3)
    assert (first["hours"], first["description"], first["has_women_hours"]) == (HOURS, TRUE, False)

    said = follower.follow(rollout)
    assert "legacy" in said["rollout show"].out
    moved = follower.variants()["combined"] - 3
    assert follower.asked() == 3 + moved
    page = (follower.user.work / "report.html").read_text(encoding="utf-8")
    assert "Salle d'Été n° 11" in page.replace("&#39;", "'").replace("\\u0027", "'")
    assert ">legacy<" in page
    data = re.search('<script type="application/json" id="data">(.*?)</script>', page)
    assert data is not None
    gallery = json.loads(data[1])["gyms"]
    assert Counter(gym["legacy"] for gym in gallery) == Counter({True: 13 - moved, False: 3 + moved})

    follower.follow(at_once)
    assert (follower.variants(), follower.asked()) == (Counter({"combined": 16}), 16)
    assert file.read_bytes() == before
    assert sorted(found.name for found in follower.user.work.iterdir()) == ["gyms.json", "old.db", "report.html"]
    whole = b"".join(
        found.read_bytes() for found in follower.user.folder.rglob("*") if found.is_file() and found != file
    )
    assert AUTHOR.encode() not in whole
    assert PHOTO.encode() not in whole
