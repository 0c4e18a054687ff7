"""envdir: set environment variables from a directory of files, one variable each.

Source: `spec/chainloading.md` 3.1; without options it does what daemontools' envdir does.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = "envdir [-I | -i] [-n] [-f] [-L] [-c character] directory prog..."
CLAMP = 4095
BLANKS = b" \t\r"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "IinfLc:", USAGE)
    given = dict(found)
    if len(rest) < 2 or given.get("c") == "":
        raise say.usage(USAGE)
    loose = [letter for letter, _ in found if letter in "Ii"][-1:] == ["I"]
    nul = os.fsencode(given.get("c", "\n"))[:1]
    try:
        change(
            {
                name: value(content, whole="f" in given, keep="n" in given, nul=nul)
                for name, content in contents(rest[0], None if "L" in given else CLAMP).items()
            }
        )
    except OSError as error:
        if not (loose and isinstance(error, FileNotFoundError) and error.filename == rest[0]):
            raise say.unable(f"read {error.filename or rest[0]}", error) from None
    return chain.run(rest[1:], USAGE)


def value(
    content: bytes, *, whole: bool = False, keep: bool = False, nul: bytes = b"\n", blanks: bytes = BLANKS
) -> bytes | None:
    """The value that a file's content means; None means that the variable is to be removed.

    The first line without trailing blanks; WHOLE: all lines, without the last newline; KEEP keeps the blanks, and with
    WHOLE that newline.
    """
    if not content:
        return None
    if whole:
        line = content if keep else content.removesuffix(b"\n")
    else:
        line = content.partition(b"\n")[0]
        line = line if keep else line.rstrip(blanks)
    return line.replace(b"\0", nul)


def contents(
    directory: str,
    size: int | None,
    *,
    directories: bool = False,
    judge: Callable[[int], None] | None = None,
) -> dict[bytes, bytes]:
    """The content, of at most SIZE bytes, of each file that may be a variable. DIRECTORIES: these are no error.

    JUDGE sees each file's descriptor before it is read, and raises OSError to refuse all.
    """
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names = [os.fsencode(name) for name in os.listdir(at)]
        found = {}
        for name in names:
            if name.startswith(b".") or b"=" in name:
                continue
            try:
                found[name] = _content(name, at, size, judge)
            except OSError as error:
                if not (directories and isinstance(error, IsADirectoryError)):
                    raise OSError(error.errno, error.strerror, f"{directory}/{os.fsdecode(name)}") from None
        return found
    finally:
        os.close(at)


def _content(name: bytes, at: int, size: int | None, judge: Callable[[int], None] | None) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)  # a FIFO must not hang us
    content = b""
    try:
        if judge is not None:
            judge(fd)
        while size is None or len(content) < size:
            piece = os.read(fd, 65536 if size is None else size - len(content))
            if not piece:
                break
            content += piece
    except BlockingIOError:  # a FIFO into which nobody has written
        return content
    finally:
        os.close(fd)
    return content


def change(values: dict[bytes, bytes | None]) -> None:
    """Set these variables, and remove those whose value is None."""
    for name, new in values.items():
        if new is None:
            os.environb.pop(name, None)
        else:
            os.environb[name] = new
