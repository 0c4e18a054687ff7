"""What is on the disk when the power fails: an ext4 is shut down without what it has not written, and mounted again.

EXT4_IOC_SHUTDOWN is what the tests of file systems use for that: from then on nothing reaches the device, not even the journal.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess

import pytest

from tests.process.log_world import Running, archives, content, run, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHUTDOWN, NOT_EVEN_THE_JOURNAL = 0x8004587D, 2  # linux/ext4.h: _IOR('X', 125, __u32)
LINES = b"".join(b"%06d a line that is to outlive the power\n" % number for number in range(4000))


class Disk:
    """An ext4 in a file."""

    def __init__(self, base: Path) -> None:
        self.base, self.path = base, base / "disk"
        with (base / "image").open("wb") as file:
            file.truncate(16 << 20)
        self._do("mkfs.ext4", "-q", base / "image")
        self._mount("image")

    def _do(self, *words: object) -> None:
        if shutil.which(str(words[0])) is None:
            pytest.skip(f"no {words[0]} here")
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{words[0]}: {done.stderr.strip()}")

    def _mount(self, image: str) -> None:
        self.path.mkdir()
        self._do(
            "mount", "-o", "loop,commit=3600", self.base / image, self.path
        )  # synced hourly, or by fsync

    def lose_power(self) -> None:
        """Lose what is only in memory, and mount what is on the disk. (A copy: another namespace may hold the mount.)"""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NOT_EVEN_THE_JOURNAL))
        except OSError:
            pytest.skip("this kernel shuts no file system down")
        finally:
            os.close(fd)
        shutil.copy(self.base / "image", self.base / "after")
        self.unmount()
        self.path = self.base / "booted"
        self._mount("after")

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    found = Disk(tmp_path)
    yield found
    found.unmount()


def test_what_was_rotated_is_there_after_a_power_loss(disk: Disk) -> None:
    # LOG-100 (partly)
    directory = disk.path / "d"
    logger = Running("svlog", "n1000", "s20000", directory)
    logger.write(LINES)
    until(lambda: content(directory) == LINES)
    rotated = b"".join(path.read_bytes() for path in archives(directory))
    assert len(archives(directory)) >= 5
    disk.lose_power()
    logger.kill()
    logger.close_pipe()
    directory = disk.path / "d"
    (directory / "inbox").unlink(
        missing_ok=True
    )  # of another life of the machine, which is the same one here
    assert run("svlog", "n1000", directory).returncode == 0
    found = content(directory)
    assert found.startswith(rotated)
    assert LINES.startswith(found)
    assert found != LINES, "nothing was lost, so no power was cut"


def test_a_copy_that_has_its_name_is_whole_after_a_power_loss(disk: Disk, tmp_path: Path) -> None:
    words = ["n1000", "s20000", f"k{disk.path}/d", str(tmp_path / "memory")]
    assert run("svlog", *words, text=LINES).returncode == 0
    before = {path.name: path.read_bytes() for path in archives(disk.path / "d")}
    assert b"".join(before.values()) == LINES
    (disk.path / "unsynced").write_bytes(LINES)
    disk.lose_power()
    assert {path.name: path.read_bytes() for path in archives(disk.path / "d")} == before
    assert not (disk.path / "unsynced").exists(), "nothing was lost, so no power was cut"
