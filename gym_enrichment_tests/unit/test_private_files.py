"""Files and folders for their owner alone, whatever the umask."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gym_enrichment.storage.private_files import (
    create_private,
    create_private_text,
    make_private_file,
    make_private_folder,
    others_may_read,
)


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_every_folder_that_is_made_is_closed_and_one_that_exists_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path)
    assert [mode(path) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="a"):
            make_private_folder(folder)


@pytest.mark.parametrize(
    "write",
    [lambda path: create_private(path).close(), lambda path: create_private_text(path).close(), make_private_file],
    ids=["bytes", "text", "empty"],
)
def test_a_new_file_is_closed_and_one_that_exists_keeps_its_mode(tmp_path: Path, write: Callable[[Path], None]) -> None:
    for name in ("new", "old"):
        if name == "old":
            (tmp_path / name).touch(0o644)
        write(tmp_path / name)
    assert (mode(tmp_path / "new"), mode(tmp_path / "old")) == (0o600, 0o644)
    assert [others_may_read(tmp_path / name) for name in ("new", "old")] == [False, True]


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    with create_private_text(tmp_path / "a") as file:
        file.write("é\r\n\n")
    make_private_file(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == "é\r\n\n".encode()
