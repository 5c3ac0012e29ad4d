"""A real, small disk: a tmpfs in a mount namespace of its own, which processes can be started in.

What must not live here: what is written on it.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """A disk that only processes within `inside` see; seen from outside below `outside`."""

    mount: Path
    holder: int

    @property
    def outside(self) -> Path:
        return Path(f"/proc/{self.holder}/root{self.mount}")

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command`, where the disk is."""
        enter = ["nsenter", f"--target={self.holder}", "--user", "--mount", "--preserve-credentials"]
        return [*enter, f"--wd={Path.cwd()}", *command]

    def fill(self, leaving: int) -> Path:
        """Put a file on it that leaves so many KiB free."""
        filler = self.outside / "filler"
        free = int(subprocess.check_output(["df", "--output=avail", str(self.outside)]).split()[-1])
        filler.write_bytes(b"\0" * 1024 * max(0, free - leaving))
        return filler


@contextmanager
def small_disk(mount: Path, kib: int) -> Iterator[SmallDisk]:
    """A disk of so many KiB at `mount`; needs no root where user namespaces are allowed."""
    mount.mkdir()
    script = 'mount -t tmpfs -o size="$1"k none "$0" && echo mounted && exec cat'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(mount), str(kib)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"mounted\n", "no disk can be mounted here"
            yield SmallDisk(mount, process.pid)
        finally:
            process.stdin.close()
