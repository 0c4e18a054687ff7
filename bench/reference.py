"""Other suites as process 1 of the very same image, beside ours: how long until their services run, and what they weigh.

Each boots the board's kernel and root with an archive on top that has another `/init` and the same services: shells that note when they began
and become a `sleep`. `initfs` is our stage 1 and process 1 with its catch-all logger, but without stage 2. `busybox` is the init of Debian's
busybox-static, which starts runit's runsvdir; `s6` is s6-svscan as process 1. Both have the same mounts before them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import cpio, host, store
from board.apt import Root
from board.host import Failure
from board.tree import Directory, File
from qemu.times import table
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from board.build import Image
    from board.model import Board
    from board.tree import Record

LIMIT = 300.0  # seconds for one boot; a good case takes ten
COUNT = 10  # services
HOME = "/bench"
SUITES = ("initfs", "busybox", "s6")
COLUMNS = ("init", "first", "all", "process 1", "suite")
# Debian packages, and which of their files are needed.
PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "initfs": {},
    "busybox": {"busybox-static": ("usr/bin/busybox", "bin/busybox"), "runit": ("usr/bin/runsv", "usr/bin/runsvdir")},
    "s6": {"s6": ("usr/bin/s6-svscan", "usr/bin/s6-supervise", "bin/s6-svscan", "bin/s6-supervise")},
}  # fmt: skip
LIBRARIES = (
    "libs6",
    "libskarnet",
    "libexecline",
)  # names of packages begin so; what else they need is in the image
MOUNTS = """#!/bin/sh
export PATH=/usr/bin:/bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
[ -r /proc/uptime ] || mount -t proc proc /proc
[ -d /sys/class ] || mount -t sysfs sys /sys
mount -t tmpfs -o mode=0755 run /run
mkdir -p /run/service
cp -a /bench/early/. /run/service/
"""
BEGIN = "read -r now _ </proc/uptime; echo $now >/run/began\n"
INITS = {
    "busybox": f"{MOUNTS}{BEGIN}exec /usr/bin/busybox-static init\n",
    "s6": f"{MOUNTS}{BEGIN}exec s6-svscan /run/service\n",
}
INITTAB = "::respawn:/usr/bin/runsvdir -P /run/service\n"
SERVICE = "#!/bin/sh\nread -r now _ </proc/uptime\necho $now >/run/new.{0}; mv /run/new.{0} /run/at.{0}\nexec sleep 100000\n"
LOGGER = "#!/bin/sh\nexec <fifo >/dev/null\necho >&3\nexec 3>&-\nexec cat >>/run/uncaught-logs/current\n"
# Started like the others; once all have begun it tells when, and the memory that each process of a suite has for itself.
TELLER = """#!/bin/sh
exec >/dev/console
while set -- /run/at.*; [ $# -lt {0} ]; do sleep 0.2; done
sleep 2
read -r began </run/began
own=0; all=0
for each in /proc/[0-9]*; do
    name= anonymous=0
    while read -r key size _; do
        case $key in Name:) name=$size ;; RssAnon:) anonymous=$size ;; esac
    done <$each/status
    [ $each != /proc/1 ] || own=$anonymous
    case $each-$name in
    /proc/1-* | *-runsv | *-runsvdir | *-s6-supervise) all=$((all + anonymous)) ;;
    esac
done
echo "measured: $began $own $all" $(cat "$@")
exec sleep 100000
"""


@dataclass(frozen=True)
class Overlaid:
    """The board's kernel, and its root with another archive on top."""

    kernel: Path
    initramfs: Path


