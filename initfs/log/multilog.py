"""multilog: daemontools' logger, a script of words like svlog's, with star patterns that see the stamp.

Source: `spec/logging.md` 2.3 and multilog(8). The promises are svlog's.
"""

from __future__ import annotations

from initfs import files, say, signals, tai
from initfs.log import script
from initfs.log.script import DIRECTORY, STATUS, STDERR, Action, BadScript, Match, Policy, Script
from initfs.log.stream import Stream, Ways
from initfs.log.svlog import serve, started
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initfs.log.route import Lines
    from initfs.log.script import Step

USAGE = "multilog action..."
SIZE_MOST = 16777215
ALERT_SIZE, STATUS_SIZE = 200, 1001


def main(argv: list[str]) -> int:
    words = argv[1:]
    stamped = words[:1] == ["t"]
    try:
        parsed = parse(words[stamped:])
    except BadScript as error:
        raise say.Fatal(say.TEMPORARY, f"unable to understand the script: {error}") from None
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    ways = Ways(0, 0.0, tai.DJB, stamped=stamped)
    return serve(lambda: started(Stream(0, parsed, ways, _pattern)), -1, protected=False)


def parse(words: Sequence[str]) -> Script:
    """The Script of multilog's words; BadScript names the word."""
    if not words:
        raise BadScript("there is no action")
    steps: list[Step] = []
    policy = Policy(count=9)
    for word in words:
        first, rest = word[:1], word[1:]
        if first in ("+", "-"):
            steps.append(Match(rest, first == "+"))
        elif word == "e":
            steps.append(Action(STDERR, size=ALERT_SIZE))
        elif first == "=" and rest:
            steps.append(Action(STATUS, rest, size=STATUS_SIZE))
        elif first in (".", "/"):
            steps.append(Action(DIRECTORY, word, policy=policy))
        elif first in ("s", "n") and rest.isascii() and rest.isdigit():
            size = min(max(int(rest), script.SIZE_LEAST), SIZE_MOST)
            policy = (
                replace(policy, size=size) if first == "s" else replace(policy, count=max(2, int(rest)) - 1)
            )  # current is one of them
        elif first == "!":
            policy = replace(policy, processor=("/bin/sh", "-c", rest) if rest else ())
        else:
            raise BadScript(f"{word or 'an empty word'}: no such action")
    return Script(tuple(steps))


def _pattern(text: str) -> Lines:
    from initfs.log.star import Star

    return Star(text, plus=False)
