"""Machines with a network: a real process 1, the repository's own service directories, busybox as in the image, cables between them.

A machine is that of machine.py; its /usr/bin has our programs and busybox's applets in front, as an image has. Cables are veth
pairs, laid between the machines' network namespaces, and pulled by taking one end down.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from board.services import template
from initfs.programs import PROGRAMS
from tests.namespace.machine import BECOME, ROOT, Machine, wait_until

if TYPE_CHECKING:
    from typing import Any, Self

SERVICES = ROOT / "services"
SKELETON = ROOT / "board/skeleton"
RC_INIT = """
while [ ! -e /host/go ]; do usleep 50000; done # until the cables are laid
mkdir -p /run/initfs/fw /run/service/.new
ip link set dev lo up
cp -a /etc/initfs/service/. /run/service/.new/
for each in /run/service/.new/*; do [ -d "$each" ] && mv "$each" /run/service/; done
exit 0
"""
# Before it becomes process 1: our programs in front of this machine's, and a network's settings of its own.
PREPARE = """
import os
os.system("mount -t overlay links -o lowerdir=/links:/usr/bin /usr/bin")
os.system("mount -t sysfs sys /sys")
"""
APPLETS = {"httpd": ("httpd", "tcpsvd")}  # what services need of busybox that not every busybox has
OTHERS = ("dnsmasq", "nft", "ip", "dropbear", "gpm", "nscd", "vpnc")


def busybox(*applets: str) -> Path:
    """A busybox that has these applets: Debian's, or the one that a build for this machine left in the cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "initfs"
    cache = Path(os.environ.get("INITFS_CACHE", home)) / "busybox"
    own = sorted(cache.glob("*/busybox"), key=lambda path: -path.stat().st_mtime)
    for path in (*own, *map(Path, filter(None, [shutil.which("busybox")]))):
        try:
            done = subprocess.run([path, "--list"], capture_output=True, text=True, check=False)
        except OSError:  # for another architecture
            continue
        if set(applets) <= set(done.stdout.split()):
            return path
    pytest.skip(f"no busybox here has {' '.join(applets)}: `inv image --board qemu-x86_64` builds one")


def prefers_itself(box: Path) -> bool:
    """Whether it takes an applet where PATH names a program, as Debian's newer busybox does: then `svc` is never ours."""
    done = subprocess.run(
        [box, "sh", "-c", "true; basename x"], env={"PATH": "/nowhere"}, capture_output=True, check=False
    )
    return done.returncode == 0


