"""What `init-maker` writes, as text. Pure. Source: `spec/init.md` 7.2 to 7.5.

The scripts are the admin's to edit afterwards; the service directories are not known to the service manager.
"""

from __future__ import annotations

from initfs.supervise.scripts import quote, words
from initfs.value import value

HEAD = "#!/bin/sh\n"
STAMPS = {0: "", 1: "t", 2: "T", 3: "t T"}
# What stage 1 leaves to an executable in .svscan; -a: only if shutdown.allow allows it.
MACHINE = {"SIGINT": "shutdown -a -r now", "SIGUSR1": "shutdown -a -p now", "SIGPWR": "shutdown -a -p now",
           "SIGUSR2": "shutdown -a -h -H now", "SIGTERM": "", "SIGQUIT": "", "SIGWINCH": ""}  # fmt: skip
CONTAINER = {"SIGINT": "reboot", "SIGUSR1": "poweroff", "SIGPWR": "poweroff", "SIGUSR2": "halt", "SIGTERM": "halt",
             "SIGQUIT": "", "SIGWINCH": ""}  # fmt: skip
USERS_PROGRAMS = ("telinit", "shutdown", "halt", "poweroff", "reboot")
BEGIN, END = "# Settings:", "# End of settings."


@value
class Design:
    """The options of init-maker."""

    base: str = "/etc/initfs/current"
    user: str = "root"
    getty: str = ""
    console: bool = False  # the catch-all's lines go to the console as well
    logouthook: bool = False
    path: str = "/usr/bin:/bin"
    umask: str = "022"
    stamp: int = 1
    dev: str = ""
    store: str = ""
    grace: int = 3000  # milliseconds
    level: str = "default"
    run: str = "mount"  # mount, remount, keep
    limits: str = ""
    verbosity: int = 1
    container: bool = False
    sync: bool = False
    wait: int = 0  # a descriptor whose end of file is waited for
    catch_all: bool = True


def stage1(template: str, design: Design) -> str:
    """bin/init: stage 1 with these settings in place of an image's. ValueError when TEMPLATE has no place for them."""
    before, begin, rest = template.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("stage 1 has no settings")
    return f"{before}# Settings.\n{settings(design)}{END}{after}"


def settings(design: Design) -> str:
    """The shell's assignments."""
    lines = [
        f"base={quote(design.base)} scripts={quote(design.base + '/scripts')}",
        f"dev={quote(design.dev)} run={design.run} container={'1' * design.container}",
        f"export PATH={quote(design.path)}",
        f"umask {design.umask}",
        f"export INITFS_GRACE={design.grace} INITFS_DEFAULT={quote(design.level)}",
    ]
    lines += [f"export INITFS_STORE={quote(design.store)}"] * bool(design.store)
    lines += [f"export INITFS_LIMITS={quote(design.limits)}"] * bool(design.limits)
    if design.container:
        lines.append(f"export INITFS_CONTAINER=1 INITFS_SYNC={'1' * design.sync}")
    if not design.catch_all:
        lines.append("export INITFS_NO_CATCH_ALL=1")
    lines += [f"export INITFS_WAIT={design.wait}"] * bool(design.wait)
    if design.verbosity:
        lines.append("case $1 in --*) ;; *) echo 'init: info: booting' ;; esac")
    return "".join(f"{line}\n" for line in lines)


def files(design: Design) -> dict[str, tuple[int, str]]:
    """Every file but bin/init: path -> (mode, content)."""
    found = {f"bin/{name}": (0o755, f'{HEAD}exec initfs {name} "$@"\n') for name in USERS_PROGRAMS}
    found |= {f"scripts/{name}": (0o755, text) for name, text in scripts(design).items()}
    private = "run-image/service/.svscan"
    for name, command in (CONTAINER if design.container else MACHINE).items():
        found[f"{private}/{name}"] = (0o755, HEAD + (f"exec initfs {command}\n" if command else ""))
    found[f"{private}/crash"] = (0o755, last(design, "process 1 can't go on"))
    found[f"{private}/finish"] = (0o755, last(design, "process 1 has come to an end"))
    for service, content in services(design).items():
        for name, text in content.items():
            mode = 0o755 if text.startswith("#!") else 0o644
            found[f"run-image/service/{service}/{name}"] = (mode, text)
    return found


def last(design: Design, why: str) -> str:
    """The scripts for what must not happen: say so on the console, and begin again."""
    how = "initfs nuke\nexec initfs poweroff -f" if design.container else "exec initfs reboot -f"
    return f"{HEAD}exec >/dev/console 2>&1\necho 'init: fatal: {why}'\n{how}\n"


def scripts(design: Design) -> dict[str, str]:
    """The admin's scripts, as they are to begin with."""
    if design.container:
        init = (
            'level=$1\nshift\n[ $# -gt 0 ] || exit 0\n"$@"\necho $? >/run/initfs/exitcode\nexec initfs halt\n'
        )
    else:
        init = f'initfs rc-init /run/service || exit\nexec {quote(design.base)}/scripts/runlevel "$1"\n'
    return {
        "rc.init": HEAD + init,
        "runlevel": f'{HEAD}exec initfs rc -v2 -up change "$1"\n',
        "rc.shutdown": f"{HEAD}[ ! -d /run/rc ] || exec initfs rc -v2 -bDa change\n",
        "rc.shutdown.final": HEAD,
    }


def services(design: Design) -> dict[str, dict[str, str]]:
    """The early services: name -> file -> content."""
    found = {"runleveld": {"run": runleveld(design), "notification-fd": "3\n"}}
    if design.catch_all:
        found["svscan-log"] = {"run": logger(design), "notification-fd": "3\n"}
    if design.getty:
        found["early-getty"] = {"run": f"{HEAD}exec {design.getty}\n"}
    if design.logouthook:
        server = words("initfs", "ipcserver", "-1", "-a", "0700", "-c", "1000", "--", "s")
        run = f"{HEAD}exec 2>&1\nexec {server} initfs logouthookd\n"
        found["logouthookd"] = {"run": run, "notification-fd": "3\n"}
    return found


def runleveld(design: Design) -> str:
    """Changes of the run-level: one at a time, in an environment of their own, and whatever becomes of who asked."""
    server = "initfs fdmove 1 3 initfs ipcserver -1 -a 0700 -c 1 -- s"
    script = quote(design.base + "/scripts/runlevel")
    return f"{HEAD}exec 2>&1\nexec {server} initfs sudod -d -t 30000 -- {script}\n"


def logger(design: Design) -> str:
    """The catch-all logger. Its own errors, and with -1 all lines, go to the console, which is its descriptor 2."""
    out = "1>&2" if design.console else ">/dev/null"
    directives = " ".join(["1"] * design.console + [STAMPS[design.stamp]] * bool(design.stamp))
    drop = f"initfs setuidgid {quote(design.user)} " if design.user != "root" else ""
    log = f"initfs svlog -bpd3 -- {directives} /run/uncaught-logs".replace("--  ", "-- ")
    return f"{HEAD}exec <fifo {out}\nexec {drop}{log}\n"
