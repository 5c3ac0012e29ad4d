"""Opens files as streams of bounded lines: plain or gzip, UTF-8 or UTF-16.

What must not live here: what is in a line.
"""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from gym_enrichment.sources.errors import SourceError

LONGEST_LINE = 10 * 1024 * 1024
"""Bytes of a line that are read into memory; a longer line is skipped and quarantined."""
_BLOCK = 1024 * 1024
UNPACKED_FREELY = 100 * 1024 * 1024
"""Bytes that any compressed file may unpack to."""
MOST_RATIO = 200
"""A larger file may not unpack to more than this many times its size. Rows of text reach 5 to 20, a bomb 1,000."""
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, OSError)
"""What reading a damaged or vanished file raises."""


class _Utf16AsUtf8(io.RawIOBase):
    """UTF-16 bytes, read as UTF-8. A lone surrogate stays invalid, so that only its line is refused."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = cast(io.BufferedReader, self._inner).read1(_BLOCK)
            self._ready = self._decoder.decode(block, not block).encode("utf-8", "surrogatepass")
            if not block:
                break
        taken = self._ready[: len(buffer)]
        self._ready = self._ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _Gunzip(gzip.GzipFile):
    """A gzip stream that stops at what no honest file unpacks to."""

    def __init__(self, packed: BinaryIO, name: str) -> None:
        super().__init__(fileobj=packed)
        self._source = name
        self._left = most_unpacked(os.fstat(packed.fileno()).st_size)

    def read(self, size: int | None = -1) -> bytes:
        return self._counted(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._counted(super().read1(size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._counted(super().readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise bomb(self._source)
        return data


def most_unpacked(packed: int) -> int:
    """The most bytes that a compressed file of `packed` bytes may unpack to."""
    return max(UNPACKED_FREELY, MOST_RATIO * packed)


def bomb(name: str) -> SourceError:
    """The error for a file that unpacks to more than that."""
    return SourceError(
        f"{name}: unpacks to more than {MOST_RATIO} times its size, as if made to fill the machine; if it is honest,"
        " unpack it first and name the plain file"
    )


def check_file(path: Path, name: str) -> None:
    """Refuse what is no readable file with something in it.

    Raises:
        SourceError: says which it is.
    """
    try:
        if path.is_dir():
            raise SourceError(f"{name}: is a directory; name a file in it")
        if not path.exists():
            raise SourceError(f"{name}: no such file")
        with path.open("rb") as stream:
            if not stream.read(1):
                raise SourceError(f"{name}: is empty; expected rows")
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: cannot be opened: {_why(error)}") from error


@contextmanager
def open_bytes(path: Path, name: str) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed when its name ends in `.gz`.

    Raises:
        SourceError: it cannot be opened, or is empty; reading raises it when it is a decompression bomb.
    """
    check_file(path, name)
    try:
        plain = path.open("rb")
    except OSError as error:
        raise SourceError(f"{name}: cannot be opened: {_why(error)}") from error
    with plain:
        if path.suffix.lower() == ".gz":
            # No larger buffer around it: filling that would lose what can still be read before a cut.
            yield cast(BinaryIO, _Gunzip(plain, name))
        else:
            yield cast(BinaryIO, plain)


@contextmanager
def open_text_bytes(path: Path, name: str) -> Iterator[BinaryIO]:
    """As `open_bytes`, always in UTF-8 and without a byte order mark.

    Raises:
        SourceError: as `open_bytes`, or the first bytes are damaged.
    """
    with open_bytes(path, name) as stream:
        try:
            # Peeking does not move; files and GzipFile can both do it.
            head = cast(io.BufferedReader, stream).peek(4)[:4]
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                stream = cast(BinaryIO, io.BufferedReader(_Utf16AsUtf8(stream), _BLOCK))
            elif head.startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
        except DAMAGE as error:
            raise damaged(name, 1, error) from error
        yield stream


def bounded_lines(stream: BinaryIO, name: str) -> Iterator[tuple[bytes, bool]]:
    """The lines with their ends, and whether each was cut at `LONGEST_LINE`.

    Raises:
        SourceError: the file is damaged; names the line.
    """
    number = 0
    try:
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            cut = len(line) > LONGEST_LINE and not line.endswith(b"\n")
            if cut:
                line = line[:_BLOCK]
                while (rest := stream.readline(_BLOCK)) and not rest.endswith(b"\n"):
                    pass
            yield line, cut
    except DAMAGE as error:
        raise damaged(name, number + 1, error) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: line {number + 1}: is not UTF-16 to its end: {error.reason}") from error


def damaged(name: str, line: int, error: BaseException, unit: str = "line") -> SourceError:
    """The error for a file that breaks off at a line."""
    return SourceError(f"{name}: {unit} {line}: the file is damaged or cut off here: {_why(error)}")


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
