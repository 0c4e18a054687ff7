"""std_service_logger: the one line that a `log/run` needs. It makes /var/log/service/NAME and becomes its logger.

Source: `spec/var_service.md`. NAME is that of the service directory whose `log` this is started in. The directory belongs to the user
`logger`, others may not look into it, and `logdir` is a link to it. Ownership is given when the directory is made, not at each start: what is
in it is the logger's own. Lines have UTC stamps unless LOG_NOTIMESTAMP is set. STD_LOG_ROOT and STD_LOG_USER are for other places and accounts.
"""

from __future__ import annotations

import os

from initfs import process, say
from initfs.chain import identity

USAGE = "std_service_logger"
ROOT, USER = "/var/log/service", "logger"
MEMORY = 20 << 20  # bytes of address space beyond what the interpreter has mapped when it starts


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        raise say.usage(USAGE)
    name = os.path.basename(os.path.dirname(os.getcwd()))
    directory = f"{os.environ.get('STD_LOG_ROOT', ROOT)}/{name}"
    user = os.environ.get("STD_LOG_USER", USER)
    known = identity.user(user) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    if known is None:
        raise say.Fatal(say.USAGE, f"unknown user: {user}")
    try:
        make(directory, *known)
        link(directory)
    except OSError as error:
        raise say.unable(f"make {directory}", error) from error
    if os.geteuid() == 0:
        identity.become(known[0], known[1], (known[1],))
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    limit()
    stamp = [] if "LOG_NOTIMESTAMP" in os.environ else ["-tt"]
    raise process.execute([*process.ourselves("initfs.main"), "svlogd", *stamp, directory])


def make(directory: str, uid: int, gid: int) -> None:
    """Make the directory, for its owner alone; one that is there stays as it is."""
    try:
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return
    if os.geteuid() == 0:
        os.chown(directory, uid, gid)


def link(directory: str) -> None:
    """Have the link `logdir` lead there; in a directory where that cannot be, viewers look in the usual place."""
    try:
        if os.readlink("logdir") == directory:
            return
        os.unlink("logdir")
    except FileNotFoundError:
        pass
    os.symlink(directory, "logdir")


def limit() -> None:
    """A logger that wants more memory than that has gone wrong."""
    import resource

    with open("/proc/self/statm") as statm:
        mapped = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
