"""svlog-shared: one logger for many services. It takes the reading ends of their pipes from svscan, and works for each as svlog would.

`svlog-shared [-d notif] [-u user] [-D directory] [-b bytes] [-l linelimit] socket`: connect to `.svscan/logs` of a scan directory, give up root's rights, and log. A
script without a log directory writes to DIRECTORY/NAME, /run/log by default, and all such logs share BYTES, 16 MiB by default. A bad script is said, and its service is read and logged with the
default script; the others do not notice. It ends when the tree has ended and all pipes are empty. Killed, it loses nothing: see `inbox.py`.
"""

from __future__ import annotations

import _socket
import os
import sys

from initfs import files, options, process, say, signals
from initfs.chain import identity
from initfs.log import script as scripts
from initfs.log.engine import Engine
from initfs.log.logdir import Busy
from initfs.log.stream import Stream, Ways
from initfs.loop import HUNG_UP, NEVER, READ, now
from initfs.value import replace

USAGE = "svlog-shared [-d notif] [-u user] [-D directory] [-b bytes] [-l linelimit] socket"
DIRECTORY = "/run/log"
ROOM = 16 << 20  # bytes for all logs in DIRECTORY
FILE_MIN, FILES = 8192, 4  # bytes of the smallest log, and how many its room has at least
DEFAULT = b"t"
MESSAGE_MAX = 8192
AGAIN = 1.0  # seconds until a tree that is gone is looked for again
DESCRIPTORS = 8  # of one service


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "d:u:D:b:l:", USAGE)
    given = dict(found)
    if len(rest) != 1:
        raise say.usage(USAGE)
    limit = options.number(given.get("l", "8192"), USAGE)
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    where = os.open(os.path.dirname(rest[0]) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    shared = Shared(where, os.path.basename(rest[0]), given.get("D", DIRECTORY), Ways(limit))
    shared.room = options.number(given.get("b", str(ROOM)), USAGE)
    shared.connect()
    if "u" in given:
        known = identity.user(given["u"])
        if known is None:
            raise say.Fatal(say.USAGE, f"unknown user: {given['u']}")
        files.tried("make the directory", lambda: make(given.get("D", DIRECTORY), *known))
        identity.become(known[0], known[1], (known[1],))
    else:
        files.tried("make the directory", lambda: os.makedirs(given.get("D", DIRECTORY), exist_ok=True))
    if "d" in given:
        fd = options.number(given["d"], USAGE, 3)
        files.tried("announce readiness", lambda: os.write(fd, b"\n"))
        os.close(fd)
    return shared.run()


def make(directory: str, uid: int, gid: int) -> None:
    """Make a directory that belongs to the logger; one that is there already stays as it is."""
    if not os.path.isdir(directory):
        os.makedirs(directory)
        os.chown(directory, uid, gid)


class Log:
    """The stream of one service."""

    def __init__(self, name: str, words: bytes, fd: int) -> None:
        self.name, self.words, self.fd = name, words, fd
        self.pipe = os.fstat(fd).st_ino
        self.stream: Stream | None = None
        self.again = NEVER  # when to try to open it again
        self.said = ""  # what was said of the last try
        self.policy: scripts.Policy | None = None  # what the script says of the directory that is ours


class Shared:
    """All streams, and the connection to the tree."""

    def __init__(self, where: int, socket: str, directory: str, ways: Ways) -> None:
        self._where, self._name, self._directory, self._ways = where, socket, directory, ways
        self._engine = Engine()
        self._engine.loop.on_signals(
            self._engine.signalled, signals.TERM, signals.HUP, signals.ALRM, signals.CHLD
        )
        self.room = ROOM
        self._logs: dict[str, Log] = {}
        self._tree: _socket.socket | None = None
        self._connect_at = NEVER
        self._next: dict[str, Log] = {}  # what comes in place of a log that is ending

    def connect(self) -> bool:
        """Connect to the tree. False: it is not there, and looked for again while there is something to log."""
        tree = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            tree.connect(f"/proc/self/fd/{self._where}/{self._name}")
        except OSError:
            tree.close()
            self._connect_at = now() + AGAIN
            return False
        tree.setblocking(False)
        self._tree, self._connect_at = tree, NEVER
        self._engine.loop.watch(tree.fileno(), self._told, READ | HUNG_UP)
        return True

    def run(self) -> int:
        """Log until the tree has ended and everything is read."""
        seen = self._tree is not None
        while self._tree is not None or self._logs or not seen:
            due = min([self._connect_at, *[log.again for log in self._logs.values()]])
            for stream in self._engine.turn(due):
                self._ended(stream)
            moment = now()
            if self._connect_at <= moment:
                seen = self.connect() or seen
            for log in [log for log in self._logs.values() if log.again <= moment]:
                self._open(log)
        return say.OK

    def _told(self) -> None:
        """A service is to be logged, or the tree has ended."""
        assert self._tree is not None
        try:
            data, rights, _, _ = self._tree.recvmsg(MESSAGE_MAX, 64)
        except BlockingIOError:
            return
        except OSError:
            data, rights = b"", []
        if not data:
            self._tree_ended()
            return
        fds = [
            int.from_bytes(raw[at : at + 4], sys.byteorder)
            for _, _, raw in rights
            for at in range(0, len(raw), 4)
        ]
        name, _, words = data.partition(b"\0")
        if fds:
            self._add(Log(os.fsdecode(name), words, fds[0]))
        try:
            self._tree.send(b".")
        except OSError:  # that was its last: it has ended
            self._tree_ended()

    def _tree_ended(self) -> None:
        assert self._tree is not None
        self._engine.loop.forget(self._tree.fileno())
        self._tree.close()
        self._tree = None
        self._connect_at = now() + AGAIN if self._logs else NEVER

    def _add(self, log: Log) -> None:
        process.raise_descriptor_limit(64 + DESCRIPTORS * (len(self._logs) + 1))
        former = self._logs.get(log.name)
        if former is not None and former.pipe == log.pipe and former.words == log.words:
            os.close(log.fd)  # a tree that was started anew tells what we know
            return
        if former is not None and former.stream is not None:
            if former.pipe == log.pipe:
                former.stream.rest()
            self._next[log.name] = log
            return
        self._logs[log.name] = log
        self._open(log)

    def _open(self, log: Log) -> None:
        """Begin to log a service. What cannot be done for it is said, and done in the default way; what cannot be done so is tried again."""
        log.again = NEVER
        trouble = self._try(log)
        if trouble and log.words != DEFAULT:
            say.warning(f"{log.name}: {trouble}; logging as by default")
            log.words = DEFAULT
            trouble = self._try(log)
        if not trouble:
            log.said = ""
        elif self._tree is None:
            say.warning(f"{log.name}: {trouble}; its last lines are lost")
            os.close(log.fd)
            del self._logs[log.name]
        else:
            if trouble != log.said:
                log.said = trouble
                say.warning(f"{log.name}: {trouble}; trying again every {AGAIN:g} seconds")
            log.again = now() + AGAIN

    def _try(self, log: Log) -> str:
        """Open the stream; returns what is wrong, or nothing."""
        try:
            stream = self._stream(log)
        except scripts.BadScript as error:
            return f"unable to understand the script: {error}"
        try:
            stream.open()
        except (OSError, Busy) as error:
            why = say.reason(error) if isinstance(error, OSError) else "another logger has it"
            stream.abandon()
            return f"unable to use the log directory {stream.failed}: {why}"
        log.stream = stream
        self._engine.add(stream)
        self._share_out()
        return ""

    def _share_out(self) -> None:
        """Give each log in our directory the same part of the room; what its script says may only be less."""
        dirs = [(log, logdir) for log in self._logs.values() if log.stream for logdir in log.stream.dirs]
        ours = [(log, logdir) for log, logdir in dirs if logdir.path == f"{self._directory}/{log.name}"]
        for log, logdir in ours:
            log.policy = log.policy or logdir.policy
            logdir.bound(bounded(log.policy, self.room // len(ours)))

    def _stream(self, log: Log) -> Stream:
        return Stream(log.fd, script_of(log.words, f"{self._directory}/{log.name}"), self._ways)

    def _ended(self, stream: Stream) -> None:
        """Its pipe has ended, or another script takes over."""
        for log in [log for log in self._logs.values() if log.stream is stream]:
            os.close(log.fd)
            del self._logs[log.name]
            self._share_out()
            after = self._next.pop(log.name, None)
            if after is not None:
                self._logs[after.name] = after
                self._open(after)


def bounded(policy: scripts.Policy, room: int) -> scripts.Policy:
    """A policy whose archives, `current`, and what is about to be an archive are within ROOM bytes, which are FILES of FILE_MIN at least."""
    size = min(policy.size, max(room // FILES, FILE_MIN))
    total = max(room - 2 * size, size)
    tolerance = min(policy.tolerance, size // 2)
    return replace(policy, size=size, tolerance=tolerance, total=min(policy.total or total, total))


def script_of(words: bytes, directory: str) -> scripts.Script:
    """The Script in a file `log`: words as a shell would split them. Without a log directory it gets DIRECTORY. scripts.BadScript."""
    text = os.fsdecode(words)
    found = split(text)
    try:
        parsed = scripts.parse(found)
    except scripts.BadScript:
        return scripts.parse([*found, directory])
    if any(action.kind == scripts.DIRECTORY for action in parsed.actions):
        return parsed
    return scripts.parse([*found, directory])


def split(text: str) -> list[str]:
    """Words; quotes are imported only for those who use them, and `#` begins a comment."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    joined = "\n".join(lines)
    if not set(joined) & set("'\"\\"):
        return joined.split()
    import shlex

    try:
        return shlex.split(joined)
    except ValueError as error:
        raise scripts.BadScript(str(error)) from None
