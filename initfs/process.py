"""Processes: started, signalled, reaped, replaced. The tree's only door to them.

`posix_spawn` uses vfork(2) inside glibc, so that starting a child does not copy this process's page tables, and it
reports a failed exec as an error of the call, not as a child that dies with 127.
"""

from __future__ import annotations

import errno
import os
import time

from initfs import files, say, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Python ignores these two, and an ignored signal is inherited through exec.
RESTORED = (signals.PIPE, signals.XFSZ)
_OWN_GROUP = {"setpgroup": 0}


def spawn(
    path: str,
    argv: Sequence[str],
    environment: Mapping[str, str] | Mapping[bytes, bytes],
    *,
    descriptors: Sequence[tuple[int, int]] = (),
    directory: int | None = None,
    session: bool = True,
    group: bool = False,
) -> int:
    """Start PATH with ARGV and return its pid; OSError when it cannot be started.

    DESCRIPTORS are (ours, child's) pairs, dup2'ed in order; everything else of ours is close-on-exec. DIRECTORY is a
    descriptor to be its working directory: this process moves there for the call, which is safe with one thread only.
    It has a SESSION of its own, or else stays in ours, where it may have a process GROUP of its own.
    """
    global unclaimed, _latest  # noqa: PLW0603
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in descriptors] if descriptors else ()
    if directory is not None:
        os.fchdir(directory)
    if _limits:
        _limit_descriptors(_limits[0])
    began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    try:
        unclaimed = _latest = os.posix_spawn(
            path,
            list(argv),
            environment,
            file_actions=actions,
            setsid=session,
            setsigmask=(),
            # exec(2) would do it for those we catch; but what glibc is not told of it asks about in the child, and sets all the same.
            setsigdef=(*signals.heeded(), *RESTORED),
            **(_OWN_GROUP if group else {}),  # type: ignore[arg-type]
        )
    except MemoryError:
        unclaimed = _lost_child(began)
        raise
    else:
        return unclaimed
    finally:
        if _limits:
            _limit_descriptors(_limits[1])


unclaimed = 0  # the child that was started last, until its starter has taken note: what an error in between leaves behind
_latest = 0  # the same, but for good


def _lost_child(began: int) -> int:
    """The child that was started since BEGAN (CLOCK_BOOTTIME, nanoseconds); 0 when there is none, or /proc can't tell.

    Memory for its number is asked for when it lives already: without it nobody is told of it. The kernel lists our children in the
    order in which they became ours; an orphan that has just come is older.
    """
    try:
        listed = files.read(f"/proc/self/task/{os.getpid()}/children", size=1 << 20) or b""
        pid = int(listed.split()[-1])
        stat = files.read(f"/proc/{pid}/stat") or b""
        ticks = int(stat.rpartition(b")")[2].split()[19])  # field 22, proc(5)
    except (OSError, ValueError, IndexError):
        return 0
    return pid if pid != _latest and ticks >= began * os.sysconf("SC_CLK_TCK") // 1_000_000_000 else 0


def end_unclaimed() -> None:
    """End a child that was started and that an error kept anybody from taking note of: it would be a second one beside its successor."""
    pid = unclaimed
    if pid:
        claimed()
        kill(pid, signals.KILL)


def claimed() -> None:
    """The last child is known to whom it may concern."""
    global unclaimed  # noqa: PLW0603
    unclaimed = 0


_limits: tuple[int, int] | None = None  # the soft limit of open files that children get, and ours


def raise_descriptor_limit(wanted: int) -> int:
    """Have room for WANTED open files, as far as the hard limit allows; returns the room there is.

    Children keep the limit that we were started with: a program that uses select(2) must not get descriptors above 1023.
    """
    global _limits  # noqa: PLW0603
    soft = _limits[1] if _limits else os.sysconf("SC_OPEN_MAX")
    if wanted <= soft:
        return soft
    import resource

    now, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > now:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        _limits = (_limits[0] if _limits else now, most)
    return most


def _limit_descriptors(soft: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def ourselves(module: str) -> list[str]:
    """The start of a command line that runs a module of ours in a new interpreter, without site and its costs."""
    import sys

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = (
        f"import sys, runpy; sys.path.insert(0, {root!r}); runpy.run_module({module!r}, run_name='__main__')"
    )
    return [sys.executable, "-I", "-S", "-c", code]


def reap() -> Iterator[tuple[int, int]]:
    """(pid, wait status) of every child that has ended, ours or an orphan that the kernel gave us; never blocks.

    One SIGCHLD may stand for many deaths, so all are fetched, each only when the one before has been dealt with.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def status_of(pid: int) -> int:
    """The wait status of a process that has ended, 0 when it is not our child and nobody can tell."""
    try:
        return os.waitpid(pid, os.WNOHANG)[1]
    except ChildProcessError:
        return 0


def kill(pid: int, signum: int) -> None:
    """Signal one process, or with a negative pid one group. 0, 1, -1 and a process that is gone get nothing."""
    if pid in (0, 1, -1):
        say.warning(f"bug: asked to signal {pid}, nothing done")
        return
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return
    except OSError as error:
        say.warning(f"unable to signal {pid}: {say.reason(error)}")


def candidates(program: str, environment: Mapping[str, str]) -> list[str]:
    """Where PROGRAM may be: itself when it has a slash, else in each directory of PATH.

    `os.execvpe` and `os.get_exec_path` do the same, and import `warnings` for it.
    """
    if "/" in program:
        return [program]
    return [f"{directory or '.'}/{program}" for directory in environment.get("PATH", os.defpath).split(":")]


def execute(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> say.Fatal:
    """Replace this process by ARGV, found through PATH; when that fails, the Fatal to raise: 127 not found, 126 not run."""
    chosen = os.environ if environment is None else environment
    signals.default(*RESTORED)
    failed = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # an empty name is found nowhere
    for path in candidates(argv[0], chosen) if argv[0] else []:
        try:
            os.execve(path, list(argv), chosen)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failed = error  # type: ignore[assignment]
    return say.unable(
        f"run {argv[0]}", failed, say.NOT_FOUND if failed.errno == errno.ENOENT else say.CANNOT_EXEC
    )
