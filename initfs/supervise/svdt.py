"""svdt: print the deaths of a service, a line each, oldest first. `svdt dir | tai64nlocal` has them in local time.

Source: `spec/supervision.md` 1.6.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.supervise import client, deaths

USAGE = "svdt [-S|-s] [-n max] servicedir"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "Ssn:", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    most, numeric = deaths.MOST, False
    for option, value in given:
        if option == "n":
            most = options.number(value, USAGE)
        else:
            numeric = option == "s"
    found = read(client.locate(rest[0]))
    for death in found[max(0, len(found) - most) :]:
        print(deaths.line(death, numeric=numeric))
    return say.OK


def read(directory: str) -> list[deaths.Death]:
    """The deaths of a service; none when none was ever recorded. say.Fatal 111 when they can't be read."""
    try:
        os.stat(directory)  # a service that does not exist is not one that never died
        return deaths.decode(files.read(f"{directory}/{deaths.TALLY}", size=deaths.SIZE) or b"")
    except OSError as error:
        raise say.unable(f"read the deaths of {directory}", error) from error
    except ValueError as error:
        raise say.Fatal(say.TEMPORARY, f"unable to read the deaths of {directory}: {error}") from error
