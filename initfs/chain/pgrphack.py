"""pgrphack: a new session. That this process leads a group already is, as in daemontools, no reason to stop.

Source: `spec/chainloading.md` 3.4.
"""

from __future__ import annotations

import os

from initfs.chain import next as chain
from initfs.options import parse

USAGE = "pgrphack prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if rest:
        new_session()
    return chain.run(rest, USAGE)


def new_session() -> None:
    """setsid(2), and content with the group that we lead if that fails."""
    try:
        os.setsid()
    except PermissionError:
        return
