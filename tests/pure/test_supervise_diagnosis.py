"""Why a program could not be started, from its first bytes."""

from __future__ import annotations

import errno
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.supervise.diagnosis import MACHINES, NAMES, Evidence, elf_machine, explain, interpreter


def elf(
    machine: int = 62, *, wide: bool = True, order: str = "<", loader: str = "/lib/ld.so", before: int = 2
) -> bytes:
    """The head of an ELF file with a program header table in which PT_INTERP follows BEFORE others."""
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header, entry = (64, 56) if wide else (52, 32)
    count = before + (1 if loader else 0)
    text_at = header + entry * count
    fields = (2, machine, 1, 0, header, 0, 0, header, entry, count, 0, 0, 0)
    content = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields)
    for _ in range(before):
        content += struct.pack(order + "I", 1) + bytes(entry - 4)
    if loader:
        place = struct.pack(order + ("IIQ" if wide else "II"), 3, *([0, text_at] if wide else [text_at]))
        content += place.ljust(entry, b"\0") + loader.encode() + b"\0"
    return content


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("before", [0, 1, 7])
def test_the_loader_and_the_machine_of_every_kind_of_elf_file(wide: bool, order: str, before: int) -> None:
    # SUP-031 (partly)
    head = elf(8, wide=wide, order=order, before=before)
    assert elf_machine(head) == 8
    assert interpreter(head) == "/lib/ld.so"
    assert interpreter(elf(8, wide=wide, order=order, before=before, loader="")) == ""


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#!/bin/sh\n", "/bin/sh"),
        (b"#! /bin/sh -e\n", "/bin/sh"),
        (b"#!\t/usr/bin/env python3\nrest", "/usr/bin/env"),
        (b"#!/bin/sh", "/bin/sh"),
        (b"#!/bin/sh\r\n", "/bin/sh\r"),
        (b"#!", ""),
        (b"#!\n/bin/sh\n", ""),
        (b"#!/bin/sh\t-e\n", "/bin/sh"),
        (b"", ""),
        (b"#", ""),
        (b"/bin/sh", ""),
    ],
)
def test_the_interpreter_of_a_script(head: bytes, expected: str) -> None:
    # SUP-031 (partly)
    assert interpreter(head) == expected


@pytest.mark.parametrize(
    ("number", "seen", "words"),
    [
        (errno.ENOENT, None, "there is no such file"),
        (errno.EACCES, None, os.strerror(errno.EACCES)),
        (errno.EACCES, Evidence(directory=True, mode=0o040755), "it is a directory"),
        (errno.EACCES, Evidence(mode=0o100644), "not executable"),
        (errno.EACCES, Evidence(mode=0o100755, noexec=True), "noexec"),
        (errno.EACCES, Evidence(mode=0o100644, noexec=True), "noexec"),
        (errno.EACCES, Evidence(mode=0o100755, head=b"#!/etc/passwd\n"), "/etc/passwd may not be run"),
        (errno.EACCES, Evidence(mode=0o100755), os.strerror(errno.EACCES)),
        (
            errno.ENOENT,
            Evidence(head=b"#!/nowhere\n", interpreter_found=False),
            "interpreter '/nowhere' does not exist",
        ),
        (
            errno.ENOENT,
            Evidence(head=elf(loader="/lib/no.so"), interpreter_found=False),
            "loader '/lib/no.so' does not",
        ),
        (errno.ENOENT, Evidence(head=b"#!/bin/sh\n"), "something that its interpreter"),
        (errno.ENOENT, Evidence(head=b"nothing"), os.strerror(errno.ENOENT)),
        (errno.ENOEXEC, Evidence(head=b""), "it is empty"),
        (errno.ENOEXEC, Evidence(head=b"echo hello\n"), "neither a program nor a script"),
        (errno.ENOEXEC, Evidence(head=elf(243), machine="x86_64"), "a program for riscv, this is x86_64"),
        (errno.ENOEXEC, Evidence(head=elf(999), machine="x86_64"), "a program for machine 999"),
        (errno.ENOEXEC, Evidence(head=elf(62), machine="x86_64"), "this kernel does not run"),
        (errno.ENOEXEC, Evidence(head=elf(62), machine="unheard-of"), "this kernel does not run"),
        (errno.ENOMEM, Evidence(head=elf(62)), os.strerror(errno.ENOMEM)),
        (errno.ETXTBSY, Evidence(head=elf(62)), os.strerror(errno.ETXTBSY)),
    ],
)
def test_each_cause_has_its_words(number: int, seen: Evidence | None, words: str) -> None:
    # SUP-031 (partly)
    assert words in explain(number, seen)


@given(
    some.one_of(
        some.binary(max_size=200),
        some.binary(max_size=150).map(lambda rest: b"\x7fELF" + rest),
        some.tuples(some.integers(0, 120), some.binary(min_size=1, max_size=8)).map(
            lambda edit: elf()[: edit[0]] + edit[1] + elf()[edit[0] + len(edit[1]) :]
        ),
        some.integers(0, 300).map(lambda size: elf()[:size]),
    ),
    some.sampled_from([errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ELOOP, errno.E2BIG, errno.ENOTDIR]),
    some.integers(0, 0o7777),
    some.booleans(),
)
def test_no_file_is_too_odd_to_be_explained(head: bytes, number: int, mode: int, found: bool) -> None:
    # SUP-031 (partly)
    words = explain(number, Evidence(head=head, mode=mode, interpreter_found=found, machine="x86_64"))
    assert words
    assert "\n" not in words


def test_every_machine_has_a_name() -> None:
    assert set(MACHINES.values()) == set(NAMES)
