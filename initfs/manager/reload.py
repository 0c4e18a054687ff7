"""rc reload: longruns get their reload signal, oneshots run their reload script; nothing else changes."""

from __future__ import annotations

from initfs import loop, say
from initfs.manager.oneshot import Busy, Runner
from initfs.manager.plan import UP
from initfs.supervise import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.live import Live

RELOAD = 2
TIMED_OUT = 2
AGAIN = 0.01  # seconds until a busy runner is asked again


def reload(live: Live, numbers: set[int], *, deadline: float, verbosity: int) -> int:
    """Reload these services, all at once; the exit code: 0, 1 one of them failed or is down (then none is reloaded), 2 timed out."""
    names = live.index.database.names
    down = [names[number] for number in sorted(numbers) if not live.state[number] & UP]
    if down:
        raise say.Fatal(say.NO, f"unable to reload what is down: {' '.join(down)}")
    longruns = live.index.database.longruns
    failed = [number for number in sorted(numbers) if number < longruns and not _signal(live, number)]
    reloading = _Reloading(live, sorted(number for number in numbers if number >= longruns), verbosity)
    if not reloading.run(deadline):
        say.fatal("timed out; what is under way goes on")
        return TIMED_OUT
    return say.NO if failed or reloading.failed else say.OK


def _signal(live: Live, number: int) -> bool:
    try:
        client.send(live.servicedir(number), "l")
    except say.Fatal as fatal:
        say.warning(f"{live.index.database.names[number]}: unable to reload it: {fatal}")
        return False
    return True


class _Reloading:
    def __init__(self, live: Live, numbers: list[int], verbosity: int) -> None:
        self.failed = 0
        self._live, self._verbosity = live, verbosity
        self._waiting = numbers
        self._under_way: set[int] = set()
        self._loop = loop.Loop()
        self._runner = Runner(self._loop, live.path, self._ended, self._again)

    def run(self, deadline: float) -> bool:
        """Whether all came to an end before DEADLINE."""
        while self._waiting or self._under_way:
            while self._waiting and self._start(self._waiting[0]):
                self._waiting.pop(0)
            self._runner.flush()
            if self._waiting or self._under_way:
                self._loop.turn(min(deadline, loop.now() + AGAIN) if self._waiting else deadline)
            if loop.now() >= deadline and (self._under_way or self._waiting):
                return False
        return True

    def _start(self, number: int) -> bool:
        database = self._live.index.database
        position = number - database.longruns
        if not database.scripts[position][RELOAD]:
            return True
        try:
            self._runner.order(number, RELOAD, database.timeouts[number][1])
        except Busy:
            return False
        except say.Fatal as fatal:
            self._fail(number, str(fatal))
            return True
        self._under_way.add(number)
        return True

    def _ended(self, number: int, outcome: str) -> None:
        self._under_way.discard(number)
        if outcome:
            self._fail(number, outcome)

    def _again(self, number: int) -> None:
        self._under_way.discard(number)
        self._waiting.append(number)

    def _fail(self, number: int, why: str) -> None:
        self.failed += 1
        if self._verbosity:
            say.warning(f"{self._live.index.database.names[number]}: unable to reload it: {why}")
