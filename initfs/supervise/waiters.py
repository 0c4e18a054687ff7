"""The obeying side of `waiting.py`: subscriptions, supervisors and status files of the services that are waited for."""

from __future__ import annotations

import os
import resource
from errno import ENOENT, ENOTDIR, ENXIO

from initfs import files, say
from initfs.loop import NEVER, Loop, now
from initfs.notify import fifodir
from initfs.notify.arguments import until
from initfs.options import parse
from initfs.supervise import client, waiting
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

LETTERS = "uUdDrR"
SPARE = 32  # descriptors for all else that a program has open


@value
class Request:
    """A command line of this family: what is waited for, whether one service is enough, until when, and the rest."""

    wanted: str
    some: bool
    deadline: float
    rest: list[str]


def request(argv: list[str], letters: str, usage_line: str) -> Request:
    """Read the options of ARGV; LETTERS are those that the program has beside uUdDrR and t."""
    wanted, some, deadline = "u", False, NEVER
    options, rest = parse(argv[1:], LETTERS + letters + "t:", usage_line)
    for letter, text in options:
        if letter in LETTERS:
            wanted = letter
        elif letter == "t":
            deadline = until(text, usage_line)
        else:
            some = letter == "o"
    return Request(wanted, some, deadline, rest)


class Services:
    """The services in DIRECTORIES, subscribed to from the making on. say.Fatal 102 when one has no supervisor."""

    def __init__(
        self, directories: list[str], wanted: str, down: str = "d", *, lenient: bool = False
    ) -> None:
        """LENIENT: a service that announces no readiness is waited for to be up, where the others must be ready."""
        make_room(2 * len(directories))
        self._loop = Loop()
        self._subscriptions: list[fifodir.Subscription] = []
        self._waits: list[waiting.Wait] = []
        self._held: list[int] = []
        try:
            for index, directory in enumerate(directories):
                meant = wanted.lower() if lenient and not announces(directory) else wanted
                self._add(index, directory, meant, down)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        for fd in self._held:
            os.close(fd)
        self._loop.close()

    def wait(self, deadline: float = NEVER, *, some: bool = False) -> int:
        """The exit code, once there is one; say.Fatal 99 when DEADLINE comes before it."""
        while (code := waiting.verdict(self._waits, some)) is None:
            if now() >= deadline:
                raise say.Fatal(say.TIMED_OUT, "timed out")
            self._loop.turn(deadline)
        return code

    def _add(self, index: int, directory: str, wanted: str, down: str) -> None:
        """Hold the supervisor, subscribe, read the status: in this order nothing can be missed."""
        supervisor = reach(directory)
        if supervisor is not None:
            self._held.append(supervisor)
            self._loop.watch(supervisor, lambda: self._lose(index, supervisor), events=0)
        event = f"{directory}/event"
        try:
            fifodir.ensure(event)
            subscription = fifodir.Subscription(event)
        except OSError as error:
            raise say.unable(f"subscribe to {event}", error) from error
        self._subscriptions.append(subscription)
        self._waits.append(waiting.begin(wanted, level(directory), down))
        self._loop.watch(subscription.fd, lambda: self._hear(index))

    def _hear(self, index: int) -> None:
        for letter in self._subscriptions[index].read():
            self._waits[index] = waiting.step(self._waits[index], letter)

    def _lose(self, index: int, supervisor: int) -> None:
        """The supervisor's end of its control FIFO is closed. What it had to say before is still in our FIFO."""
        self._loop.forget(supervisor)
        self._hear(index)
        self._waits[index] = waiting.step(self._waits[index], ord("x"))


def announces(directory: str) -> bool:
    """Whether a service announces its readiness."""
    return os.path.lexists(f"{directory}/notification-fd")


def make_room(descriptors: int) -> None:
    """Raise the soft limit of open files as far as so many more descriptors need, and the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors + SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        top = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, top), hard))


def level(directory: str) -> waiting.Level:
    """What the status file of a service says; say.Fatal when it cannot be read or understood."""
    path = f"{directory}/supervise/status"
    try:
        content = files.read(path)
        if content is None:
            raise say.Fatal(say.NOT_SUPERVISED, f"{directory} is not supervised")
        return waiting.level(content)
    except OSError as error:
        raise say.unable(f"read {path}", error) from error
    except ValueError as error:
        raise say.Fatal(say.TEMPORARY, f"unable to read {path}: {error}") from error


def reach(directory: str) -> int | None:
    """A descriptor of the service's control FIFO, which hangs up when its supervisor dies, by whatever death.

    say.Fatal 102 when there is no supervisor. None when there is one, but this user may not control it: then a
    supervisor that is killed outright says nothing, and a wait for it ends by its timeout.
    """
    path = f"{directory}/supervise/control"
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        if client.locked(directory):
            return None
        raise say.unable(f"open {path}", error) from error
    except OSError as error:
        if error.errno in (ENXIO, ENOENT, ENOTDIR):
            raise say.Fatal(say.NOT_SUPERVISED, f"{directory} is not supervised") from error
        raise say.unable(f"open {path}", error) from error
