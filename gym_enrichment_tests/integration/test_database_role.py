"""The role of docs/database-roles.sql: with it the whole suite runs on Postgres, and it can do nothing more."""

import traceback
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError, ProgrammingError

from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database, DatabaseError, head_revision

FIRST_REVISION = "0001"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (a int)",
        "ALTER TABLE gyms ADD COLUMN more int",
        "DROP TABLE gyms",
        "TRUNCATE gyms",
        "CREATE SCHEMA more",
        "CREATE ROLE more",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "COPY gyms TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_the_role_of_production_can_change_rows_and_nothing_else(postgres_database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), postgres_database.write() as found:
        found.exec_driver_sql(statement)


def test_migrating_is_for_the_owner_and_says_so(postgres_owner: Database, postgres_database: Database) -> None:
    assert postgres_database.migrate() == head_revision()  # nothing to do
    with postgres_owner.write() as owner:
        owner.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{FIRST_REVISION}'")
    with pytest.raises(DatabaseError, match=r"may not change the schema.* as the database's owner"):
        postgres_database.migrate()


def test_a_table_of_a_later_migration_can_be_used_too(postgres_owner: Database, postgres_database: Database) -> None:
    with postgres_owner.write() as owner:
        owner.exec_driver_sql("CREATE TABLE later (id serial PRIMARY KEY, what text)")
    with postgres_database.write() as found:
        found.exec_driver_sql("INSERT INTO later (what) VALUES ('x')")
        assert found.exec_driver_sql("SELECT count(*) FROM later").scalar_one() == 1


def test_sql_in_any_field_is_only_text(database: Database) -> None:
    text = "x'); DROP TABLE gyms; -- \"; DELETE FROM gyms; %s :name $1 \\'"
    row = {"place_id": text, "name": text, "city": text, "extra": {text: text}, "content_hash": "h"}
    row |= {"created_at": NOW, "updated_at": NOW}
    with database.write() as connection:
        connection.execute(insert(tables.gyms), [row])
    with database.read() as connection:
        found = connection.execute(select(tables.gyms).where(tables.gyms.c.name == text)).mappings().one()
        assert connection.execute(select(func.count()).select_from(tables.gyms)).scalar_one() == 1
    assert (found["place_id"], found["city"], found["extra"]) == (text, text, {text: text})


def test_what_a_database_refuses_is_not_repeated_in_its_error(database: Database) -> None:
    """Postgres adds the whole row to some of its errors, and Dagster keeps errors for everybody who reaches its UI."""
    review = {"review_id": "r1", "place_id": "nowhere", "text": "a secret review", "content_hash": "h"}
    for row in (review, review | {"updated_at": NOW}):
        with pytest.raises(IntegrityError) as refused, database.write() as connection:
            connection.execute(insert(tables.reviews), [row])
        told = "".join(traceback.format_exception(refused.value))
        assert "constraint" in told
        assert "a secret review" not in told
        assert "nowhere" not in told
