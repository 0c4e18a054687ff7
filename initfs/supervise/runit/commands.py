"""sv's commands as values: what is sent, and when it has had its effect. Pure.

Source: `spec/supervision.md` 1.9, `facts/peers.md` 7.1. A restart is told from the life before it by the stamp of the
status file, not by the clock of whoever asks.
"""

from __future__ import annotations

from initfs.supervise.status import DOWN, RUN
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

NOT_YET, IF_CHECK, DONE = "not yet", "if ./check agrees", "done"


@value
class Command:
    """LETTERS to send, the GOAL that ends the waiting, whether that is waited for without -v, and whether it ends in KILL."""

    letters: str
    goal: str
    waits: bool = True
    kills: bool = False


STATUS = Command("", "status")
EXIT = "dx"  # runsv takes x as "go down and exit", s6 and so our tree as "exit once it is down"
PLAIN = {
    "u": "up",
    "d": "down",
    "o": "once",
    "p": "paused",
    "c": "continued",
    "h": "sent",
    "a": "sent",
    "i": "sent",
    "q": "sent",
    "1": "sent",
    "2": "sent",
    "t": "restarted",
    "k": "restarted",
    "x": "gone",
}
WORDS = {
    "status": STATUS,
    "start": Command("u", "up"),
    "stop": Command("d", "down"),
    "reload": Command("h", "sent"),
    "restart": Command("tcu", "restarted"),
    "try-restart": Command("tc", "restarted"),
    "shutdown": Command(EXIT, "gone"),
    "check": Command("", "as wanted"),
    "force-stop": Command("d", "down", kills=True),
    "force-reload": Command("tc", "restarted", kills=True),
    "force-restart": Command("tcu", "restarted", kills=True),
    "force-shutdown": Command(EXIT, "gone", kills=True),
}


def find(word: str) -> Command | None:
    """The command that WORD means. Of a plain one, only the first letter counts; None when there is none."""
    if word in WORDS:
        return WORDS[word]
    letter = {"e": "x", "s": "status"}.get(word[:1], word[:1])
    if letter == "status":
        return STATUS
    if letter not in PLAIN:
        return None
    return Command(EXIT if letter == "x" else letter, PLAIN[letter], waits=False)


def done(goal: str, before: Status, now: Status | None) -> str:
    """Whether GOAL is reached: BEFORE is the status when the command was sent, NOW that of this moment, None without one."""
    if now is None or goal == "gone":
        return DONE if now is None and goal == "gone" else NOT_YET
    up, down = now.state == RUN and now.pid != 0, now.state == DOWN
    another = (now.pid, now.changed) != (before.pid, before.changed)
    match goal:
        case "up":
            return IF_CHECK if up else NOT_YET
        case "down":
            return DONE if down else NOT_YET
        case "once":
            return DONE if (up and not now.wanted) or (down and another) else NOT_YET
        case "paused":
            return NOT_YET if up and not now.paused else DONE
        case "continued":
            return NOT_YET if up and now.paused else DONE
        case "restarted":
            if down and not now.wanted:
                return DONE
            return IF_CHECK if up and another and not now.termed else NOT_YET
        case "as wanted":
            # `once` is kept as "want down" as well; only who was told to go down was sent TERM.
            stays = now.wanted or not now.termed
            return IF_CHECK if up and stays else DONE if down and not now.wanted else NOT_YET
        case _:
            return DONE


def words(name: str, status: Status, age: int, *, normally_up: bool) -> str:
    """The state of a service in the words of sv; AGE is seconds."""
    running = status.pid != 0
    kind = "down" if not running else "run" if status.state == RUN else "finish"
    found = [f"{kind}: {name}: {f'(pid {status.pid}) ' if running else ''}{age}s"]
    found += ["normally down"] * (running and not normally_up) + ["normally up"] * (
        normally_up and not running
    )
    found += ["paused"] * (running and status.paused)
    found += ["want down"] * (running and not status.wanted) + ["want up"] * (status.wanted and not running)
    found += ["got TERM"] * (running and status.termed)
    return ", ".join(found)
