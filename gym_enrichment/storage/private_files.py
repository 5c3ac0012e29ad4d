"""Files and folders for their owner alone: reviews and answers are nobody else's business on a shared machine.

What exists keeps its mode: who opened it to a group meant it. What must not live here: what is in them.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, with mode 0700. Raises OSError when that cannot be done."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        # mkdir's own `parents` would give the upper ones the default mode.
        missing.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600; one that exists is not even opened.

    Who closes any descriptor of an SQLite file gives up all locks that the process holds on it (sqlite.org,
    "How To Corrupt An SQLite Database File", 2.2): its other connections would then read what is long gone.
    """
    with suppress(FileExistsError):
        os.close(_open_for_owner(str(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def create_private(path: Path) -> BinaryIO:
    """A file to write bytes to, emptied if it exists, with mode 0600 if it is new."""
    return open(path, "wb", opener=_open_for_owner)


def create_private_text(path: Path) -> TextIO:
    """As `create_private`, for UTF-8 with line ends as they are written."""
    return open(path, "w", encoding="utf-8", newline="", opener=_open_for_owner)


def others_may_read(path: Path) -> bool:
    """Whether its mode lets the group or anybody in. Raises OSError when there is no such file."""
    return bool(path.stat().st_mode & 0o077)


def _open_for_owner(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
