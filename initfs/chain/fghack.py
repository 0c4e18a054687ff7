"""fghack: stay in the foreground for a program that puts itself into the background.

Source: `spec/chainloading.md` 3.6. The program inherits many copies of a pipe's end without knowing; when the last one is
closed, the last of its processes is gone. Obsolescent: a program that closes all its descriptors escapes.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import child
from initfs.options import parse

USAGE = "fghack prog..."
COPIES = 30
WRITTEN = 102


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if not rest:
        raise say.usage(USAGE)
    reader, writer = os.pipe()

    def inherit() -> None:
        os.close(reader)
        os.set_inheritable(writer, True)
        for _ in range(COPIES - 1):
            os.set_inheritable(os.dup(writer), True)

    pid = child.start(rest, USAGE, inherit)
    os.close(writer)
    if os.read(reader, 1):
        raise say.Fatal(WRITTEN, "the program wrote to a descriptor that it does not know of")
    return child.relay(os.waitpid(pid, 0)[1])
