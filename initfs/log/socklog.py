"""socklog: the datagrams of syslog(3), or of other machines, as lines on standard output.

Source: `spec/logging.md` 2.6. It binds, gives up its rights, tells that it is ready, and then only reads and writes; what it writes to is a
logger. While that is slow, datagrams wait in the kernel, and their senders with them.
"""

from __future__ import annotations

import _socket
import os

from initfs import files, options, say, signals
from initfs.chain import identity
from initfs.log.facility import named
from initfs.loop import NEVER, Loop, now

USAGE = (
    "socklog [-d notif] [-r] [-U | -u uid -g gid -G gidlist] [-l linelen] [-t ms]"
    " [-x path | -i ip[_port | :port]]   (or unix path | inet ip port)"
)
LONG = {"notification-fd": "d", "raw": "r", "linelen": "l", "lameduck-timeout": "t", "unix": "x", "inet": "i"}
PATH, PORT = "/dev/log", 514
LEAST, DEFAULT, MOST = 76, 1024, 1048576
AT_ONCE = 64  # datagrams of one turn


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "d:rUu:g:G:l:t:x:i:", USAGE, LONG)
    found += runit_mode(rest)
    given = dict(found)
    if "x" in given and "i" in given:
        raise say.usage(USAGE)
    size = min(max(options.number(given.get("l", str(DEFAULT)), USAGE), LEAST), MOST)
    patience = options.number(given.get("t", "0"), USAGE) / 1000 or NEVER
    notification = options.number(given.get("d", "1"), USAGE)
    if "d" in given and notification < 3:
        raise say.Fatal(say.USAGE, f"descriptor {notification} is one of the standard ones")
    who = become(found)
    source = bind_inet(given["i"]) if "i" in given else bind_unix(given.get("x", PATH))
    identity.become(*who)
    if "d" in given:
        files.tried("announce readiness", lambda: os.write(notification, b"\n"))
        os.close(notification)
    return Socklog(source, size, patience, raw="r" in given, inet="i" in given).run()


def runit_mode(rest: list[str]) -> list[tuple[str, str]]:
    """The modes of runit's socklog as options: unix PATH, inet IP PORT."""
    match rest:
        case []:
            return []
        case ["unix", path]:
            return [("x", path)]
        case ["inet", ip, port]:
            return [("i", f"{ip}_{port}")]
        case _:
            raise say.usage(USAGE)


def become(found: list[tuple[str, str]]) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """(uid, gid, groups) that the options name; later ones override. say.Fatal 100 for nonsense."""
    uid = gid = None
    groups: tuple[int, ...] | None = None
    for letter, text in found:
        if letter == "U":
            uid, gid = _id("UID", os.environ.get("UID")), _id("GID", os.environ.get("GID"))
            groups = _ids("GIDLIST", os.environ.get("GIDLIST"))
        elif letter == "u":
            uid = _id("-u", text)
        elif letter == "g":
            gid = _id("-g", text)
        elif letter == "G":
            groups = _ids("-G", text)
    return uid, gid, groups


def _id(name: str, text: str | None) -> int:
    number = None if text is None else identity.number(text)
    if number is None:
        raise say.Fatal(say.USAGE, f"{name} is not set, or no number")
    return number


def _ids(name: str, text: str | None) -> tuple[int, ...]:
    numbers = None if text is None else identity.numbers(text)
    if numbers is None:
        raise say.Fatal(say.USAGE, f"{name} is not set, or no list of numbers")
    return numbers


def bind_unix(path: str) -> _socket.socket:
    """A datagram socket at PATH that everybody may write to; a stale one there is replaced. say.Fatal 111."""
    source = _datagrams(_socket.AF_UNIX)
    try:
        files.remove(path)
        mask = os.umask(0)
        try:
            source.bind(path)
        finally:
            os.umask(mask)
        os.chmod(path, 0o777)
    except OSError as error:
        raise say.unable(f"bind {path}", error) from error
    return source


def bind_inet(text: str) -> _socket.socket:
    """A UDP socket at an address, and a port behind `_`, or behind `:` when the address is of IPv4. say.Fatal 100, 111."""
    host, _, port = (
        text.rpartition("_")
        if "_" in text
        else text.partition(":")
        if text.count(":") == 1
        else (text, "", "")
    )
    number = options.number(port, USAGE) if port else PORT
    source = _datagrams(_socket.AF_INET6 if ":" in host else _socket.AF_INET)
    try:
        source.bind((host, number))
    except (OSError, OverflowError) as error:
        failure = error if isinstance(error, OSError) else OSError(str(error))
        raise say.unable(f"bind {text}", failure) from error
    return source


def _datagrams(family: int) -> _socket.socket:
    return _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)


class Socklog:
    """Datagrams to lines, until TERM."""

    def __init__(self, source: _socket.socket, size: int, patience: float, *, raw: bool, inet: bool) -> None:
        self._source, self._size, self._patience = source, size, patience
        self._raw, self._inet = raw, inet
        self._ending = False
        self._loop = Loop()
        self._loop.on_signals(self._signalled, signals.TERM)
        signals.ignore(signals.PIPE)

    def run(self) -> int:
        """0 after TERM; 99 when what was read could not be written in time; 111 when nobody reads any more."""
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._loop.watch(self._source.fileno(), self._receive)
        while not self._ending:
            self._loop.turn()
        return say.OK

    def _signalled(self, _signum: int) -> None:
        self._ending = True

    def _receive(self) -> None:
        lines = []
        for _ in range(AT_ONCE):
            try:
                data, sender = self._source.recvfrom(self._size + 1)
            except BlockingIOError:
                break
            line = self.line(data, sender)
            if line:
                lines.append(line)
        self._write(b"".join(lines))

    def line(self, data: bytes, sender: object) -> bytes:
        """The line of one datagram; b"" for an empty one."""
        whole = data[: self._size].rstrip(b"\0\n") if len(data) <= self._size else data[: self._size]
        if not whole:
            return b""
        text = whole.replace(b"\0", b"~").replace(b"\n", b"~")
        text = (text if self._raw else named(text)) + b"..." * (len(data) > self._size)
        if self._inet and isinstance(sender, tuple):
            text = f"{sender[0]}_{sender[1]}: ".encode() + text
        return text + b"\n"

    def _write(self, data: bytes) -> None:
        """Write it, with the reader's speed; after TERM only as long as was said."""
        os.set_blocking(1, False)
        deadline = NEVER
        ready: list[bool] = []
        while data:
            try:
                data = data[os.write(1, data) :]
                continue
            except BlockingIOError:
                self._loop.watch(1, lambda: ready.append(True), 4)
            except OSError as error:
                raise say.unable("write to standard output", error) from error
            if self._ending:
                deadline = min(deadline, now() + self._patience)
            self._loop.forget(self._source.fileno())
            self._loop.turn(deadline)
            self._loop.forget(1)
            self._loop.watch(self._source.fileno(), self._receive)
            if now() >= deadline:
                raise say.Fatal(say.TIMED_OUT, "unable to write all that was read in time")
