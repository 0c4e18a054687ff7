"""boot-record: keep the record of boots on a partition that survives. Called by rc.init, rc.healthy and rc.shutdown.

`begin` exits 1 when the last boots in a row did not become healthy: then this one is to be a failsafe one.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.pid1 import boots, previous

USAGE = "boot-record begin|healthy|end directory [reason]"
NAME, LINES = "boots", "last-lines"


def main(argv: list[str]) -> int:
    if len(argv) not in (3, 4) or argv[1] not in ("begin", "healthy", "end"):
        raise say.usage(USAGE)
    path = f"{argv[2]}/{NAME}"
    try:
        os.makedirs(argv[2], exist_ok=True)
        before = boots.decode(files.read(path) or b"")
        if argv[1] == "begin":
            return begin(path, before)
        if argv[1] == "healthy":
            write(path, boots.healthy(before))
            return say.OK
        write(f"{argv[2]}/{LINES}", previous.tail())
        write(path, boots.end(before, argv[3] if len(argv) > 3 else "somebody asked for it"))
    except OSError as error:
        raise say.unable(f"keep the record {path}", error) from error
    return say.OK


def begin(path: str, before: boots.Record) -> int:
    """A boot begins: tell of the last one, unless something that knows better has."""
    record, why, failsafe = boots.begin(before)
    write(path, record)
    if files.read(previous.FILE) is None:
        why = previous.why(previous.read(), watchdog=False) or why
        files.write(previous.FILE, f"{why}\n".encode())
        say.info(f"previous boot ended because: {why}")
    return say.NO if failsafe else say.OK


def write(path: str, content: boots.Record | bytes) -> None:
    """Replace the file such that a power cut leaves the old one or the new one: written out, then renamed, then that written out."""
    data = content if isinstance(content, bytes) else boots.encode(content)
    new = f"{path}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
