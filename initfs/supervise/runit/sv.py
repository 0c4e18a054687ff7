"""sv: the commands of runit for services of ours, and of a real runsv.

Source: `spec/supervision.md` 1.9. Called by another name, as a link in init.d, it controls the service of that name and has the exit
codes of the LSB.
"""

from __future__ import annotations

import os
import sys

from initfs import options, say
from initfs.loop import now
from initfs.supervise import client
from initfs.supervise.runit import commands
from initfs.supervise.runit.sight import AGAIN, Gone, Sight, Trouble, Waiting, eye
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.loop import Loop
    from initfs.supervise.runit.commands import Command

USAGE = "sv [-v] [-w sec] command service..."
PATIENCE = 7  # seconds, without -w and SVWAIT
MOST_FAILURES = 99
GOOD, FAILED, DOWN, UNKNOWN = 0, 1, 3, 4  # results of one service; the last two are those of a status only
LSB_USAGE, LSB_ERROR = 2, 151


@value
class Request:
    """A command for services, and how it is to be given."""

    command: Command
    names: list[str]
    waits: bool
    patience: int  # seconds


def main(argv: list[str]) -> int:
    name = os.path.basename(argv[0])
    if name == "sv":
        asked = request(argv[1:], USAGE)
        return min(sum(result not in (GOOD, DOWN) for result in run(asked)), MOST_FAILURES)
    line = f"{name} [-w sec] command"
    try:
        asked = request([*argv[1:], "--", name] if "--" not in argv else [*argv[1:], name], line)
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return LSB_USAGE
    except OSError as error:
        say.fatal(say.reason(error))
        return LSB_ERROR
    return run(asked)[0]


def request(arguments: list[str], line: str) -> Request:
    """The Request of a command line; say.Fatal 100 for a wrong one."""
    given, rest = options.parse(arguments, "vw:", line)
    rest = [word for word in rest if word != "--"]
    if len(rest) < 2 or commands.find(rest[0]) is None:
        raise say.usage(line)
    command = commands.find(rest[0])
    assert command is not None
    text = os.environ.get("SVWAIT", "")
    patience = int(text) if text.isascii() and text.isdigit() else PATIENCE
    for option, word in given:
        if option == "w":
            patience = options.number(word, line)
    return Request(command, rest[1:], command.waits or bool(given), patience)


def locate(name: str) -> str:
    """The directory of a service: a name that is no path is one in $SVDIR."""
    if name.startswith((".", "/")) or name.endswith("/"):
        return name
    return os.path.join(os.environ.get("SVDIR", client.SVDIR), name)


def run(asked: Request) -> list[int]:
    """Give the command to all services first, then wait for each; returns the result of each."""
    if asked.command is commands.STATUS:
        return [show(name) for name in asked.names]
    deadline = now() + asked.patience
    loop = eye()
    acts = [Act(name, asked, loop) for name in asked.names]
    return [act.wait(deadline) for act in acts]


def tell(text: str) -> None:
    print(text)
    sys.stdout.flush()


def show(name: str) -> int:
    """Print the status of a service and of its logger."""
    try:
        sight = Sight(name, locate(name))
        text = sight.words()
        result = DOWN if text.startswith("down") else GOOD
    except Trouble as trouble:
        tell(f"{trouble.kind}: {name}: {trouble}")
        return UNKNOWN
    except Gone:
        tell(f"fail: {name}: runsv not running")
        return FAILED
    if os.path.isdir(f"{sight.directory}/log"):
        text += f"; {logger(sight.directory)}"
    tell(text)
    return result


def logger(directory: str) -> str:
    """The state of a service's logger, in words."""
    try:
        return Sight("log", f"{directory}/log").words()
    except Trouble as trouble:
        return f"{trouble.kind}: log: {trouble}"
    except Gone:
        return "fail: log: runsv not running"


class Act:
    """A command given to one service, and what comes of it."""

    def __init__(self, name: str, asked: Request, loop: Loop) -> None:
        self._loop = loop
        self._name, self._command, self._waits = name, asked.command, asked.waits
        self._result: int | None = None
        self._said = ""
        self._guard(self._send)

    def wait(self, deadline: float) -> int:
        """The result, once it is known and said."""
        if self._result is None:
            self._guard(lambda: self._await(deadline))
        if self._said:
            tell(self._said)
        return FAILED if self._result is None else self._result

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Trouble as trouble:
            self._settle(FAILED, trouble.kind, f"{self._name}: {trouble}")
        except Gone:
            fine = self._command.goal == "gone"
            self._settle(
                GOOD if fine else FAILED, "ok" if fine else "fail", f"{self._name}: runsv not running"
            )

    def _settle(self, result: int, kind: str, text: str) -> None:
        self._result = result
        if self._waits or result != GOOD:
            self._said = f"{kind}: {text}"

    def _send(self) -> None:
        self._sight = Sight(self._name, locate(self._name))
        self._before = self._sight.status()
        self._waiting = Waiting(self._sight, self._loop) if self._waits else None
        self._sight.send(self._command.letters)
        if self._waiting is None:
            self._result = GOOD

    def _await(self, deadline: float) -> None:
        assert self._waiting is not None
        with self._waiting as waiting:
            if waiting.reach(self._command.goal, self._before, deadline):
                self._arrived()
            else:
                self._late(waiting)

    def _arrived(self) -> None:
        if self._command.goal == "gone":
            raise Gone
        self._settle(GOOD, "ok", self._sight.words())

    def _late(self, waiting: Waiting) -> None:
        """It took too long: say so, and kill it if that was asked for."""
        self._settle(FAILED, "kill" if self._command.kills else "timeout", self._sight.words())
        if self._command.kills:
            self._sight.send("k")
            waiting.reach(self._command.goal, self._before, now() + AGAIN)
