"""The data partition gets what its disk has behind it: the table is written, and the kernel told. Nothing of it can stop a boot."""

from __future__ import annotations

import errno
import os
from struct import Struct

from initfs import files, say
from initfs.disk import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.disk.table import Growth

BLOCK = "/sys/class/block"
# linux/blkpg.h; resizing works while other partitions are in use, which reading the table anew (BLKRRPART) does not
BLKPG, RESIZE = 0x1269, 3
_ARGUMENT = Struct("@iiiP")  # operation, flags, length, address of a partition
_PARTITION = Struct("@qqi64s64s0q")  # first byte, bytes, number, two names, and what C puts behind them


def fill(device: str) -> None:
    """Have a partition, /dev/NAME, fill its disk where the table is one that we understand."""
    try:
        disk, sectors, number = whereabouts(os.path.basename(device))
        found = planned(disk, sectors, number)
        if found is not None:
            say.info(f"{device} gets all of {disk}: {found.size * table.SECTOR >> 20} MiB")
            put(disk, found)
            resized(disk, number, found)
    except table.Unclear as why:
        say.info(f"{device} keeps its size: {why}")
    except OSError as error:
        say.warning(f"unable to enlarge {device}: {say.reason(error)}")


def whereabouts(name: str) -> tuple[str, int, int]:
    """A partition's disk, how many sectors that has, and the partition's number. Raises table.Unclear."""
    home = os.path.dirname(os.path.realpath(f"{BLOCK}/{name}"))
    if _number(f"{home}/queue/logical_block_size") != table.SECTOR:
        raise table.Unclear("the disk's sectors have not 512 bytes")
    return f"/dev/{os.path.basename(home)}", _number(f"{home}/size"), _number(f"{BLOCK}/{name}/partition")


def _number(path: str) -> int:
    return int(files.read(path) or 0)


def planned(disk: str, sectors: int, number: int) -> Growth | None:
    """What would make the partition larger. Raises OSError, table.Unclear."""
    fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)

    def read(sector: int, count: int) -> bytes:
        data = os.pread(fd, count * table.SECTOR, sector * table.SECTOR)
        if len(data) != count * table.SECTOR:
            raise OSError(errno.EIO, disk)
        return data

    try:
        return table.growth(read, sectors, number)
    finally:
        os.close(fd)


def put(disk: str, found: Growth) -> None:
    """Write the table, each part on the disk before the next. Raises OSError."""
    fd = os.open(disk, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for sector, data in found.writes:
            os.pwrite(fd, data, sector * table.SECTOR)
            os.fsync(fd)
    finally:
        os.close(fd)


def resized(disk: str, number: int, found: Growth) -> None:
    """Tell the kernel a partition's new size; it must know the partition by this start. Raises OSError."""
    from array import array
    from fcntl import ioctl

    partition = _PARTITION.pack(found.start * table.SECTOR, found.size * table.SECTOR, number, b"", b"")
    held = array("B", partition)
    address, _ = held.buffer_info()
    fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        ioctl(fd, BLKPG, _ARGUMENT.pack(RESIZE, 0, len(held), address))
    finally:
        os.close(fd)
