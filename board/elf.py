"""What the builder asks of ELF files: the loader and libraries they need, and a section's bytes.

Source: elf(5). Both word sizes and byte orders; nothing is executed, and no tool for the target is needed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"\x7fELF"
LOAD, DYNAMIC, INTERP = 1, 2, 3  # p_type
NEEDED, STRTAB = 1, 5  # d_tag


@dataclass(frozen=True, slots=True)
class Part:
    """A program header or section header, as far as it matters: where in the file, where in memory."""

    kind: int
    name: int  # sections: offset of the name in the table of names
    offset: int
    address: int
    size: int


class Elf:
    """A reader over an ELF file's bytes. Raises ValueError if they are not an ELF file's."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != MAGIC or len(data) < 52:
            raise ValueError("not an ELF file")
        self.data = data
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        self.machine: int = self.read("H", 18)[0]

    def read(self, form: str, offset: int) -> tuple[int, ...]:
        """Unpack at an offset in the file's byte order."""
        return struct.unpack_from(self.order + form, self.data, offset)

    def programs(self) -> list[Part]:
        """Return the program headers."""
        start = self.read("Q", 32)[0] if self.wide else self.read("I", 28)[0]
        size, count = self.read("HH", 54 if self.wide else 42)
        return [self.program(start + i * size) for i in range(count)]

    def program(self, at: int) -> Part:
        """Read one program header."""
        if self.wide:
            kind, _, offset, address, _, size = self.read("IIQQQQ", at)
        else:
            kind, offset, address, _, size = self.read("IIIII", at)
        return Part(kind, 0, offset, address, size)

    def interpreter(self) -> str:
        """Return the path of the dynamic loader, or nothing for libraries and static programs."""
        for part in self.programs():
            if part.kind == INTERP:
                return self.data[part.offset : part.offset + part.size].rstrip(b"\0").decode()
        return ""

    def needed(self) -> list[str]:
        """Return the names (DT_NEEDED) of the libraries it is linked with."""
        programs = self.programs()
        dynamic = next((part for part in programs if part.kind == DYNAMIC), None)
        if dynamic is None:
            return []
        form, step = ("qQ", 16) if self.wide else ("iI", 8)
        entries = [self.read(form, dynamic.offset + at) for at in range(0, dynamic.size, step)]
        strings = next((value for tag, value in entries if tag == STRTAB), 0)
        table = next(
            p.offset + strings - p.address
            for p in programs
            if p.kind == LOAD and p.address <= strings < p.address + p.size
        )
        return [self.text(table + value) for tag, value in entries if tag == NEEDED]

    def text(self, at: int) -> str:
        """Return the NUL-terminated text at an offset."""
        return self.data[at : self.data.index(b"\0", at)].decode()

    def section(self, name: str) -> bytes:
        """Return a section's bytes, empty if there is none of that name."""
        start = self.read("Q", 40)[0] if self.wide else self.read("I", 32)[0]
        size, count, names = self.read("HHH", 58 if self.wide else 46)
        sections = [self.header(start + i * size) for i in range(count)]
        for part in sections:
            if self.text(sections[names].offset + part.name) == name:
                return self.data[part.offset : part.offset + part.size]
        return b""

    def header(self, at: int) -> Part:
        """Read one section header."""
        form = "IIQQQQ" if self.wide else "IIIIII"
        name, kind, _, address, offset, size = self.read(form, at)
        return Part(kind, name, offset, address, size)
