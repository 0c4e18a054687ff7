"""exec: run a program, perhaps under another name (-a), as a login shell (-l), or without an environment (-c).

Source: `spec/chainloading.md` 3.8. A renamed program is always executed, even if it is a loader of ours: its name is how it knows what to be.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "exec [-c] [-l] [-a name] prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "cla:", USAGE)
    given = dict(found)
    if not rest or given.get("a") == "":
        raise say.usage(USAGE)
    if "c" in given:
        os.environ.clear()
    name = ("-" if "l" in given else "") + given.get("a", rest[0])
    if name == rest[0]:
        return chain.run(rest, USAGE)
    raise chain.execute(rest[0], [name, *rest[1:]])
