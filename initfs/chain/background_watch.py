"""background-watch: be the foreground for a daemon that insists on forking and writes its pid into a file.

Source: `spec/chainloading.md` 3.6. Linux lets a process adopt its orphaned descendants (PR_SET_CHILD_SUBREAPER): the daemon,
whose parent has left, becomes our child, so its end and its exit code are ours to wait for. For the same reason a pid
file that is stale, or names somebody else, is found out: that process is no child of ours.
"""

from __future__ import annotations

import os

from initfs import files, loop, options, process, say, signals
from initfs.chain import child, descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

USAGE = "background-watch [-t ms] [-d fd] pidfile prog..."
LONG = {"timeout-ready": "t", "notification-fd": "d"}
BAD_PIDFILE, UNSUPPORTED, KILLED = 104, 112, 128 + 9
PR_SET_CHILD_SUBREAPER = 36
_FAULTS = {
    signals.NUMBERS[name] for name in ("SEGV", "BUS", "FPE", "ILL", "TRAP", "SYS") if name in signals.NUMBERS
}
# 32 and 33 are the C library's own.
_NOT_FORWARDED = {signals.KILL, signals.STOP, signals.CHLD, 32, 33, *_FAULTS}


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "t:d:", USAGE, LONG)
    given = dict(found)
    if len(rest) < 2:
        raise say.usage(USAGE)
    patience = options.number(given.get("t", "0"), USAGE) / 1000 or loop.NEVER
    notify = descriptors.number(given["d"], USAGE) if "d" in given else -1
    if notify >= 0:
        os.set_inheritable(notify, False)
    adopt_orphans()
    watch = Watch(rest[0], notify)
    watch.pid = child.start(rest[1:], USAGE, watch.let_go)
    return watch.run(loop.now() + patience)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends. Raises Fatal 112 where the kernel does not know this."""
    import ctypes  # prctl(2) has no other door

    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise say.Fatal(UNSUPPORTED, "unable to adopt orphans: the kernel cannot do this")


class Watch:
    """The watched process: first the one that was started, which should go away, then the daemon that it leaves."""

    def __init__(self, pidfile: str, notify: int) -> None:
        self.pidfile, self.notify = pidfile, notify
        self.pid = 0
        self.watching = False  # the daemon, not yet
        self.ends: dict[
            int, int
        ] = {}  # wait statuses of all that ended, among them perhaps already the daemon's
        self.loop = loop.Loop()
        # What is ignored here is ignored by the daemon too, and must stay so; but for what Python itself ignores.
        ignored = {n for n in range(1, signals.LAST + 1) if _signal.getsignal(n) == _signal.SIG_IGN}
        kept = _NOT_FORWARDED | (ignored - set(process.RESTORED))
        self.caught = [signals.CHLD, *(n for n in range(1, signals.LAST + 1) if n not in kept)]
        self.loop.on_signals(self._signalled, *self.caught)

    def let_go(self) -> None:
        """In the child, before it becomes the program: no more catching."""
        self.loop.close()
        signals.default(*self.caught)

    def run(self, deadline: float) -> int:
        """The exit code of the daemon, or of what kept it from starting."""
        code = self._started(deadline)
        if code:
            files.tried(f"remove {self.pidfile}", lambda: files.remove(self.pidfile))
            return code
        self.pid, self.watching = self._daemon(), True
        if self.notify >= 0:
            files.tried("notify", lambda: os.write(self.notify, b"\n"))
            descriptors.close(self.notify)
        while self.pid not in self.ends:
            self.loop.turn()
        return child.relay(self.ends[self.pid])

    def _started(self, deadline: float) -> int:
        while self.pid not in self.ends:
            self.loop.turn(deadline)
            if self.pid not in self.ends and loop.now() >= deadline:
                process.kill(self.pid, signals.KILL)
                return KILLED
        return child.relay(self.ends[self.pid])

    def _daemon(self) -> int:
        """The pid that the file names, of a child of ours that lives or has just ended. Raises Fatal 104."""
        try:
            text = (files.read(self.pidfile) or b"").decode("ascii", "replace").strip()
        except OSError as error:
            raise say.unable(f"read {self.pidfile}", error, BAD_PIDFILE) from None
        pid = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if pid in self.ends and pid != self.pid:
            return pid
        try:
            if pid > 1 and pid != self.pid:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                return pid
        except ChildProcessError:
            pass
        raise say.Fatal(BAD_PIDFILE, f"{self.pidfile} does not name a daemon of {self.pid}: {text[:20]!r}")

    def _signalled(self, signum: int) -> None:
        if signum == signals.CHLD:
            self.ends.update(process.reap())
            if self.watching:  # orphans without number may come and go
                self.ends = {pid: status for pid, status in self.ends.items() if pid == self.pid}
        else:
            process.kill(self.pid, signum)
