"""Which ids an ingest has met, and what they said: exact over any number of rows, in flat memory.

What must not live here: anything that outlives the ingest.
"""

import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_CACHE_KIB = 16 * 1024


class Seen:
    """Ids and content hashes in a temporary SQLite file, which leaving the context removes."""

    def __enter__(self) -> "Seen":
        self._folder = tempfile.TemporaryDirectory(prefix="gym-ingest-")
        self._connection = sqlite3.connect(Path(self._folder.name) / "seen.db", isolation_level=None)
        # Nothing of it has to survive a crash.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}", "locking_mode=EXCLUSIVE"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, hash BLOB NOT NULL) WITHOUT ROWID")
        self._connection.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._folder.cleanup()

    def said_before(self, rows: Mapping[str, str]) -> dict[str, str]:
        """Remember ids with their hashes; returns the earlier hashes of ids that said something else before."""
        inserted = self._connection.executemany(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", [(key, bytes.fromhex(hashed)) for key, hashed in rows.items()]
        ).rowcount
        if inserted == len(rows):
            return {}
        first = {key: self._hash_of(key) for key in rows}
        return {key: hashed for key, hashed in first.items() if hashed != rows[key]}

    def _hash_of(self, key: str) -> str:
        (found,) = self._connection.execute("SELECT hash FROM seen WHERE id = ?", (key,)).fetchone()
        return bytes(found).hex()
