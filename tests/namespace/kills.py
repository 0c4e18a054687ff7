"""What the campaign of kills does inside a machine, run there as `kills SEED COUNT`: bursts of random kills, and after each a calm in which all has to be well.

The machine is that of test_init_kills.py. Says what it has killed, as JSON; AssertionError tells what is not well.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter

from initfs import files
from initfs.supervise.status import RUN, decode

SCAN = "/run/service"
STATE = (
    "/run/campaign"  # a file for each oneshot that is up, and `broken` if one came or went when it must not
)
BURST = 40  # kills until all has to be well
LIMIT = 60.0  # seconds for that
# What depends on what, for the service manager; those with a w are longruns.
NEEDS = {"o0": (), "o1": ("o0",), "o2": ("o1",), "o3": ("o1",), "w0": ("o2", "o3"), "o4": ("w0",), "w1": ("o4",), "o5": ("w1", "o3")}  # fmt: skip
TALKERS = (
    "talker0",
    "talker1",
    "talker2",
    "talker3",
)  # the first half with loggers of their own, the others with a shared one
DEVICES = ("eth0", "eth1", "eth2")
WEIGHTS = {"service": 6, "logger": 4, "shared": 2, "manager": 5, "runner": 2, "devd": 2}
CHANGES = {True: ["rc", "-b", "change", "default"], False: ["rc", "-b", "-da", "change"]}


class Campaign:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.killed: Counter[str] = Counter()
        self.changes = 0
        self.up = True  # what the manager is asked for, again and again until it is done
        self.change = self.begin_change()

    def begin_change(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(CHANGES[self.up], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # The burst ------------------------------------------------------------------------------------

    def burst(self, count: int) -> None:
        """So many kills, with changes, devices that come and go, and executions of process 1 anew between them."""
        goal = self.killed.total() + count
        while self.killed.total() < goal:
            if self.change.poll() is not None:
                self.change = self.begin_change()
            kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            self.killed[kind] += self.kill(kind)
            if self.chance.random() < 0.1:
                self.replug(self.chance.choice(DEVICES))
            if self.chance.random() < 0.03:
                files.send(f"{SCAN}/.svscan/control", b"x")
                self.killed["renewed"] += 1
            pause(self.chance.uniform(0, 0.05))

    def kill(self, kind: str) -> bool:
        """Kill one of a kind; False when it is down just now."""
        if kind == "manager":
            running = self.change.poll() is None
            self.change.kill()
            return running
        pid = status_pid(self.chance.choice(victims(kind)))
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def replug(self, device: str) -> None:
        """A network card that is there goes; one that is not comes."""
        words = (
            ["del", device]
            if plugged(device)
            else ["add", device, "type", "veth", "peer", "name", f"far{device}"]
        )
        subprocess.run(["ip", "link", *words], check=True)

    # The calm -------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Nothing is killed: the change ends, at the latest when it is run again, and then all is well."""
        if self.change.wait(LIMIT):
            self.change = self.begin_change()
            assert self.change.wait(LIMIT) == 0, "the same change again does not complete it"
        self.changes += 1
        deadline = time.monotonic() + LIMIT
        while why := self.unwell():
            assert time.monotonic() < deadline, f"{why}; so far {dict(self.killed)}"
            pause(0.05)
        self.up = not self.up
        self.change = self.begin_change()

    def unwell(self) -> str:
        """What is not as it should be; "" for nothing."""
        return next(filter(None, (self.unlike_devices(), self.unlike_manager(), self.unlike_processes())), "")

    def unlike_devices(self) -> str:
        names = os.listdir(SCAN)
        there = {name for name in names if name.startswith("plug_")}
        wanted = {f"plug_{device}" for device in DEVICES if plugged(device)}
        left = [name for name in names if name.startswith(".plug_")]
        return f"devices ask for {wanted}, there are {there} and {left}" if left or there != wanted else ""

    def unlike_manager(self) -> str:
        found = set(os.listdir(STATE))
        wanted = {name for name in NEEDS if name[0] == "o"} if self.up else set()
        with contextlib.suppress(FileNotFoundError), open(f"{STATE}/broken") as broken:
            raise AssertionError(broken.read())
        told = subprocess.run(["rc", "-b", "-a", "list"], capture_output=True, text=True, check=True).stdout
        claimed = {name for name in told.split() if name in NEEDS}
        if claimed != (set(NEEDS) if self.up else set()) or found != wanted:
            return f"up are {found}, claimed {claimed}, asked for {self.up}"
        return ""

    def unlike_processes(self) -> str:
        """Each service is one process, or none if it is to be down; and none is left where there is no service any more."""
        there = by_directory()
        for path in services():
            real = os.path.realpath(path)
            content = files.read(f"{path}/supervise/status")
            if not content:
                return f"{path} has no status yet, or goes just now"
            status = decode(content)
            pids = there.pop(real, [])
            if pids != ([status.pid] if status.wanted else []) or (status.state == RUN) != status.wanted:
                return f"{path}: {status}, processes {pids}"
        return "".join(
            f"processes {pids} in {path}" for path, pids in there.items() if path.startswith("/run/")
        )


def victims(kind: str) -> list[str]:
    """The service directories of a kind."""
    if kind == "service":
        return [path for path in services() if path.rpartition("/")[2].startswith(("talker", "plug_", "w"))]
    if kind == "logger":
        return [f"{SCAN}/{name}/log" for name in TALKERS[:2]] + [f"{SCAN}/svscan-log"]
    names = {"shared": "svscan-logger", "runner": "s6rc-oneshot-runner", "devd": "devd"}
    return [f"{SCAN}/{names[kind]}"]


def services() -> list[str]:
    """All service directories, loggers too."""
    found = [f"{SCAN}/{name}" for name in sorted(os.listdir(SCAN)) if name[0] != "."]
    return [*found, *(f"{path}/log" for path in found if os.path.isdir(f"{path}/log"))]


def status_pid(path: str) -> int:
    """The process of a service, 0 for none."""
    status = files.read(f"{path}/supervise/status")
    return decode(status).pid if status else 0


def by_directory() -> dict[str, list[int]]:
    """The processes that have a directory as their working directory; without the dead, and process 1, which has been everywhere."""
    found: dict[str, list[int]] = {}
    for name in filter(str.isdigit, set(os.listdir("/proc")) - {"1"}):
        with contextlib.suppress(OSError):
            found.setdefault(os.readlink(f"/proc/{name}/cwd"), []).append(int(name))
    return found


def plugged(device: str) -> bool:
    return os.path.exists(f"/sys/class/net/{device}")


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def main() -> None:
    seed, count = map(int, sys.argv[1:])
    campaign = Campaign(random.Random(seed))
    campaign.calm()
    for done in range(0, count, BURST):
        campaign.burst(min(BURST, count - done))
        campaign.calm()
    assert campaign.change.wait(LIMIT) == 0
    print(json.dumps({**campaign.killed, "changes": campaign.changes}))


if __name__ == "__main__":
    main()
