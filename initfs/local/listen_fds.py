"""listen-fds: hand descriptors to a daemon that expects them as systemd's socket activation gives them, sd_listen_fds(3).

    fdholder-retrieve /run/fdholder/s unix:/run/web/s listen-fds -n web daemon

They become 3, 4, ... in the order of -f, and LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES say so. What was below 3 is /dev/null then.
"""

from __future__ import annotations

import fcntl
import os

from initfs import files, say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "listen-fds [-f fd,...] [-n name:...] prog..."
FIRST = 3  # SD_LISTEN_FDS_START


def main(argv: list[str]) -> int:
    found, program = parse(argv[1:], "f:n:", USAGE)
    given = dict(found)
    if not program:
        raise say.usage(USAGE)
    numbers = [descriptors.number(word, USAGE) for word in given.get("f", "0").split(",")]
    names = given["n"].split(":") if "n" in given else []
    if len(set(numbers)) != len(numbers) or len(names) not in (0, len(numbers)):
        raise say.usage(USAGE)
    place(numbers)
    os.environ["LISTEN_FDS"] = str(len(numbers))
    os.environ["LISTEN_PID"] = str(os.getpid())
    if names:
        os.environ["LISTEN_FDNAMES"] = ":".join(names)
    else:
        os.environ.pop("LISTEN_FDNAMES", None)
    files.have_standard_descriptors()
    return chain.run(program, USAGE)


def place(numbers: list[int]) -> None:
    """Move these descriptors to 3, 4, ..., in this order. Raises Fatal 111."""
    try:
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST + len(numbers)) for fd in numbers]
        for fd in numbers:
            os.close(fd)
        for index, copy in enumerate(copies):
            os.dup2(copy, FIRST + index)
            os.close(copy)
    except OSError as error:
        raise say.unable("place the descriptors", error) from error
