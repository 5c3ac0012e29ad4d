"""Ingest: from sources to the base tables, streamed in chunks; what is bad goes to quarantine with its reason.

What must not live here: reading formats (`sources`), judging values (`domain/raw_rows`), SQL (`storage/raw`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gym_enrichment.domain.legacy import LegacyClaims, legacy_hash
from gym_enrichment.domain.models import Gym, Review
from gym_enrichment.domain.place_details import gym_from_details, is_place_details, reviews_from_details
from gym_enrichment.domain.raw_rows import gym_from_row, gym_hash, review_from_row, review_hash, row_text
from gym_enrichment.domain.raw_values import RowError
from gym_enrichment.pipeline.seen import Seen
from gym_enrichment.sources import Kind, RawRow, Source, SourceError, open_source
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.raw import BadRow, Upserted, replace_quarantine, upsert_gyms, upsert_reviews

ROWS_PER_CHUNK = 4_000
"""Rows of a transaction: large enough that commits do not count, small enough for any memory."""
BYTES_PER_CHUNK = 16 * 1024 * 1024
"""A chunk ends here too: 4,000 rows as large as sources let them be would be 40 GB."""

Progress = Callable[[Kind, str, int], None]
"""Told after every chunk: the kind, the name of the source, how many of its rows were read."""


@dataclass(slots=True)
class Counts:
    """What became of the rows of one kind; the four add up to the rows read."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0

    @property
    def read(self) -> int:
        """All rows."""
        return self.new + self.updated + self.unchanged + self.quarantined


