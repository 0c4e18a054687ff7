"""rc-pipes: take the ends of a pipeline from the descriptor holder, and become the longrun that they are for.

-r is the identifier of what it reads as its standard input, -w of what it writes as its standard output. As the holder keeps them too,
neither the death of a producer nor of its consumer breaks the pipe. Source: `spec/service-manager.md` 6.3.
"""

from __future__ import annotations

import os

from initfs import loop, options, process, say
from initfs.local.fdholder import client
from initfs.manager.model import FDHOLDER

USAGE = "rc-pipes [-r id] [-w id] program..."
HOLDER = f"../{FDHOLDER}/s"
PATIENCE = 30.0  # seconds


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "r:w:", USAGE)
    if not rest:
        raise say.usage(USAGE)
    until = loop.now() + PATIENCE
    for letter, identifier in given:
        try:
            with client.connect(HOLDER, until) as holder:
                fd = holder.retrieve(os.fsencode(identifier))
        except OSError as error:
            raise say.unable(f"get {identifier} from the descriptor holder", error) from error
        os.dup2(fd, 0 if letter == "r" else 1)
    raise process.execute(rest)
