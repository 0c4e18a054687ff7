"""Every program's name, and the module that has its `main(argv) -> exit code` and its `USAGE` line."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "events": "initfs.supervise.listen",
    "fw": "initfs.network.fw",
    "halt": "initfs.pid1.request",
    "init": "initfs.pid1.init",
    "poweroff": "initfs.pid1.request",
    "reboot": "initfs.pid1.request",
    "supervise": "initfs.supervise.tree",
    "svc": "initfs.supervise.svc",
    "svok": "initfs.supervise.svok",
    "svscan": "initfs.supervise.tree",
    "svscanctl": "initfs.supervise.svscanctl",
    "svstat": "initfs.supervise.svstat",
}
