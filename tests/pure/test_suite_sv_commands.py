"""Our sv: which command a word means, and when a command has had its effect."""

from __future__ import annotations

import pytest

from initfs.supervise.runit import commands
from initfs.supervise.runit.commands import Command
from initfs.supervise.status import DOWN, FINISH, RUN, Status
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def test_a_command_is_known_by_its_word_or_its_first_letter() -> None:
    # RUN-083 (partly)
    assert commands.find("status") == commands.find("s") == commands.find("stat") == commands.STATUS
    assert commands.find("start") == Command("u", "up")
    assert (
        commands.find("up")
        == commands.find("u")
        == commands.find("upside")
        == Command("u", "up", waits=False)
    )
    assert commands.find("exit") == commands.find("x") == commands.find("e")
    assert commands.find("restart") == Command("tcu", "restarted")
    assert [commands.find(word) for word in ("r", "f", "", "y", "3")] == [None] * 5


@pytest.mark.parametrize(
    "goal, now, expected",
    [
        ("up", {"state": RUN, "pid": 5}, commands.IF_CHECK),
        ("up", {"state": FINISH, "pid": 5}, commands.NOT_YET),
        ("up", {}, commands.NOT_YET),
        ("down", {}, commands.DONE),
        ("down", {"state": FINISH, "pid": 5}, commands.NOT_YET),
        ("restarted", {"state": RUN, "pid": 4}, commands.NOT_YET),
        ("restarted", {"state": RUN, "pid": 5, "changed": 9}, commands.IF_CHECK),
        ("restarted", {"state": RUN, "pid": 5, "termed": True}, commands.NOT_YET),
        ("restarted", {"wanted": False}, commands.DONE),
        ("once", {"state": RUN, "pid": 4, "wanted": False}, commands.DONE),
        ("once", {"state": RUN, "pid": 4}, commands.NOT_YET),
        ("once", {"changed": 9}, commands.DONE),
        ("paused", {"state": RUN, "pid": 4, "paused": True}, commands.DONE),
        ("paused", {"state": RUN, "pid": 4}, commands.NOT_YET),
        ("continued", {"state": RUN, "pid": 4, "paused": True}, commands.NOT_YET),
        ("as wanted", {"state": RUN, "pid": 4}, commands.IF_CHECK),
        ("as wanted", {"state": RUN, "pid": 4, "wanted": False}, commands.IF_CHECK),
        ("as wanted", {"state": RUN, "pid": 4, "wanted": False, "termed": True}, commands.NOT_YET),
        ("as wanted", {"wanted": False}, commands.DONE),
        ("as wanted", {}, commands.NOT_YET),
        ("gone", {}, commands.NOT_YET),
        ("gone", None, commands.DONE),
        ("up", None, commands.NOT_YET),
        ("sent", {}, commands.DONE),
    ],
)
def test_when_a_command_has_had_its_effect(goal: str, now: dict[str, Any] | None, expected: str) -> None:
    # RUN-083 (partly)
    down = Status(DOWN, 0, True, False, False, False, True, 0, 1)
    before = replace(down, state=RUN, pid=4)
    assert commands.done(goal, before, None if now is None else replace(down, **now)) == expected
