"""devd: what comes and goes among devices, turned into drivers, permissions, links and services by rules (docs/networking.md).

Source: the kernel's own messages, by pyudev; there is no udevd. First what is there (coldplug), then ready, then what comes. What went while
nobody listened is seen from the instances and links that no device asks for.
"""

from __future__ import annotations

import os

from initfs import files, loop, options, process, say, signals
from initfs.devices import links, rules
from initfs.devices.drivers import Drivers
from initfs.devices.instances import of_devices
from initfs.devices.monitor import Monitor
from initfs.loop import NEVER

USAGE = "devd [-d fd] [-s scandir] rules.d"
AGAIN = 10.0  # seconds until all is looked at again, because a change of services has failed


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "d:s:", USAGE)
    found = dict(given)
    if len(rest) != 1:
        raise say.usage(USAGE)
    ready = options.number(found["d"], USAGE, 1) if "d" in found else -1
    return Devd(read(rest[0]), found.get("s", "/run/service")).run(ready)


def read(directory: str) -> list[rules.Rule]:
    """The rules of all files of a directory, in order of their names; a file with an error is refused, and said."""
    import tomllib

    found: list[rules.Rule] = []
    for name in sorted(each for each in os.listdir(directory) if each.endswith(".toml")):
        path = f"{directory}/{name}"
        try:
            with open(path, "rb") as source:
                found += rules.parse(tomllib.load(source), name)
        except (rules.Invalid, ValueError, OSError) as error:
            say.warning(f"{path} refused: {error}")
    return found


class Devd:
    """The loop, and what obeys the rules."""

    def __init__(self, known: list[rules.Rule], scandir: str) -> None:
        self.rules, self.scandir = known, scandir
        self.monitor = Monitor()
        self.drivers = Drivers()
        self.waiting: list[list[str]] = []  # changes of services, one after the other: order matters
        self.child = 0
        self.due = NEVER
        self.ended = False
        self.loop = loop.Loop()
        self.loop.watch(self.monitor.fileno(), self.heard)
        self.loop.on_signals(self.signalled, signals.TERM, signals.INT, signals.CHLD)

    def run(self, ready: int) -> int:
        self.look()
        if ready >= 0:
            os.write(ready, b"\n")
            os.close(ready)
        while not self.ended:
            self.next()
            self.loop.turn(self.due)
            if loop.now() >= self.due:
                self.look()
        return say.OK

    def look(self) -> None:
        """Act on all that is there, and on what is not there any more."""
        self.due = NEVER
        devices = list(self.monitor.present())
        effects = dict.fromkeys(effect for device in devices for effect in rules.came(self.rules, device))
        for path, node in links.made():
            if rules.Link(path, node) not in effects:
                self.obey(rules.Unlink(path, node))
        for name in of_devices(self.scandir):
            if rules.Begin(name) not in effects:
                self.obey(rules.End(name))
        for effect in effects:
            self.obey(effect)
        self.drivers.flush()

    def heard(self) -> None:
        for action, device in self.monitor.events():
            # `move` is a new name, of an interface for one: the services of the old one end with their own `remove`
            if action in ("add", "change", "bind", "move"):
                effects = rules.came(self.rules, device) if action != "change" else []
            else:
                effects = rules.went(self.rules, device) if action == "remove" else []
            for effect in effects:
                self.obey(effect)
        self.drivers.flush()

    def obey(self, effect: object) -> None:
        match effect:
            case rules.Load(modalias):
                self.drivers.want(modalias)
            case rules.Permit():
                files.tried(f"set the permissions of {effect.node}", lambda: permit(effect))
            case rules.Link(path, node):
                files.tried(f"make {path}", lambda: links.make(path, node))
            case rules.Unlink(path, node):
                files.tried(f"remove {path}", lambda: links.remove(path, node))
            case rules.Begin(name):
                self.waiting.append(["hotplug-service", "-ds", self.scandir, "add", name])
            case rules.End(name):
                self.waiting.append(["hotplug-service", "-s", self.scandir, "remove", name])
            case rules.Wake(name):
                wake = ["svc", "-u", f"{self.scandir}/{name}"]
                if wake not in self.waiting and os.path.isdir(f"{self.scandir}/{name}"):
                    self.waiting.append(wake)

    def next(self) -> None:
        """Start the next change when the one before has ended; one that fails says so itself."""
        while self.waiting and not self.child:
            command = self.waiting.pop(0)
            paths = process.candidates(command[0], os.environ)
            found = next((path for path in paths if os.access(path, os.X_OK)), command[0])
            try:
                self.child = process.spawn(found, command, os.environ, session=False)
            except OSError as error:
                say.warning(f"unable to run {command[0]}: {say.reason(error)}")

    def signalled(self, signum: int) -> None:
        if signum != signals.CHLD:
            self.ended = True
            return
        for pid, status in process.reap():
            if pid == self.child:
                self.child = 0
                if status not in (0, say.USAGE << 8):  # which no second time would mend
                    self.due = min(self.due, loop.now() + AGAIN)


def permit(wanted: rules.Permit) -> None:
    """Give a node its owner and mode. A name that nobody has is an OSError."""
    import grp
    import pwd

    try:
        uid = pwd.getpwnam(wanted.owner).pw_uid if wanted.owner else -1
        gid = grp.getgrnam(wanted.group).gr_gid if wanted.group else -1
    except KeyError as error:
        raise OSError(0, str(error)) from None
    os.chown(wanted.node, uid, gid)
    if wanted.mode >= 0:
        os.chmod(wanted.node, wanted.mode)
