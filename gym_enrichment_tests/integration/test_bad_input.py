"""Bad input of every kind: a clear message, or a row in quarantine with its reason; all good rows come in."""

import codecs
import gzip
import json
import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from gym_enrichment.pipeline.ingesting import IngestReport, ingest
from gym_enrichment.sources import SourceError, open_source
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import gyms, quarantine, reviews

GOOD = [json.dumps({"place_id": "g1", "name": "Un"}), json.dumps({"place_id": "g2", "name": "Deux"})]
NESTED = '{"place_id": "x", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"


def reasons(database: Database) -> dict[int, str]:
    with database.read() as connection:
        return {row.line: row.reason for row in connection.execute(select(quarantine))}


def names(database: Database) -> set[str | None]:
    with database.read() as connection:
        return set(connection.execute(select(gyms.c.name)).scalars())


def texts(database: Database) -> set[str | None]:
    with database.read() as connection:
        return set(connection.execute(select(reviews.c.text)).scalars())


def message_of(database: Database, *sources: str) -> str:
    report = ingest(database, sources)
    assert report.gyms.read == report.reviews.read == 0
    (message,) = report.errors
    return message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"place_id": "x", "name": ', "row: is not JSON"),
        ("not json", "row: is not JSON"),
        ('{"place_id": "x"} {"place_id": "y"}', "row: is not JSON: Extra data"),
        ("[1, 2]", "row: is JSON of type array"),
        ("42", "row: is JSON of type number"),
        ('"text"', "row: is JSON of type string"),
        ("null", "row: is JSON of type null"),
        ("true", "row: is JSON of type boolean"),
        ("{}", "place_id: is missing"),
        ('{"place_id": null}', "place_id: is missing"),
        ('{"place_id": ""}', "place_id: is missing"),
        ('{"place_id": ["x"]}', "place_id: is a list"),
        ('{"place_id": true}', "place_id: is bool"),
        ('{"place_id": "a\\u0000b"}', "place_id: "),
        ('{"place_id": "a\\tb"}', "place_id: "),
        (json.dumps({"place_id": "x" * 10_000}), "place_id: has 10,000 characters"),
        ('{"place_id": "x", "name": "a\\u0000"}', "name: holds a NUL"),
        ('{"place_id": "x", "name": "\\ud800"}', "name: holds bytes that are not Unicode"),
        ('{"place_id": "x", "more": {"deep": "\\udfff"}}', "more: holds bytes that are not Unicode"),
        ('{"place_id": "x", "\\u0000more": 1}', "\\u0000more: holds a NUL"),
        ('{"place_id": "x", "\\ud800more": 1}', "\\ud800more: holds bytes that are not Unicode"),
        ('{"place_id": "x", "name": 7}', "name: is int 7"),
        ('{"place_id": "x", "rating": -1}', "rating: is int -1"),
        ('{"place_id": "x", "rating": 6}', "rating: is int 6"),
        ('{"place_id": "x", "rating": Infinity}', "rating: is float inf"),
        ('{"place_id": "x", "rating": NaN}', "rating: is float nan"),
        ('{"place_id": "x", "rating": true}', "rating: is bool"),
        ('{"place_id": "x", "rating": "bon"}', "rating: 'bon' is not a number"),
        ('{"place_id": "x", "hours": 7}', "hours: is int 7"),
        ('{"place_id": "x", "n": ' + "9" * 5000 + "}", "row: is not usable JSON"),
        (NESTED, "row: is not usable JSON: nested too deeply"),
        ('{"review_id": "r", "place_id": "x", "text": "t"}', "row: looks like a review in a file of gyms"),
        ('{"place_id": "g1", "name": "Autre"}', "duplicate place_id"),
    ],
)
def test_a_bad_line_is_quarantined_with_its_reason_and_its_neighbours_come_in(
    database: Database, tmp_path: Path, line: str, reason: str
) -> None:
    path = tmp_path / "gyms.jsonl"
    path.write_text("\n".join([GOOD[0], "", line, GOOD[1]]))
    report = ingest(database, [str(path)])
    assert report.errors == []
    assert (report.gyms.new, report.gyms.quarantined) == (2, 1)
    assert names(database) == {"Un", "Deux"}
    (found,) = reasons(database).items()
    assert found[0] == 3
    assert found[1].startswith(reason)
    assert "expected" in found[1] or "usable" in found[1]
    assert ingest(database, [str(path)]).gyms.unchanged == 2


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"place_id": "nowhere"}, "place_id: no gym has this id"),
        ({"published_at": "2024-13-45"}, "published_at: '2024-13-45' is not a date"),
        ({"published_at": "2999-01-01"}, "published_at: '2999-01-01' is in the future"),
        ({"published_at": "1066-10-14"}, "published_at: '1066-10-14' is before 1990"),
        ({"rating": -3}, "rating: "),
        ({"text": {"a": 1}}, "text: is an object"),
        ({"text": "x" * 100_001}, "text: has 100,001 characters"),
        ({"text": "a\x00b"}, "text: holds a NUL"),
        ({"text": "\ud83d"}, "text: holds bytes that are not Unicode"),
        ({"language": "x" * 36}, "language: has 36 characters"),
        ({"review_id": "x" * 513}, "review_id: has 513 characters"),
        ({"review_id": None, "text": None}, "review_id: is missing"),
    ],
)
def test_a_bad_review_is_quarantined_with_its_reason(
    database: Database, tmp_path: Path, columns: dict[str, Any], reason: str
) -> None:
    (tmp_path / "gyms.jsonl").write_text("\n".join(GOOD))
    good = {"review_id": "ok", "place_id": "g1", "text": "bien"}
    rows = [good, {"review_id": "r", "place_id": "g1", "text": "t"} | columns]
    (tmp_path / "reviews.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = ingest(database, [str(tmp_path / "gyms.jsonl"), str(tmp_path / "reviews.jsonl")])
    assert (report.reviews.new, report.reviews.quarantined) == (1, 1)
    assert reasons(database)[2].startswith(reason)
    assert texts(database) == {"bien"}


def test_odd_but_good_values_are_kept_as_they_came(database: Database, tmp_path: Path) -> None:
    odd = ['=HYPERLINK("http://x")', "@SUM(A1)", "'; DROP TABLE gyms; --", "%(x)s :y $1 {z}", "\u202e\u200b", "NULL"]
    rows = [{"place_id": text, "name": text, "unknown column": text} for text in odd]
    (tmp_path / "gyms.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert ingest(database, [str(tmp_path / "gyms.jsonl")]).gyms.new == len(odd)
    with database.read() as connection:
        found = {tuple(row) for row in connection.execute(select(gyms.c.place_id, gyms.c.name))}
    assert found == {(text, text) for text in odd}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le+bom", "utf-16-be+bom"])
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_byte_order_marks_tell_the_encoding(
    sqlite_database: Database, tmp_path: Path, encoding: str, ending: str
) -> None:
    text = '{"place_id": "g1", "name": "Été 💪"}\n' * 2 if ending == "jsonl" else "place_id;name\ng1;Été 💪\n"
    name, _, mark = encoding.partition("+")
    path = tmp_path / f"gyms.{ending}"
    path.write_bytes((("\ufeff" if mark else "") + text).encode(name))
    assert ingest(sqlite_database, [str(path)]).errors == []
    assert names(sqlite_database) == {"Été 💪"}


def test_lines_in_another_encoding_are_quarantined_and_never_guessed(database: Database, tmp_path: Path) -> None:
    lines = [GOOD[0].encode(), '{"place_id": "x", "name": "Été"}'.encode("cp1252"), GOOD[1].encode()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    (tmp_path / "b.csv").write_bytes("place_id,name\ng3,Trois\ng4,Été\ng5,Cinq\n".encode("cp1252"))
    report = ingest(database, [str(tmp_path / "a.jsonl"), str(tmp_path / "b.csv")])
    assert (report.gyms.new, report.gyms.quarantined) == (4, 2)
    assert names(database) == {"Un", "Deux", "Trois", "Cinq"}
    assert {line: reason[:21] for line, reason in reasons(database).items()} == {
        2: "row: is not UTF-8 at ",
        3: "row: is not UTF-8; ex",
    }


def test_a_lone_surrogate_in_utf_16_costs_only_its_line(sqlite_database: Database, tmp_path: Path) -> None:
    lines = [GOOD[0], '{"place_id": "x", "name": "\ud800"}', GOOD[1]]
    (tmp_path / "a.jsonl").write_bytes(codecs.BOM_UTF16_LE + "\n".join(lines).encode("utf-16-le", "surrogatepass"))
    report = ingest(sqlite_database, [str(tmp_path / "a.jsonl")])
    assert (report.gyms.new, report.gyms.quarantined, report.errors) == (2, 1, [])


def test_a_line_of_eleven_megabytes_is_skipped(sqlite_database: Database, tmp_path: Path) -> None:
    huge = '{"place_id": "x", "author": "Jean", "name": "' + "x" * (11 * 1024 * 1024) + '"}'
    (tmp_path / "a.jsonl").write_text("\n".join([GOOD[0], huge, GOOD[1]]))
    (tmp_path / "b.csv").write_text(f"place_id,name\ng3,Trois\ng4,{'x' * (11 * 1024 * 1024)}\ng5,Cinq\n")
    report = ingest(sqlite_database, [str(tmp_path / "a.jsonl"), str(tmp_path / "b.csv")])
    assert (report.gyms.new, report.gyms.quarantined) == (4, 2)
    assert set(reasons(sqlite_database)) == {2, 3}
    assert all("longer than 10,485,760 bytes" in reason for reason in reasons(sqlite_database).values())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x", "row: has 1 cells; expected 3"),
        ("x,y,z,extra", "row: has 4 cells; expected 3"),
        ('x,"y"z,1', "row: is not CSV"),
        (",name,1", "place_id: is missing"),
        ("x,name,six", "rating: 'six' is not a number"),
        ("place_id,name,rating", "row: is the header again"),
        ("x,a\x00b,1", "name: holds a NUL"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_bad_csv_row_is_quarantined_under_the_line_where_it_starts(
    sqlite_database: Database, tmp_path: Path, row: str, reason: str, delimiter: str
) -> None:
    lines = ["place_id,name,rating", 'g1,"on\ntwo lines",4', row, "g2,Deux,"]
    path = tmp_path / "gyms.csv"
    path.write_text("\r\n".join(line.replace(",", delimiter) for line in lines), newline="")
    report = ingest(sqlite_database, [str(path)])
    assert (report.gyms.new, report.gyms.quarantined) == (2, 1)
    ((line, found),) = reasons(sqlite_database).items()
    assert line == 4
    assert found.startswith(reason)


def test_an_uneven_csv_row_is_not_shown_when_a_column_names_persons(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("review_id,place_id,author_name,text\nr,g,Jean,comma, in text\n")
    ingest(sqlite_database, [str(tmp_path / "r.csv")])
    with sqlite_database.read() as connection:
        (shown,) = connection.execute(select(quarantine.c.row_text)).scalars()
    assert "Jean" not in shown


def test_a_csv_quote_that_is_never_closed_is_quarantined(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "gyms.csv").write_text('place_id,name\ng1,Un\ng2,"Deux\n')
    report = ingest(sqlite_database, [str(tmp_path / "gyms.csv")])
    assert (report.gyms.new, report.gyms.quarantined) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n \n", "is empty"),
        ("a.csv", b"", "is empty"),
        ("a.parquet", b"", "is empty"),
        ("a.db", b"", "is empty"),
        ("a.csv", b"\n\n", "the first line is blank"),
        ("a.csv", b"id;nom\n1;x\n", "place_id is missing. Columns found: 'id', 'nom'"),
        ("a.jsonl", b'{"identifier": 1, "nom": "x"}\n', "place_id is missing. Columns found: 'identifier', 'nom'"),
        ("a.jsonl", b'{\n  "place_id": "x"\n}\n', "no line is a JSON object. line 1: row: is not JSON"),
        ("a.csv", b"place_id,text,text\nx,y,z\n", "the column 'text' is there twice"),
        ("a.csv", b"place_id,\xe9\nx,y\n", "the first line is not UTF-8"),
        ("a.jsonl.gz", b'{"place_id": "x"}', "the file is damaged or cut off here: Not a gzipped file"),
        ("a.parquet", b"PAR1 but not really", "is not a whole Parquet file"),
        ("a.db", b"not a database, only text" * 99, "file is not a database"),
        ("a.xlsx", b"x", "the ending .xlsx is unknown; expected .jsonl"),
        ("a", b"x", "the ending (none) is unknown"),
        ("a.gz", b"x", "the ending (none) is unknown"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(
    sqlite_database: Database, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / "with space" / name
    path.parent.mkdir()
    path.write_bytes(content)
    message = message_of(sqlite_database, str(path))
    assert message.startswith(f"{path}: ")
    assert says in message


def test_paths_that_are_no_readable_file_are_named(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "dir.jsonl").mkdir()
    (tmp_path / "file.jsonl").write_text(GOOD[0])
    for path, says in [
        (tmp_path / "dir.jsonl", "is a directory"),
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path / "none.db", "no such file"),
        (tmp_path / "file.jsonl" / "below.jsonl", "no such file"),
        (Path("/" + "x" * 5000 + ".jsonl"), "cannot be opened"),
        (Path("nul\x00.jsonl"), ""),
    ]:
        assert says in message_of(sqlite_database, str(path))
    assert not (tmp_path / "none.db").exists()


def test_a_path_is_only_ever_opened_and_read(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in a name is run, expanded or fetched; a link is what it points to, by the ending of its own name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("gyms.jsonl").write_text(GOOD[0])
    for name in ("$(touch pwned).jsonl", "; touch pwned;.jsonl", "~/gyms.jsonl", "*.jsonl", "$HOME/gyms.jsonl"):
        assert message_of(sqlite_database, name) == f"{name}: no such file"
    for url in ("http://127.0.0.1/gyms.jsonl", "file:///etc/passwd", "sqlite:///gyms.jsonl?mode=rwc"):
        assert message_of(sqlite_database, url)
    Path("$(touch pwned).jsonl").symlink_to("gyms.jsonl")
    Path("passwd.jsonl").symlink_to("/etc/passwd")
    assert ingest(sqlite_database, ["$(touch pwned).jsonl"]).gyms.new == 1
    assert "no line is a JSON object" in message_of(sqlite_database, "passwd.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir() if "gym.db" not in path.name) == [
        "$(touch pwned).jsonl",
        "gyms.jsonl",
        "passwd.jsonl",
    ]
    assert Path("gyms.jsonl").read_text() == GOOD[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "closed.jsonl"
    path.write_text(GOOD[0])
    path.chmod(0o000)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:  # the child must leave without pytest's own clean-up
        try:
            os.setuid(65534)
            open_source(str(path))
            os._exit(1)
        except SourceError as error:
            os._exit(0 if "cannot be opened: Permission denied" in str(error) else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_unreadable_source_does_not_stop_the_others(database: Database, tmp_path: Path) -> None:
    (tmp_path / "gyms.jsonl").write_text("\n".join(GOOD))
    report = ingest(database, [str(tmp_path / "none.csv"), str(tmp_path / "gyms.jsonl"), "mysql://u:secret@h/d"])
    assert report.gyms.new == 2
    assert len(report.errors) == 2


def good_lines(count: int) -> str:
    return "".join(json.dumps({"place_id": f"g{n}", "name": f"{n * 7919 % 10007}"}) + "\n" for n in range(count))


def test_rows_before_a_cut_in_a_gzip_file_are_kept(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gyms.jsonl.gz"
    packed = gzip.compress(good_lines(20_000).encode())
    path.write_bytes(packed[: len(packed) // 2])
    report: IngestReport = ingest(sqlite_database, [str(path)])
    (message,) = report.errors
    assert 5_000 < report.gyms.new < 15_000
    assert f"line {report.gyms.new + 1}: the file is damaged or cut off here" in message


def test_rows_before_damage_in_a_parquet_file_are_kept(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gyms.parquet"
    rows = [{"place_id": f"g{n}", "name": f"{n * 7919 % 10007}"} for n in range(4_000)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1_000, compression="gzip", use_dictionary=False)
    content = bytearray(path.read_bytes())
    third = pq.ParquetFile(path).metadata.row_group(2).column(0)
    start = third.data_page_offset
    content[start + 40 : start + third.total_compressed_size - 10] = b"\xff" * (third.total_compressed_size - 50)
    path.write_bytes(bytes(content))
    report = ingest(sqlite_database, [str(path)])
    assert report.gyms.new == 2_000
    assert "row 2001: the file is damaged" in report.errors[0]


def test_a_parquet_value_that_is_not_unicode_costs_only_its_row(sqlite_database: Database, tmp_path: Path) -> None:
    broken = pa.array([b"Un", b"\xff\xfe", b"Trois"]).view(pa.string())
    pq.write_table(pa.table({"place_id": ["a", "b", "c"], "name": broken}), tmp_path / "gyms.parquet")
    report = ingest(sqlite_database, [str(tmp_path / "gyms.parquet")])
    assert (report.gyms.new, report.gyms.quarantined) == (2, 1)
    assert set(reasons(sqlite_database)) == {2}


def test_a_database_without_the_tables_is_named_with_those_it_has(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE orders (id)")
        connection.execute("CREATE TABLE customers (id)")
    connection.close()
    message = message_of(sqlite_database, str(tmp_path / "shop.sqlite"))
    assert "neither a table gyms nor reviews. Tables found: customers, orders" in message


def test_a_table_without_place_id_is_named_with_its_columns(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE gyms (id, nom)")
    connection.close()
    message = message_of(sqlite_database, str(tmp_path / "shop.db"))
    assert "table gyms: the column place_id is missing. Columns found: 'id', 'nom'" in message


def test_no_message_repeats_a_password(sqlite_database: Database) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for url in [
        f"postgresql://me:hunter2@127.0.0.1:{port}/x",
        f"postgresql://me@127.0.0.1:{port}/x?password=hunter2",
        "mysql://me:hunter2@host/x",
        "postgresql://me:hunter2@host:notaport/x",
        "://me:hunter2@host",
        "postgresql://me:p@hunter2@host:1:2/x",
    ]:
        assert "hunter2" not in message_of(sqlite_database, url)


def test_quarantined_rows_of_a_postgres_source_name_it_without_its_password(
    sqlite_database: Database, postgres_database: Database, postgres_url: str
) -> None:
    with postgres_database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO gyms (place_id, content_hash, created_at, updated_at) VALUES (' ', '', now(), now())"
        )
    url = postgres_url.replace("postgres@", "postgres:hunter2@")
    report = ingest(sqlite_database, [f"{url}?options=-csearch_path%3D{postgres_database.search_path}"])
    assert report.gyms.quarantined == 1
    with sqlite_database.read() as connection:
        (source,) = connection.execute(select(quarantine.c.source)).scalars()
    assert "hunter2" not in source
    assert source.startswith("postgresql")
