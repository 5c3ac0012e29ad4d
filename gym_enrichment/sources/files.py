"""Which reader reads a file, by the ending of its name.

What must not live here: the readers (`jsonl`, `delimited`, `parquet`).
"""

from collections.abc import Callable
from pathlib import Path

from gym_enrichment.domain.raw_rows import storable
from gym_enrichment.sources.delimited import Delimited
from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.jsonl import JsonLines
from gym_enrichment.sources.rows import Source
from gym_enrichment.sources.streams import check_file


def _parquet(path: Path, name: str) -> Source:
    # A tenth of a second that only those wait who have such files.
    from gym_enrichment.sources.parquet import Parquet

    return Parquet(path, name)


READERS: dict[str, Callable[[Path, str], Source]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".csv": Delimited,
    ".parquet": _parquet,
}


def open_file(spec: str) -> Source:
    """The source behind a path; known as the path was given.

    Raises:
        SourceError: no such file, a directory, an unknown ending, or nothing in it.
    """
    path, name = Path(spec), storable(spec)
    ending = path.suffix.lower()
    if ending == ".gz":
        ending = Path(path.stem).suffix.lower()
    reader = READERS.get(ending)
    check_file(path, name)
    if reader is None:
        known = " ".join(READERS)
        raise SourceError(f"{name}: the ending {ending or '(none)'} is unknown; expected {known}, each also .gz")
    return reader(path, name)