def measure(board: Board, image: Image, suites: Iterable[str] = SUITES) -> dict[str, dict[str, float]]:
    """Boot the image once with each suite; return what `figures` finds, suite by suite."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="initfs-bench-") as folder:
        for suite in suites:
            found[suite] = figures(boot(board, overlaid(board, image, suite, Path(folder))))
    return found


def boot(board: Board, image: Overlaid) -> str:
    """Boot; return what the teller said."""
    with Machine(board, image) as vm:
        return vm.wait_console(r"measured: ([0-9. ]+)\n", timeout=LIMIT)[1]


def figures(told: str) -> dict[str, float]:
    """When the suite began, seconds after the kernel; from there until its first and its last service; MB of process 1's own, and of the suite's."""
    began, own, every, *starts = map(float, told.split())
    return {
        "init": began,
        "first": round(min(starts) - began, 2),
        "all": round(max(starts) - began, 2),
        "process 1": round(own / 1024, 2),
        "suite": round(every / 1024, 2),
    }


def overlaid(board: Board, image: Image, suite: str, folder: Path) -> Overlaid:
    """The image with a suite as its process 1. An archive that is not compressed begins at a multiple of four bytes."""
    path = folder / suite
    path.write_bytes(cpio.padded(image.initramfs.read_bytes()) + cpio.archive(records(board, suite), mtime=0))
    return Overlaid(image.kernel, path)


def records(board: Board, suite: str) -> Iterator[Record]:
    """All that a suite needs beside the image."""
    yield Directory(path=HOME)
    yield Directory(path=f"{HOME}/early")
    for name, script in scripts(suite).items():
        yield Directory(path=f"{HOME}/early/{name}")
        yield File(path=f"{HOME}/early/{name}/run", mode=0o755, data=script.encode())
    if suite == "initfs":
        yield File(path=f"{HOME}/early/svscan-log/notification-fd", data=b"3\n")
        yield File(path=f"{HOME}/rc.init", mode=0o755, data=b"#!/bin/sh\n")
        yield File(path="/init", mode=0o755, data=stage1().encode())
        return
    yield from programs(board, suite)
    yield File(path="/init", mode=0o755, data=INITS[suite].encode())
    if suite == "busybox":
        yield File(path="/etc/inittab", data=INITTAB.encode())


def scripts(suite: str) -> dict[str, str]:
    """The services: name to `run`."""
    found = {f"service{number}": SERVICE.format(number) for number in range(COUNT)}
    found["teller"] = TELLER.format(COUNT)
    if suite == "initfs":
        found["svscan-log"] = LOGGER
    return found


def stage1() -> str:
    """Our stage 1 for these services. What is noted is the moment before it becomes Python, as the others' before they become what they are."""
    text = (host.ROOT / "initfs/pid1/stage1.sh").read_text()
    for old, new in (
        ("base=/etc/initfs scripts=/etc/initfs\n", f"base={HOME} scripts={HOME}\n"),
        ('\nbecome "$@"\n', f'\n{BEGIN}become "$@"\n'),
    ):
        if text.count(old) != 1:
            raise Failure("measure the reference", f"{old.strip()!r} is not in stage 1")
        text = text.replace(old, new)
    return text


def programs(board: Board, suite: str) -> Iterator[Record]:
    """The suite's programs and libraries, from Debian's packages for the board."""
    target = Root(board.suite, board.architecture)
    wanted = PARTS[suite]
    for file in store.resolve(target, [f"+{name}" for name in sorted(wanted)]):
        base = None
        if file.package in wanted or file.package.startswith(LIBRARIES):
            base = store.unpack(target, file)
        for name in wanted.get(file.package, ()):
            if base and (base / name).is_file():
                yield File(path=placed(name), mode=0o755, data=(base / name).read_bytes())
        if base and file.package not in wanted:
            yield from libraries(base)


def placed(name: str) -> str:
    """Where a program goes. The image's own busybox is what runs the scripts."""
    return f"/usr/bin/{Path(name).name}".replace("busybox", "busybox-static")


def libraries(base: Path) -> Iterator[Record]:
    """The shared libraries in a package, where the loader looks for them: their directories are in the image."""
    for path in sorted(base.rglob("lib*.so.*")):
        inside = str(path.relative_to(base)).removeprefix("usr/")
        yield File(path=f"/usr/{inside}", mode=0o755, data=path.read_bytes())


def text(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The table that people see: each board with each suite."""
    rows = {f"{board} {suite}": row for board, suites in found.items() for suite, row in suites.items()}
    return table(rows, COLUMNS)
