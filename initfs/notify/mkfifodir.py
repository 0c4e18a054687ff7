"""mkfifodir, cleanfifodir: make a fifodir, public or for one group; remove the FIFOs that nobody reads any more.

Source: `spec/notification.md` 4.4.
"""

from __future__ import annotations

from initfs import say
from initfs.notify import fifodir
from initfs.options import number, parse

USAGE = "mkfifodir [-f] [-g gid] fifodir | cleanfifodir fifodir"


def main(argv: list[str]) -> int:
    makes = argv[0] == "mkfifodir"
    options, rest = parse(argv[1:], "fg:" if makes else "", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    given = dict(options)
    gid = number(given["g"], USAGE) if "g" in given else None
    try:
        if makes:
            mode = fifodir.PUBLIC if gid is None else fifodir.RESTRICTED
            fifodir.make(rest[0], gid=gid, mode=mode, force="f" in given)
        else:
            fifodir.clean(rest[0])
    except OSError as error:
        raise say.unable(f"{'make' if makes else 'clean'} {rest[0]}", error) from error
    return say.OK
