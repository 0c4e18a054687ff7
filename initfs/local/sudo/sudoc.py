"""sudoc: ask the server at descriptors 6 and 7 to run its program with our arguments, environment and descriptors; exit as it did.

Source: `spec/localservices.md` 5.5.
"""

from __future__ import annotations

import os

from initfs import loop, say
from initfs.local import ipcclient, sockets
from initfs.local.sudo import client, protocol
from initfs.local.wire import Malformed
from initfs.options import number, parse

USAGE = "sudoc [-e] [-t ms] [-T ms] [argument...]"
OPTIONS = "et:T:"


def main(argv: list[str]) -> int:
    found, arguments = parse(argv[1:], OPTIONS, USAGE)
    given = dict(found)
    variables = [] if "e" in given else [name + b"=" + text for name, text in os.environb.items()]
    try:
        reading, writing = (sockets.of(fd) for fd in (ipcclient.READING, ipcclient.WRITING))
    except OSError as error:
        raise say.unable("use the connection at descriptors 6 and 7", error, say.USAGE) from error
    start_by, limit = (number(given.get(letter, "0"), USAGE) / 1000 or loop.NEVER for letter in "tT")
    now = loop.now()
    try:
        status = client.run(
            reading,
            writing,
            list(map(os.fsencode, arguments)),
            variables,
            (0, 1, 2),
            now + start_by,
            now + limit,
        )
    except client.Refused as error:
        raise say.unable("have the program started", error) from error
    except ConnectionError as error:
        raise say.unable("be served", error, say.NO) from error
    except TimeoutError as error:
        raise say.unable("be served in time", error, say.TIMED_OUT) from error
    except OSError as error:
        raise say.unable("talk to the server", error) from error
    except (Malformed, ValueError) as error:
        raise say.Fatal(say.TEMPORARY, f"unable to talk to the server: {error}") from error
    return protocol.exit_code(status)