@dataclass(slots=True)
class IngestReport:
    """What an ingest did. `errors` are sources that could not be read, or not to their end.

    `enrichments` are what the old pipeline found; they are there only if a source had some.
    """

    gyms: Counts = field(default_factory=Counts)
    reviews: Counts = field(default_factory=Counts)
    errors: list[str] = field(default_factory=list)
    enrichments: Counts = field(default_factory=Counts)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For `ingest --json`."""
        taken_over = {"enrichments": asdict(self.enrichments)} if self.enrichments.read else {}
        return {"gyms": asdict(self.gyms), "reviews": asdict(self.reviews)} | taken_over

    def add_error(self, error: SourceError) -> None:
        """Note that a source cannot be read: the same trouble is met in each pass."""
        if str(error) not in self.errors:
            self.errors.append(str(error))


class Item(NamedTuple):
    """One gym, review or old finding as it was read: `value`, or `reason` why not. `raw` shows it, or `part` of it."""

    raw: RawRow
    value: Gym | Review | LegacyClaims | None = None
    reason: str = ""
    part: Any = None

    def bad(self, reason: str) -> BadRow:
        """It in quarantine."""
        shown = self.raw.row_text if self.part is None else row_text(self.part)
        return BadRow(self.raw.line, reason, shown)


def ingest(
    database: Database,
    sources: Sequence[str],
    kinds: Sequence[Kind] = ("gyms", "reviews"),
    progress: Progress | None = None,
) -> IngestReport:
    """Bring sources into the base tables: first the gyms of all, then the reviews of all.

    Ingesting the same again writes nothing. A source that cannot be read is named in the report's `errors`,
    the others go on. Of rows with one id the first that this ingest meets counts; later ones that say the
    same are unchanged, others are quarantined.

    Args:
        database: where to.
        sources: paths and database URLs, in any order.
        kinds: leave one out to ingest only the other.
        progress: called after every chunk.

    Raises:
        DatabaseError, sqlalchemy.exc.DBAPIError: `database` cannot be used; chunks before are saved.
    """
    report = IngestReport()
    ingest_opened(database, open_all(sources, report), report, kinds, progress)
    return report


def ingest_opened(
    database: Database,
    opened: Sequence[Source],
    report: IngestReport,
    kinds: Sequence[Kind] = ("gyms", "reviews"),
    progress: Progress | None = None,
) -> None:
    """As `ingest`, for sources that are open already; adds what it did to `report`."""
    for kind in ("gyms", "reviews"):
        if kind not in kinds:
            continue
        with Seen() as seen:
            for source in opened:
                run = KindOfSource(database, source, kind, seen, getattr(report, kind), datetime.now(UTC))
                try:
                    run.ingest(progress)
                except SourceError as error:
                    report.add_error(error)


def open_all(specs: Sequence[str], report: IngestReport) -> list[Source]:
    """Those of the sources that can be opened, each once; the others become errors of the report."""
    opened: list[Source] = []
    for spec in dict.fromkeys(specs):
        try:
            opened.append(open_source(spec))
        except SourceError as error:
            report.add_error(error)
    return opened


@dataclass(slots=True)
class KindOfSource:
    """The pass of one kind over one source."""

    database: Database
    source: Source
    kind: Kind
    seen: Seen
    counts: Counts
    now: datetime

    @property
    def rows_per_chunk(self) -> int:
        """Rows of a transaction."""
        return ROWS_PER_CHUNK

    def ingest(self, progress: Progress | None) -> None:
        """All chunks; the lines behind the last one leave quarantine."""
        next_line, done = 1, 0
        for chunk in _chunks(self.source.rows(self.kind), self.rows_per_chunk):
            items = [item for raw in chunk for item in self._items(raw)]
            last_line = chunk[-1].line
            replace_quarantine(self.database, self.source.name, self.kind, next_line, last_line, self._save(items))
            next_line, done = last_line + 1, done + len(items)
            if progress is not None:
                progress(self.kind, self.source.name, done)
        replace_quarantine(self.database, self.source.name, self.kind, next_line, None, [])

    def _items(self, raw: RawRow) -> Iterable[Item]:
        if raw.row is None:
            return (Item(raw, reason=raw.error or "row: cannot be read"),)
        try:
            return self.read(raw, raw.row)
        except RowError as error:
            return (Item(raw, reason=error.reason, part=error.part),)
        except RecursionError:
            return (Item(raw, reason="row: is nested too deeply; expected plain values"),)

    def read(self, raw: RawRow, row: Mapping[str, Any]) -> Iterable[Item]:
        """What there is in a row. Raises RowError for a bad one."""
        if not is_place_details(row):
            return (Item(raw, gym_from_row(row) if self.kind == "gyms" else review_from_row(row, self.now)),)
        if self.kind == "gyms":
            return (Item(raw, gym_from_details(row)),)
        return list(self._reviews_of(raw, row))

    def write(self, pairs: Sequence[tuple[Any, str]]) -> Upserted:
        """Store what was read, each with its content hash, no id twice."""
        return upsert_gyms(self.database, pairs) if self.kind == "gyms" else upsert_reviews(self.database, pairs)

    def _reviews_of(self, raw: RawRow, row: Mapping[str, Any]) -> Iterator[Item]:
        entries = row.get("reviews")
        for number, found in enumerate(reviews_from_details(row, self.now)):
            if isinstance(found, RowError):
                yield Item(raw, reason=found.reason, part=found.part)
            else:
                yield Item(raw, found, part=entries[number] if isinstance(entries, list) else None)

    def _save(self, items: Sequence[Item]) -> list[BadRow]:
        """Write a chunk and count it; returns what belongs into quarantine."""
        bad = [item.bad(item.reason) for item in items if item.value is None]
        good = [(item, item.value, *_key_and_hash(item.value)) for item in items if item.value is not None]
        # The first row of an id is the truth: of this chunk, or of an earlier one.
        truth: dict[str, str] = {}
        for _, _, key, hashed in good:
            truth.setdefault(key, hashed)
        truth |= self.seen.said_before(truth)
        rows: dict[str, tuple[Item, Any, str]] = {}
        for item, value, key, hashed in good:
            if hashed != truth[key]:
                bad.append(item.bad(self._duplicate))
            elif key in rows:
                self.counts.unchanged += 1
            else:
                rows[key] = (item, value, hashed)
        bad += self._upsert(rows)
        self.counts.quarantined += len(bad)
        return bad

    def _upsert(self, rows: Mapping[str, tuple[Item, Any, str]]) -> list[BadRow]:
        result = self.write([(value, hashed) for _, value, hashed in rows.values()])
        self.counts.new += result.new
        self.counts.updated += result.updated
        self.counts.unchanged += result.unchanged
        return _refused(rows, result)

    @property
    def _duplicate(self) -> str:
        field_name = "review_id" if self.kind == "reviews" else "place_id"
        return f"duplicate {field_name}: an earlier line of this ingest says otherwise; expected one row an id"


def _refused(rows: Mapping[str, tuple[Item, Any, str]], result: Upserted) -> list[BadRow]:
    orphans = "place_id: no gym has this id; expected a gym that is stored or in the same ingest"
    moved = "review_id: is stored under another place_id; expected one gym a review"
    return [
        *(rows[key][0].bad(orphans) for key in sorted(result.orphans)),
        *(rows[key][0].bad(moved) for key in sorted(result.moved)),
        *(rows[key][0].bad(reason) for key, reason in sorted(result.refused.items())),
    ]


def _key_and_hash(value: Gym | Review | LegacyClaims) -> tuple[str, str]:
    if isinstance(value, Gym):
        return value.place_id, gym_hash(value)
    if isinstance(value, LegacyClaims):
        return value.place_id, legacy_hash(value)
    return value.review_id, review_hash(value)


def _chunks(rows: Iterator[RawRow], most: int) -> Iterator[list[RawRow]]:
    """Chunks that never part the rows of one line: quarantine is replaced by lines.

    What was read before a source breaks off is given first, then the error.
    """
    chunk: list[RawRow] = []
    size = 0
    try:
        for row in rows:
            full = len(chunk) >= most or size >= BYTES_PER_CHUNK
            if full and row.line != chunk[-1].line:
                yield chunk
                chunk, size = [], 0
            chunk.append(row)
            size += row.size
    except SourceError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
