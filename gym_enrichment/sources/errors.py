"""What goes wrong with a source as a whole; what is wrong with one row is said by the row."""


class SourceError(Exception):
    """A source cannot be read, or not to its end; the message names it, says why and what is expected."""
