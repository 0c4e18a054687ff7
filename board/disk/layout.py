"""The disk image by genimage: its configuration, purely, from a board's [[disks]] table.

Fixed identities (disk, partitions, file system) make the image reproducible and let the target know its own disk.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board.disk import equipment
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from board.model import Board, Disk

MIB = 1 << 20

END = 1  # MiB behind the last one: GPT's second table
TYPES = {"gpt": ('partition-type-uuid = "U"', 'partition-type-uuid = "L"'),
         "mbr": ("partition-type = 0xC", "partition-type = 0x83")}  # fmt: skip
# FAT's own needs: cluster roundings, two tables, directories
SPARE = 2 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A file written outside of all partitions."""

    source: str  # PACKAGE:PATH
    name: str  # of the file that genimage reads
    offset: int  # KiB


def raws(disk: Disk) -> list[Raw]:
    """Read the board's `raw` fields, PACKAGE:PATH@KIB. Raises Failure: one is not like that."""
    found = []
    for number, word in enumerate(disk.raw):
        source, at, offset = word.rpartition("@")
        if not at or not offset.isdecimal():
            raise Failure(f"read raw {word!r}", "it is not PACKAGE:PATH@KIB", usage=True)
        found.append(Raw(source=source, name=f"raw{number}", offset=int(offset)))
    return found


def check(board: Board, disk: Disk) -> None:
    """Refuse a layout that cannot be. Raises Failure."""
    where = f"lay out {disk.chain} of {board.name}"
    if disk.table not in TYPES:
        raise Failure(where, f"table {disk.table!r} is neither gpt nor mbr", usage=True)
    if data_size(disk) < 16:
        raise Failure(
            where, "less than 16 MiB are left for the data partition", "see size and boot", usage=True
        )


def data_size(disk: Disk) -> int:
    """Return the data partition's size, in MiB: what the others leave."""
    return disk.size - disk.start - disk.boot - END


def fits(board: Board, disk: Disk, files: Mapping[str, bytes], slots: int) -> None:
    """Refuse files that are too large for the boot partition, with room for `slots` copies of the largest part."""
    used = sum(len(data) for data in files.values())
    spare = (slots - 1) * used
    need = used + spare + SPARE
    if need > disk.boot * MIB:
        raise Failure(
            f"make {disk.chain}.img of {board.name}",
            f"its boot partition has {disk.boot} MiB, {-(-need // MIB)} MiB are needed",
            f"board/boards/{board.name}.toml: boot and size",
        )


def uuids(board: Board) -> tuple[str, str]:
    """Return the partitions' GUIDs."""
    base = uuid.UUID(equipment.identity(board))
    return str(uuid.uuid5(base, "boot")), str(uuid.uuid5(base, "data"))


def genimage(board: Board, disk: Disk, image: str) -> str:
    """Return genimage's configuration: a FAT of the root path, and the disk with it."""
    boot_type, data_type = TYPES[disk.table]
    boot, data = uuids(board)
    gpt = disk.table == "gpt"
    volume = f"{equipment.signature(board):08x}"
    return f"""image boot.vfat {{
  vfat {{ label = "BOOT" extraargs = "-F 32 -i {volume} --invariant" }}
  size = {disk.boot}M
  mountpoint = "/"
}}
image {image} {{
  size = {disk.size}M
  hdimage {{
    partition-table-type = "{disk.table}"
    align = 1M
    {f'disk-uuid = "{equipment.identity(board)}"' if gpt else f"disk-signature = 0x{volume}"}
  }}
{"".join(raw_partition(raw) for raw in raws(disk))}  partition boot {{
    image = "boot.vfat"
    offset = {disk.start}M
    bootable = {"false" if gpt else "true"}
    {boot_type}
    {f'partition-uuid = "{boot}"' if gpt else ""}
  }}
  partition data {{
    size = {data_size(disk)}M
    {data_type}
    {f'partition-uuid = "{data}"' if gpt else ""}
  }}
}}
"""


def raw_partition(raw: Raw) -> str:
    """Return what puts a file outside of all partitions."""
    return f'  partition {raw.name} {{ in-partition-table = false image = "{raw.name}" offset = {raw.offset}K }}\n'


def packages(disks: Iterable[Disk]) -> list[str]:
    """Return the Debian packages that the host needs to make these images."""
    found = {"genimage", "mtools", "dosfstools", "bmap-tools", "e2fsprogs"}
    for disk in disks:
        found |= {"u-boot-tools"} if disk.environment else set()
        found |= {"u-boot-tools", "device-tree-compiler"} if disk.loader == "fit" else set()
        found |= {"syslinux", "syslinux-common"} if disk.loader == "syslinux" else set()
    return sorted(found)