class Host(Machine):
    """A machine with services of the repository: names of instances, FILES beside or instead of the template's, and STUBS: shell
    scripts in the place of programs. OWN are those that its owner has in /data/service.
    """

    def __init__(
        self,
        path: Path,
        *services: str,
        files: dict[str, str] | None = None,
        stubs: dict[str, str] | None = None,
        templates: tuple[str, ...] = (),
        own: tuple[str, ...] = (),
        needs: tuple[str, ...] = ("udhcpc", "udhcpd"),
    ) -> None:
        path.mkdir(parents=True, exist_ok=True)
        super().__init__(path, rc_init=RC_INIT)
        self.become = PREPARE + BECOME
        self._services = (*services, *own)
        (self.root / "sys").mkdir()
        shutil.copytree(SKELETON, self.root, dirs_exist_ok=True)
        (self.root / "etc/resolv.conf").symlink_to("/run/resolv.conf")
        (self.root / "etc/initfs/board").write_text("BAUD=115200\nCONSOLE=tty\nIMAGE_TIME=1700000000\n")
        (self.root / "var").mkdir()
        (self.root / "var/run").symlink_to("/run")
        self._links(busybox(*needs, *(applet for name in services for applet in APPLETS.get(name, ()))))
        for name, script in (stubs or {}).items():
            (self.root / "links" / name).unlink(missing_ok=True)
            (self.root / "links" / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.root / "links" / name).chmod(0o755)
        known = [each.name for each in SERVICES.iterdir() if each.is_dir()]
        for name in services:
            target = self.root / "etc/initfs/service" / name
            shutil.copytree(SERVICES / template(name, known), target, symlinks=True)
        (self.root / "etc/initfs/service").mkdir(exist_ok=True)
        for name in templates:
            shutil.copytree(SERVICES / name, self.root / "etc/initfs/template" / name)
        for number, name in enumerate(own):
            self._owned(name, template(name, known), link=bool(number % 2))
        for name, content in (files or {}).items():
            place = self.root / ("data/service" if name.split("/")[0] in own else "etc/initfs/service") / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
            place.chmod(0o755 if content.startswith("#!") else 0o644)

    def _owned(self, name: str, source: str, *, link: bool) -> None:
        """A copy of a template in /data/service, or a link to the image's; either without a logger of its own."""
        place = self.root / "data/service" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        whole = self.root / "etc/initfs/template" / source if link else place
        shutil.copytree(SERVICES / source, whole)
        (whole / "log").touch()
        if link:
            place.symlink_to(f"../../etc/initfs/template/{source}")

    def _links(self, box: Path) -> None:
        """What comes first in /usr/bin: applets, then our own programs, as in an image."""
        links = self.root / "links"
        links.mkdir()
        shutil.copy(box, links / "busybox")
        applets = subprocess.run([box, "--list"], capture_output=True, text=True, check=True).stdout.split()
        own = {"busybox", "unshare", "nsenter", *(("sh", "ash", "env") if prefers_itself(box) else ())}
        for applet in applets:
            if applet not in PROGRAMS and applet not in own:
                (links / applet).symlink_to("busybox")
        for program in OTHERS:
            found = shutil.which(program, path="/usr/sbin:/sbin:/usr/bin")
            if found and not (links / program).exists():
                (links / program).symlink_to(os.path.realpath(found))
        site = [path for path in sys.path if path.endswith("site-packages")]
        (links / "initfs").write_text(
            f"#!{os.path.realpath(sys.executable)} -ISB\nimport sys\nsys.path[1:1] = {[str(ROOT), *site]!r}\n"
            "from initfs.main import main\nraise SystemExit(main())\n"
        )
        (links / "initfs").chmod(0o755)
        for name in PROGRAMS:
            if not (links / name).exists():
                (links / name).symlink_to("initfs")

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            pytest.skip("only root makes namespaces")
        super().__enter__()
        self.wait_for("stage2")
        return self

    def go(self) -> Self:
        """Have the services started: the cables are laid."""
        (self.host / "go").touch()
        self.wait_for("booted")
        for name in self._services:
            self.wait_for("supervised", name)
        return self

    def serving(self) -> Self:
        """Wait until leases are given: a client that asks too early asks again after three seconds only."""
        wait_until(lambda: "udhcpd: started" in self.log(), "the DHCP server")
        return self

    def sh(self, command: str) -> str:
        """What a shell command says inside; it must succeed."""
        done = self.inside("/bin/sh", "-c", command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self) -> str:
        """What services without a logger of their own have said."""
        path = self.host / "catch-all"
        return path.read_text(errors="replace") if path.exists() else ""

    def addresses(self, interface: str) -> list[str]:
        """The IPv4 addresses of an interface."""
        words = self.sh(f"ip -4 -o addr show dev {interface}").split()
        return [word for before, word in itertools.pairwise(words) if before == "inet"]

    def has(self, interface: str, start: str, timeout: float = 20.0) -> str:
        """Wait for an address that begins so; nothing of the tree tells of the kernel's addresses."""
        try:
            return str(
                wait_until(
                    lambda: [one for one in self.addresses(interface) if one.startswith(start)],
                    f"an address {start}... of {interface}",
                    timeout,
                )[0]
            )
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.addresses(interface)}\n{self.log()}") from None

    def lacks(self, interface: str, start: str, timeout: float = 20.0) -> None:
        """Wait until no address begins so."""
        wait_until(
            lambda: not [one for one in self.addresses(interface) if one.startswith(start)],
            f"the end of the address {start}... of {interface}",
            timeout,
        )

    def count(self, event: str, service: str) -> int:
        """How often an event has come so far."""
        while self.next(0.0) is not None:
            pass
        return [(one["event"], one["service"]) for one in self.events].count((event, service))

    def anew(self, event: str, service: str, before: int, timeout: float = 20.0) -> None:
        """Wait until an event has come more often than BEFORE."""
        wait_until(lambda: self.count(event, service) > before, f"{event} of {service}", timeout)


OPEN = "zone any\n interface *\n accept all\n"
LEASES = """start {net}.100
end {net}.110
max_leases 11
lease_file udhcpd.leases
option subnet 255.255.255.0
option router {net}.1
option dns {net}.53
option ntpsrv {net}.123
option domain lan.example
option lease 600
"""


def server(path: Path, net: str = "10.7.0", interface: str = "eth0", more: str = "", **options: Any) -> Host:
    """A machine that gives leases of a network on an interface."""
    files = {
        f"fw/conf/{interface}.ipconf": f"interface {interface}\naddress {net}.1/24\n",
        "fw/conf/machine.fwconf": OPEN,
        f"dhcpd_{interface}/udhcpd.conf": LEASES.format(net=net) + more,
        **options.pop("files", {}),
    }
    return Host(path, "fw", f"dhcpd_{interface}", *options.pop("services", ()), files=files, **options)


def cable(one: Host, name: str, other: Host, its: str) -> None:
    """Lay a cable between two machines; both ends are born in their namespaces, under their names."""
    subprocess.run(
        ["ip", "link", "add", name, "netns", str(one.pid), "type", "veth", "peer", "name", its, "netns", str(other.pid)],
        check=True,
    )  # fmt: skip


def dangling(one: Host, name: str) -> None:
    """An interface whose other end nobody has: up, and carried by itself."""
    subprocess.run(
        ["ip", "link", "add", name, "netns", str(one.pid), "type", "veth", "peer", "name", f"{name}-far", "netns", str(one.pid)],
        check=True,
    )  # fmt: skip
    one.sh(f"ip link set {name}-far up")


def recorded(service: str) -> dict[str, str]:
    """Files that have a service's handler tell its arguments and environment before it does its work."""
    handler = (
        SERVICES / template(service, [path.name for path in SERVICES.iterdir()]) / "handler"
    ).read_text()
    record = '{ echo "event $*"; env; echo end; } >>/host/calls\n'
    return {f"{service}/handler": handler.replace("#!/bin/sh\n", f"#!/bin/sh\n{record}", 1)}


def told(host: Host) -> list[tuple[str, dict[str, str]]]:
    """(arguments, environment) of each call of a recorded handler so far."""
    found: list[tuple[str, dict[str, str]]] = []
    path = host.host / "calls"
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("event "):
            found.append((line.removeprefix("event "), {}))
        elif "=" in line and found:
            name, _, value = line.partition("=")
            found[-1][1][name] = value
    return found
