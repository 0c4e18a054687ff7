"""What process 1 finds when it begins: the settings that stage 1 exports, and the environment that everything below it gets."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.pid1 import parameters
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initfs.pid1.parameters import Parameters

BASE = "/etc/initfs"
CMDLINE_SIZE, VALUE_SIZE = 1 << 16, 1 << 17
# Variables that the shell of stage 1 and Python's start make, and no kernel.
NOT_THE_KERNELS = ("PATH", "PWD", "OLDPWD", "SHLVL", "_", "PYTHONHASHSEED", "LC_CTYPE")


@value
class Settings:
    """What stage 1 says, in variables INITFS_..., and what the kernel's command line does."""

    base: str  # the directory of this machine's policy
    scripts: str  # where rc.init and the like are
    init: str  # stage 1
    level: str  # the run-level when nobody names one
    grace: float  # seconds between TERM and KILL; 0: the default
    store: str  # where to keep the kernel's environment; "": nowhere
    container: bool
    sync: bool  # write out at a container's end
    catch_all: bool  # there is one
    watchdog: int  # seconds; 0: not used
    emergency: str  # `reset` or `shell`: what becomes of a machine whose process 1 can't go on
    parameters: Parameters


def settings(environment: Mapping[str, str]) -> Settings:
    """The Settings of this boot."""
    base = environment.get("INITFS_BASE", BASE)
    grace = environment.get("INITFS_GRACE", "")
    asked = parameters.parse(_cmdline())
    return Settings(
        base,
        environment.get("INITFS_SCRIPTS", base),
        environment.get("INITFS_INIT", "/init"),
        environment.get("INITFS_DEFAULT", "default"),
        int(grace) / 1000 if grace.isascii() and grace.isdigit() else 0.0,
        environment.get("INITFS_STORE", ""),
        "INITFS_CONTAINER" in environment,
        bool(environment.get("INITFS_SYNC")),
        "INITFS_NO_CATCH_ALL" not in environment,
        _watchdog(base) if asked.watchdog < 0 else asked.watchdog,
        asked.emergency or knob(f"{base}/emergency") or "reset",
        asked,
    )


def _watchdog(base: str) -> int:
    text = knob(f"{base}/watchdog")
    return min(int(text), parameters.SECONDS_MAX) if text.isascii() and text.isdigit() else 0


def knob(path: str) -> str:
    """The first line of a file, "" when there is none."""
    try:
        content = files.read(path) or b""
    except OSError as error:
        say.warning(f"unable to read {path}: {say.reason(error)}")
        return ""
    return content.partition(b"\n")[0].decode(errors="replace").strip()


def _cmdline() -> str:
    try:
        return (files.read("/proc/cmdline", size=CMDLINE_SIZE) or b"").decode(errors="replace")
    except OSError:
        return ""


def for_all(given: Mapping[str, str], base: str) -> dict[str, str]:
    """The environment of everything below process 1: PATH, TERM, and the files of BASE/env, whose content is taken as it is.

    An empty file takes its variable away.
    """
    made = {"PATH": given.get("PATH", "/usr/bin"), "TERM": given.get("TERM", "linux")}
    for name, text in read(f"{base}/env").items():
        made.pop(name, None)
        if text:
            made[name] = text
    return made


def read(directory: str) -> dict[str, str]:
    """The variables in a directory: a file each."""
    found = {}
    try:
        for name in sorted(os.listdir(directory)):
            if not name.startswith(".") and "=" not in name:
                content = files.read(f"{directory}/{name}", size=VALUE_SIZE) or b""
                found[name] = os.fsdecode(content.replace(b"\0", b"\n"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        say.warning(f"unable to read {directory}: {say.reason(error)}")
    return found


def kernels(given: Mapping[str, str]) -> dict[str, str]:
    """Of our own environment that part which the kernel made of its command line."""
    return {
        name: text
        for name, text in given.items()
        if name not in NOT_THE_KERNELS and not name.startswith(("INITFS_", "PYTHON"))
    }


def keep(directory: str, variables: Mapping[str, str]) -> None:
    """Write variables as files that `envdir -f` reads, for root's eyes only."""
    os.makedirs(directory, 0o700, exist_ok=True)
    os.chmod(directory, 0o700)
    for name, text in variables.items():
        files.write(f"{directory}/{name}", os.fsencode(text))


def limit(text: str) -> None:
    """Apply hard limits such as `c0,o=`: a letter of softlimit, and a number or `=`. What can't be had is said."""
    for word in filter(None, text.split(",")):
        import resource

        from initfs.chain import limits

        try:
            wanted = limits.amount(word[1:], "a letter, and a number or `=`")
            for name in limits.NAMES[word[0]]:
                which = getattr(resource, f"RLIMIT_{name}")
                now = [each % 2**64 for each in resource.getrlimit(which)]
                new = limits.changed(now[0], now[1], wanted, limits.HARD)
                soft, hard = (-1 if each == limits.INFINITE else each for each in new)
                resource.setrlimit(which, (soft, hard))
        except (say.Fatal, LookupError, AttributeError, ValueError, OSError) as error:
            say.warning(f"limit {word}: {error}")


def wait(text: str) -> None:
    """Begin only when nobody holds the other end of the descriptor TEXT any more: who made the container is ready then."""
    if not text.isdigit():
        return
    try:
        while os.read(int(text), VALUE_SIZE):
            pass
        os.close(int(text))
    except OSError as error:
        say.warning(f"unable to wait for descriptor {text}: {say.reason(error)}")
