"""Stands for QEMU: connects to the sockets on its command line and plays a guest that boots, runs commands and stops.

The last kernel argument chooses what goes wrong: nothing, `panic`, `die`, `deaf` (it hears neither QMP nor TERM), `silent`.
"""

from __future__ import annotations

import base64
import json
import re
import selectors
import signal
import socket
import subprocess
import sys

WORDS = sys.argv[1:]
MOOD = WORDS[WORDS.index("-append") + 1].split()[-1]
BOOT = (
    ("stage1", ""),
    ("python", ""),
    ("tree", ""),
    ("up", "getty_x"),
    ("ready", "getty_x"),
    ("stage2", ""),
    ("booted", ""),
)


def connect() -> dict[str, socket.socket]:
    paths = dict(re.findall(r"socket,id=(\w+),path=([^,\s]+)", " ".join(WORDS)))
    sockets = {name: socket.socket(socket.AF_UNIX) for name in paths}
    for name, path in paths.items():
        sockets[name].connect(path)
    return sockets


def event(number: int, name: str, service: str) -> bytes:
    told = {
        "seq": number,
        "boot": "b",
        "time": number / 10,
        "service": service,
        "event": name,
        "pid": 0,
        "reason": "",
    }
    return json.dumps(told).encode() + b"\n"


def say(to: socket.socket, **message: object) -> None:
    to.sendall(json.dumps(message).encode() + b"\n")


def boot(sockets: dict[str, socket.socket]) -> None:
    say(sockets["qmp"], QMP={})
    if MOOD == "silent":
        return
    sockets["console"].sendall(b"booting\r\n")
    for number, (name, service) in enumerate(BOOT, 1):
        sockets["events"].sendall(event(number, name, service))
    if MOOD == "panic":
        sockets["console"].sendall(b"Kernel panic - not syncing: x\r\n")
    elif MOOD == "die":
        sys.exit("fake: it is broken")
    say(sockets["agent"], agent="initfs.agent")


def monitor(to: socket.socket, asked: dict[str, object]) -> None:
    if MOOD != "deaf":
        say(to, id=asked["id"], **{"return": {}})
        if asked["execute"] == "quit":
            sys.exit(0)


def agent(sockets: dict[str, socket.socket], asked: dict[str, object]) -> None:
    words = asked["run"]
    assert isinstance(words, list)
    if words[-1] == "poweroff":
        sockets["events"].sendall(event(8, "stopping", "") + event(9, "ending", ""))
        say(sockets["qmp"], event="SHUTDOWN", data={"guest": True, "reason": "guest-shutdown"})
        sys.exit(0)
    done = subprocess.run(words, capture_output=True, check=False)
    say(sockets["agent"], id=asked["id"], stdout=base64.b64encode(done.stdout).decode())
    say(sockets["agent"], id=asked["id"], exit=done.returncode)


def main() -> None:
    if MOOD == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sockets = connect()
    boot(sockets)
    waiting = selectors.DefaultSelector()
    files = {name: each.makefile("rb") for name, each in sockets.items()}
    for name, each in sockets.items():
        waiting.register(each, selectors.EVENT_READ, name)
    while True:
        for key, _ in waiting.select():
            line = files[key.data].readline()
            if not line:
                sys.exit(3)  # the host is gone
            if key.data == "qmp":
                monitor(sockets["qmp"], json.loads(line))
            elif key.data == "agent":
                agent(sockets, json.loads(line))


if __name__ == "__main__":
    main()
