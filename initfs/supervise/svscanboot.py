"""svscanboot: become the svscan of a tree that logs its own errors, below whatever init there is.

Source: `spec/supervision.md` 1.2. The errors of the tree, and of services without a logger, go to a FIFO that the first service,
`svscan-log`, reads; only that service's own errors go to the console. Whoever starts this must start it again when it ends.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.chain import identity
from initfs.supervise import scripts
from initfs.supervise.scanner import CATCH_ALL

USAGE = (
    "svscanboot [-c console] [-D logdir] [-m mode] [-l user] [-o directives] [-d notif] [-C services_max]"
    " [-L name_max] [-t rescan_ms] scandir"
)
LONG = {
    "console": "c",
    "catchall-directory": "D",
    "catchall-mode": "m",
    "catchall-user": "l",
    "catchall-options": "o",
    "notification-fd": "d",
    "services-max": "C",
    "name-max": "L",
    "timeout": "t",
    "user": "u",
}
LOGDIR, MODE, DIRECTIVES = "/run/uncaught-logs", "2750", "t"


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "c:D:m:l:o:d:C:L:t:u", USAGE, LONG)
    given = dict(found)
    if len(rest) != 1:
        raise say.usage(USAGE)
    notification = options.number(given.get("d", "0"), USAGE)
    logdir, scandir = log_directory(given), os.path.abspath(rest[0])
    try:
        check_free(scandir)
        make_log_directory(
            logdir, mode(given.get("m", MODE)), given.get("l", "") if os.geteuid() == 0 else ""
        )
        write_logger(scandir, logdir, given)
        console = open_console(given.get("c"), 4 if notification == 3 else 3)
        redirect(f"{scandir}/{CATCH_ALL}/fifo")
    except OSError as error:
        raise say.unable(f"make the tree of {scandir}", error) from error
    passed = [word for letter in "dCLt" if letter in given for word in (f"-{letter}", given[letter])]
    from initfs.main import run

    return run(["svscan", *passed, "-X", str(console), "--", scandir])


def mode(text: str) -> int:
    """The mode that an octal number is."""
    if not text or not set(text) <= set("01234567") or int(text, 8) > 0o7777:
        raise say.usage(USAGE)
    return int(text, 8)


def log_directory(given: dict[str, str]) -> str:
    """Where the catch-all logger writes to."""
    if "D" in given:
        return os.path.abspath(given["D"])
    if "u" not in given:
        return LOGDIR
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        raise say.Fatal(say.USAGE, "-u needs the variable XDG_RUNTIME_DIR")
    return f"{runtime}/uncaught-logs"


def check_free(scandir: str) -> None:
    """Nothing may be changed below an svscan that runs. say.Fatal 100."""
    try:
        files.send(f"{scandir}/.svscan/control", b"")
    except OSError:
        return
    raise say.Fatal(say.USAGE, f"another svscan runs on {scandir}")


def make_log_directory(path: str, bits: int, user: str) -> None:
    os.makedirs(path, exist_ok=True)
    if user:
        known = identity.user(user)
        if known is None:
            raise say.Fatal(say.USAGE, f"unknown user: {user}")
        os.chown(path, *known)
    os.chmod(path, bits)  # after chown, which takes set-gid away


def write_logger(scandir: str, logdir: str, given: dict[str, str]) -> None:
    """Make the service svscan-log anew."""
    import shutil

    user = given.get("l", "")
    if user and os.geteuid() != 0:
        say.warning("-l is for root only: ignored")
        user = ""
    directives = given.get("o", DIRECTIVES).split()
    service = f"{scandir}/{CATCH_ALL}"
    os.makedirs(scandir, exist_ok=True)
    shutil.rmtree(service, ignore_errors=True)
    os.mkdir(service, 0o755)
    os.mkfifo(f"{service}/fifo", 0o600)
    text = scripts.logger(directives, logdir, user, fifo="fifo")
    files.write(f"{service}/run", text.encode(errors="surrogateescape"), mode=0o755)
    files.write(f"{service}/notification-fd", b"3\n")


def open_console(path: str | None, number: int) -> int:
    """The console, or else what is standard error now, as descriptor NUMBER, which no service gets."""
    fd = 2 if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC)
    if fd != number:  # dup3(2) refuses the same
        os.dup2(fd, number, inheritable=False)
        if path is not None:
            os.close(fd)
    return number


def redirect(fifo: str) -> None:
    """Standard input is nothing; standard output and error are the FIFO.

    Its reading end stays open here as well: what is said before the logger reads, or while it is restarted, waits in the kernel.
    Writing never blocks: a logger that has stopped must not stop the tree.
    """
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    for fd in (null, writer):
        if fd > 2:
            os.close(fd)
