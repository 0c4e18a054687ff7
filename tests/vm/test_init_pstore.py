"""What a crash leaves in memory that a warm reboot keeps, and what the next boot makes of it.

The guest's memory is a file that the next machine has again, as after a reset. Debian's kernels have ramoops as a module, which rc.init loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from board import build, cpio, kernel, model, store
from board.apt import Root
from board.host import ROOT
from board.tree import File
from qemu.errors import TroubleError
from qemu.vm import Machine
from tests.vm.broken import Broken
from tests.vm.conftest import BOOT, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from board.build import Image
    from board.model import Board

BOARD = "qemu-x86_64"
LIMIT = 90.0
PLACE, SIZE = 0xC000000, 0x100000
pytestmark = pytest.mark.xdist_group(BOARD)
DRIVERS = {
    "watchdog": None,  # is in the image
    "reed_solomon": "",
    "ramoops": f"mem_address={PLACE} mem_size={SIZE} record_size=65536",
    "softdog": "soft_panic=1",
}


MODULES = "done </etc/initfs/modules\n"  # the end of the loop that loads the image's


def records(board: Board) -> Iterator[File]:
    """The drivers, and an rc.init that loads them."""
    target = Root(board.suite, board.architecture)
    _, tree = build.kernel_of(
        [(file, store.unpack(target, file)) for file in store.resolve(target, [board.kernel])]
    )
    lines = [MODULES]
    for path, data in kernel.modules(tree, list(DRIVERS)).items():
        name = path.rpartition("/")[2].removesuffix(".ko")
        if (options := DRIVERS[name]) is not None:
            yield File(path=f"/etc/initfs/{name}.ko", data=data)
            lines.append(f"insmod /etc/initfs/{name}.ko {options}\n")
    script = (ROOT / "services/rc.init").read_text()
    assert script.count(MODULES) == 1
    yield File(path="/etc/initfs/rc.init", mode=0o755, data=script.replace(MODULES, "".join(lines)).encode())


def with_drivers(image: Image, board: Board, folder: Path) -> Broken:
    """The image, which has none of these drivers, with them."""
    whole = folder / "initramfs"
    whole.write_bytes(cpio.padded(image.initramfs.read_bytes()) + cpio.archive(records(board), mtime=0))
    return Broken(image.kernel, whole)


def test_the_next_boot_tells_that_process_1_stood_still_until_the_watchdog_panicked(tmp_path: Path) -> None:
    board, image = model.load(BOARD), image_of(BOARD)
    changed = with_drivers(image, board, tmp_path)
    memory = f"memory-backend-file,id=ram,size={board.qemu.memory}M,mem-path={tmp_path / 'memory'},share=on"
    extra = ["-object", memory, "-machine", "memory-backend=ram"]
    reserved = f"memmap={SIZE}${PLACE}"
    panic = pytest.raises(TroubleError, match="Software Watchdog Timer expired")
    with panic, Machine(BOARD, changed, append=f"{reserved} initfs.watchdog=10", extra=extra) as vm:
        vm.wait_for("booted", timeout=BOOT)
        vm.run(
            "until grep -q 'unless it is fed within 10' /run/uncaught-logs/current; do sleep 0.2; done",
            timeout=LIMIT,
        )
        vm.begin("mkdir -p /run/cg && mount -t cgroup2 none /run/cg && mkdir /run/cg/frozen && "
                 "echo 1 >/run/cg/frozen/cgroup.procs && echo 1 >/run/cg/frozen/cgroup.freeze")  # fmt: skip
        # to its end, though there is trouble on the console: what is kept is written last
        vm.await_(vm.session.until("reset", lambda: vm.session.status, LIMIT, checked=False))

    with Machine(BOARD, changed, append=reserved, extra=extra) as vm:
        told = vm.wait_for("previous", timeout=BOOT)
        assert told.reason == "the kernel panicked: Software Watchdog Timer expired"
