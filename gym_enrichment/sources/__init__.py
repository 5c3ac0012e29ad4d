"""Where gyms and reviews come from: files, databases, Google Places. They are read here, judged in `domain`."""

from gym_enrichment.sources.database import is_database, open_database
from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.files import open_file
from gym_enrichment.sources.rows import Kind, RawRow, Source

__all__ = ["Kind", "RawRow", "Source", "SourceError", "is_database", "open_source"]


def open_source(spec: str) -> Source:
    """The source that a path or a database URL names.

    Raises:
        SourceError: it cannot be opened; the message never repeats a password.
    """
    return open_database(spec) if is_database(spec) else open_file(spec)
