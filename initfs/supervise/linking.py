"""Putting a service into a scan directory and taking it out, so that nothing is missed: for svlink, svunlink, instances.

Source: `spec/supervision.md` 1.8. Listening begins before the link is made, or removed; that the supervisor is there is
its letter `s`, that it is gone is its letter `x`, or the end of its control FIFO, by whatever death.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.loop import NEVER, now
from initfs.notify import fifodir
from initfs.options import number
from initfs.supervise import client
from initfs.supervise.presence import Watch
from initfs.value import value

LETTERS = "dDPft:"  # the options of whoever links


@value
class Link:
    """How a service is to be put into a scan directory."""

    down: str = ""  # "d": down while its supervisor starts; "D": and from then on
    public: bool = False  # anybody may listen to its events
    force: bool = False  # change an event directory that has the other mode
    milliseconds: int = 0  # 0: wait for ever


def options(given: list[tuple[str, str]], usage_line: str) -> Link:
    """The Link that the options LETTERS mean."""
    down, milliseconds = "", 0
    for letter, text in given:
        if letter in "dD":
            down = letter
        elif letter == "t":
            milliseconds = number(text, usage_line)
    found = {letter for letter, _ in given}
    return Link(down, "P" in found, "f" in found, milliseconds)


def deadline(milliseconds: int) -> float:
    return now() + milliseconds / 1000 if milliseconds else NEVER


def check_name(name: str) -> str:
    """A name that an entry of a scan directory may have; say.Fatal 100 for any other."""
    if not name or name.startswith(".") or "/" in name or name.split() != [name]:
        raise say.Fatal(say.USAGE, f"invalid name: {name!r}")
    return name


def services(directory: str) -> list[str]:
    """A service, and its logger if it has one."""
    log = f"{directory}/log"
    return [directory, log] if os.path.isdir(log) else [directory]


def link(scandir: str, directory: str, name: str, target: str, how: Link) -> None:
    """Have the svscan of SCANDIR supervise DIRECTORY as NAME, a link to TARGET; return when it does.

    say.Fatal: 1 no svscan, 99 timed out, 100 for what the user must mend, 111. Whatever was made by then is taken back.
    """
    both = services(directory)
    for service in both:
        _check(service)
        if client.supervised(service):
            raise say.Fatal(say.USAGE, f"{service} is supervised already")
    until = deadline(how.milliseconds)
    with Watch() as watch:
        watch.while_runs(scandir)
        for service in both:
            _prepare(f"{service}/event", how)
            watch.for_letter(service, "s")
        marked = _mark(directory, how)
        try:
            _make_link(target, f"{scandir}/{name}")
            try:
                _scan(scandir)
                watch.wait(until)
            except BaseException:
                take_back(scandir, name)
                raise
        except BaseException:
            if marked:
                files.remove(f"{directory}/down")
            raise
    if how.down == "d":
        files.remove(f"{directory}/down")


def _check(service: str) -> None:
    if not os.access(f"{service}/run", os.X_OK) or not os.path.isfile(f"{service}/run"):
        raise say.Fatal(say.USAGE, f"{service}/run is not an executable file")


def _prepare(event: str, how: Link) -> None:
    """Have an event directory of the mode that is asked for."""
    mode = fifodir.PUBLIC if how.public else fifodir.RESTRICTED
    try:
        fifodir.make(event, gid=None if how.public else os.getegid(), mode=mode, force=how.force)
        found = os.stat(event).st_mode & 0o7777
    except OSError as error:
        raise say.unable(f"make {event}", error) from error
    if found != mode:
        raise say.Fatal(say.USAGE, f"{event} has the mode {found:04o}, not {mode:04o}; -f changes it")


def _mark(directory: str, how: Link) -> bool:
    """Make the file `down` if asked to; True when it was not there before."""
    if not how.down or os.path.exists(f"{directory}/down"):
        return False
    files.write(f"{directory}/down", b"")
    return True


def _make_link(target: str, path: str) -> None:
    try:
        os.symlink(target, path)
    except FileExistsError as error:
        raise say.Fatal(say.USAGE, f"{path} exists already") from error
    except OSError as error:
        raise say.unable(f"make the link {path}", error) from error


def _scan(scandir: str) -> None:
    try:
        files.send(f"{scandir}/.svscan/control", b"a")
    except OSError as error:
        raise say.Fatal(say.TEMPORARY, f"the svscan of {scandir} has ended: {say.reason(error)}") from error


def take_back(scandir: str, name: str) -> None:
    """Remove the link and have svscan end what it has begun; what fails is said."""
    files.tried(f"remove {scandir}/{name}", lambda: files.remove(f"{scandir}/{name}"))
    files.tried(f"control the svscan of {scandir}", lambda: files.send(f"{scandir}/.svscan/control", b"an"))


def unlink(scandir: str, name: str, *, wait: bool, milliseconds: int = 0) -> None:
    """Take the link NAME out of SCANDIR, have its service brought down, and return when nothing is supervised any more.

    This must come to an end: what goes wrong once the link is removed is said, and no error. say.Fatal 100 when it is no
    link, 111 when it can't be removed.
    """
    path = f"{scandir}/{name}"
    if not os.path.islink(path):
        raise say.Fatal(say.USAGE, f"{path} is not a link")
    until = deadline(milliseconds)
    with Watch() as watch:
        try:
            for service in services(path) if wait else []:
                watch.for_end(os.path.realpath(service))
        except (OSError, say.Fatal) as error:
            say.warning(f"{error}; not waiting for it")
        try:
            os.unlink(path)
        except OSError as error:
            raise say.unable(f"remove {path}", error) from error
        try:
            watch.while_runs(scandir)
            files.send(f"{scandir}/.svscan/control", b"an")
            watch.wait(until)
        except say.Fatal as fatal:
            say.warning(str(fatal))
