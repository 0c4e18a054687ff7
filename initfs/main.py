"""The one program of many names: `initfs NAME argument...`, or a link called NAME. It imports only what NAME needs."""

from __future__ import annotations

import os
import sys

from initfs import files, say
from initfs.programs import PROGRAMS

COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def main(argv: list[str] | None = None) -> int:
    """Run the program that argv names and return its exit code."""
    uncoerce()
    argv = list(sys.argv if argv is None else argv)
    service = behind_link(argv[0])
    argv[0] = os.path.basename(argv[0])
    if service:
        return run(argv, service)
    if argv[0] not in PROGRAMS:
        argv = argv[1:]
    if not argv or argv[0] not in PROGRAMS:
        say.fatal(f"usage: initfs NAME argument..., where NAME is one of: {' '.join(sorted(PROGRAMS))}")
        return say.USAGE
    return run(argv)


def uncoerce() -> None:
    """Take back the LC_CTYPE that Python put into the environment (PEP 538, in the C locale and even with -I).

    /proc/self/environ is the environment as it was handed to us; without /proc nobody can tell, and it stays.
    """
    if os.environ.get("LC_CTYPE") not in COERCED:
        return
    given = (
        files.read("/proc/self/environ", size=1 << 20)
        if os.path.exists("/proc/self/environ")
        else b"LC_CTYPE="
    )
    if b"LC_CTYPE=" not in b"\0" + (given or b""):
        del os.environ["LC_CTYPE"]


def behind_link(path: str) -> str:
    """The program whose link the link PATH leads to, when PATH itself has another name: as init.d/web -> sv; "" for none."""
    if os.path.basename(path) in PROGRAMS or not os.path.islink(path):
        return ""
    target = os.path.join(os.path.dirname(path), os.readlink(path))
    name = os.path.basename(target)
    return name if name in PROGRAMS else behind_link(target)


def run(argv: list[str], name: str = "") -> int:
    """Run the program NAME, or argv[0], in this process; whatever it raises is said in one grammar."""
    say.program = argv[0]
    try:
        module = __import__(PROGRAMS[name or argv[0]], fromlist=["main"])
        if "--help" in argv[1:2]:
            print(f"usage: {module.USAGE}")
            return say.OK
        return int(module.main(argv))
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return fatal.code
    except OSError as error:
        say.fatal(f"unable to go on: {say.reason(error)}" + (f": {error.filename}" if error.filename else ""))
        return say.TEMPORARY
    except KeyboardInterrupt:
        return 128 + 2


if __name__ == "__main__":
    sys.exit(main())
