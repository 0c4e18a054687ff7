"""svdt-clear: forget the deaths of a service. Source: `spec/supervision.md` 1.6."""

from __future__ import annotations

import os

from initfs import say
from initfs.supervise import client, deaths

USAGE = "svdt-clear servicedir"


def main(argv: list[str]) -> int:
    if len(argv) != 2 or argv[1].startswith("-"):
        raise say.usage(USAGE)
    directory = client.locate(argv[1])
    try:
        os.truncate(f"{directory}/{deaths.TALLY}", 0)
    except OSError as error:
        raise say.unable(f"clear the deaths of {directory}", error) from error
    return say.OK
