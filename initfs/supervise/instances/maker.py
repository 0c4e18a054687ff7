"""instance-maker: write an instanced service, a service directory or sources for the service manager.

Source: `spec/supervision.md` 1.10. On failure, what has been written stays: the caller knows whether it was wanted.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import identity
from initfs.supervise import scripts
from initfs.supervise.instances import layout, logs
from initfs.supervise.instances.create import copy_tree

USAGE = (
    "instance-maker [-c max] [-r service[/logger[/pipeline]]] [-u user] [-l loguser] [-L logdir]"
    " [-t 0|1|2|3] [-n files] [-s size] [-S total] [-P prefix] template dir"
)
MOST, LEAST_MOST, MOST_MOST = 500, 2, 90000


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "c:u:L:" + logs.LETTERS, USAGE)
    given = dict(found)
    if len(rest) != 2:
        raise say.usage(USAGE)
    most = options.number(given.get("c", str(MOST)), USAGE)
    if not LEAST_MOST <= most <= MOST_MOST:
        raise say.Fatal(say.USAGE, f"the number of instances must be from {LEAST_MOST} to {MOST_MOST}")
    kept = logs.log(given, USAGE)
    names = logs.sources(given["r"], USAGE) if "r" in given else None
    if names and bool(names.logger) != ("L" in given):
        raise say.Fatal(say.USAGE, "a logger needs both its name in -r and its directory in -L")
    template, directory = rest
    user = logs.account(given["u"]) if "u" in given else ""
    try:
        doubled = os.path.isdir(f"{template}/log")
        run = scripts.nested(user, 2 * most if doubled else most)
        service = {"run": run, "notification-fd": "3\n"}
        made = logs.write_pair(directory, service, logger(given, kept), names)
        fill(made, template, user)
    except OSError as error:
        raise say.unable(f"write {directory}", error) from error
    return say.OK


def logger(given: dict[str, str], kept: scripts.Log) -> str:
    """The logger's run script, or "" without -L."""
    if "L" not in given:
        return ""
    user = logs.account(given["l"]) if "l" in given else ""
    return scripts.logger(kept.directives(), logs.absolute(given["L"], "the log directory"), user)


def fill(service: str, template: str, user: str) -> None:
    """The directories of an instanced service; those that its svscan writes to belong to USER."""
    copy_tree(template, f"{service}/{layout.TEMPLATE}")
    for name in (layout.LIVE, layout.COPIES):
        os.mkdir(f"{service}/{name}", 0o755)
    owner = identity.user(user) if user and os.geteuid() == 0 else None
    if owner:
        for name in (layout.LIVE, layout.COPIES):
            os.chown(f"{service}/{name}", *owner)
    elif user:
        say.warning(f"{service}/{layout.LIVE} and {layout.COPIES} must be given to {user}")
