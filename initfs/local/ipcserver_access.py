"""ipcserver-access: between a server and its program, decide who may connect, by rules. Source: `spec/localservices.md` 5.3."""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.local import checking, sockets

USAGE = checking.USAGE


def main(argv: list[str]) -> int:
    passed = checking.Check(argv).judge(dict(os.environ), lambda: sockets.own_path(0))
    if passed is None:
        return say.NO
    become(passed.environment)
    return chain.run(passed.program, USAGE)


def become(environment: dict[str, str]) -> None:
    """Have this environment and no other variable."""
    for name in set(os.environ) - environment.keys():
        del os.environ[name]
    for name, content in environment.items():
        if os.environ.get(name) != content:
            os.environ[name] = content
