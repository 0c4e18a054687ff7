"""usertree-maker: write a service that runs a supervision tree as an ordinary user, with a logger for it.

Source: `spec/supervision.md` 1.11. Neither the user's scan directory nor the log directory is made.
"""

from __future__ import annotations

from initfs import options, say
from initfs.supervise import scripts
from initfs.supervise.instances import logs

USAGE = (
    "usertree-maker [-d userscandir] [-p path] [-E envdir [-e var]...] [-r service/logger[/pipeline]] [-l loguser]"
    " [-t 0|1|2|3] [-n files] [-s size] [-S total] [-P prefix] user logdir dir"
)
SCANDIR, PATH, LOGUSER = "${HOME}/service", "/usr/bin:/bin", "root"
MOST_NAMES = 64


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "d:p:E:e:" + logs.LETTERS, USAGE)
    given, variables = dict(found), [text for letter, text in found if letter == "e"]
    if len(rest) != 3 or (variables and "E" not in given) or len(variables) > MOST_NAMES:
        raise say.usage(USAGE)
    user, logdir, directory = logs.account(rest[0]), logs.absolute(rest[1], "the log directory"), rest[2]
    for name in variables:
        if not name.isascii() or not name.isidentifier():
            raise say.Fatal(say.USAGE, f"invalid variable name: {name!r}")
    names = logs.sources(given["r"], USAGE) if "r" in given else None
    if names and not names.logger:
        raise say.usage(USAGE)
    run = scripts.user_tree(
        user, given.get("d", SCANDIR), given.get("p", PATH), given.get("E", ""), variables
    )
    loguser = logs.account(given.get("l", LOGUSER))
    logger = scripts.logger(logs.log(given, USAGE).directives(), logdir, loguser)
    try:
        logs.write_pair(directory, {"run": run, "notification-fd": "3\n"}, logger, names)
    except OSError as error:
        raise say.unable(f"write {directory}", error) from error
    return say.OK
