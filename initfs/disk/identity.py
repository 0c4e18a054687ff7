"""Which disk is ours, told by its first sectors: the GUID of a GPT, else the signature of an MBR. Pure.

Sources: UEFI Specification 2.10, 5.3.2 (GPT header); the MBR has its signature at 440.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = 1024  # bytes: the MBR, and the GPT's header behind it
SECTOR = 512
_GPT = b"EFI PART"
_64BIT = 0x80  # an ext4's feature: it may have more than 2^32 blocks
_LARGEST = 6  # of its block sizes, 1024 << 6
_SUPERBLOCK, _MAGIC = 1024, b"\x53\xef"  # of ext2, ext3 and ext4: where it is, what it has at 56


def identity(head: bytes) -> str:
    """The GUID, or the signature as eight hexadecimal digits, in a disk's first HEAD bytes; "" when there is no table."""
    if len(head) < HEAD or head[510:512] != b"\x55\xaa":
        return ""
    if head[SECTOR : SECTOR + 8] != _GPT:
        return f"{int.from_bytes(head[440:444], 'little'):08x}"
    raw = head[SECTOR + 56 : SECTOR + 72]
    # the first three fields are little-endian numbers, the rest are bytes
    words = (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16])
    return "-".join(word.hex() for word in words)


def ours(head: bytes, wanted: str) -> bool:
    """Whether a disk that begins so is the one WANTED, a GUID: an MBR has room for its first part only."""
    found = identity(head)
    return bool(found) and found in (wanted, wanted[:8])


def settings(text: str) -> Mapping[str, str]:
    """The variables of a shell fragment of plain assignments (/etc/initfs/board)."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return {name: value.strip("'") for name, _, value in pairs}


def content(start: bytes) -> str:
    """What a partition that begins with START has: `blank`, `ext4`, or `unknown`."""
    if start[_SUPERBLOCK + 56 : _SUPERBLOCK + 58] == _MAGIC:
        return "ext4"
    return "unknown" if start.strip(b"\0") else "blank"


def extent(start: bytes) -> int:
    """The bytes that an ext4 takes of its partition, which begins with START; 0 when that is damaged.

    Source: struct ext4_super_block of Linux.
    """
    block = start[_SUPERBLOCK : _SUPERBLOCK + 1024]
    low, high, log, features = (int.from_bytes(block[at : at + 4], "little") for at in (4, 0x150, 24, 0x60))
    if log > _LARGEST:
        return 0
    return (low + (high << 32 if features & _64BIT else 0)) << (10 + log)
