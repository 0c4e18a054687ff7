"""Every program's name, and the module that has its `main(argv) -> exit code` and its `USAGE` line."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "cleanfifodir": "initfs.notify.mkfifodir",
    "events": "initfs.supervise.listen",
    "ftrig-listen": "initfs.notify.ftrig_listen",
    "ftrig-listen1": "initfs.notify.ftrig_wait",
    "ftrig-notify": "initfs.notify.ftrig_notify",
    "ftrig-wait": "initfs.notify.ftrig_wait",
    "fw": "initfs.network.fw",
    "halt": "initfs.pid1.request",
    "init": "initfs.pid1.init",
    "mkfifodir": "initfs.notify.mkfifodir",
    "notify-fd-from-socket": "initfs.notify.fd_from_socket",
    "notify-socket-from-fd": "initfs.notify.socket_from_fd",
    "notifywhenup": "initfs.notify.notifywhenup",
    "poweroff": "initfs.pid1.request",
    "reboot": "initfs.pid1.request",
    "supervise": "initfs.supervise.supervise",
    "svc": "initfs.supervise.svc",
    "svlisten": "initfs.notify.svlisten",
    "svlisten1": "initfs.notify.svlisten",
    "svok": "initfs.supervise.svok",
    "svscan": "initfs.supervise.svscan",
    "svscanctl": "initfs.supervise.svscanctl",
    "svstat": "initfs.supervise.svstat",
    "svwait": "initfs.notify.svwait",
}
