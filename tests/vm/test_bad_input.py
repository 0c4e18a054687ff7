"""What a guest and `inv boot` do with what cannot work: a message, a status, and no waiting for what will never come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from board import cpio, host
from board.tree import File
from qemu.errors import TroubleError
from qemu.vm import Machine
from tests.vm.broken import Broken, replaced
from tests.vm.conftest import BOOT, booted, image_of

if TYPE_CHECKING:
    from pathlib import Path

BOARD = "qemu-arm64"
LIMIT = 60.0
pytestmark = pytest.mark.xdist_group(BOARD)


def with_run_of(size: str, folder: Path) -> Broken:
    """The default image, but its /run has no more room than this."""
    image = image_of(BOARD)
    whole = (host.ROOT / "initfs/pid1/stage1.sh").read_text()
    stage1, count = re.subn(r"(mount -t tmpfs -o \S+)( run /run)", rf"\1,size={size}\2", whole)
    assert count == 1
    record = File(path="init", mode=0o755, data=stage1.encode(), group="ours")
    initramfs = folder / "initramfs"
    initramfs.write_bytes(cpio.padded(image.initramfs.read_bytes()) + cpio.archive([record], mtime=0))
    return Broken(image.kernel, initramfs)


def test_services_that_do_not_fit_into_run_end_in_a_shell_that_says_so(tmp_path: Path) -> None:
    with (
        Machine(BOARD, with_run_of("8k", tmp_path)) as vm,
        pytest.raises(TroubleError, match=r"wait for the end of the boot: init: fatal: .*: /run is full"),
    ):
        vm.wait_booted(timeout=BOOT)


def test_an_image_without_python_fails_the_boot_at_once(tmp_path: Path) -> None:
    image = replaced(image_of(BOARD), {"/usr/bin/python3": "/nowhere"}, tmp_path)

    with Machine(BOARD, image) as vm, pytest.raises(TroubleError, match="unable to run process 1"):
        vm.wait_booted(timeout=BOOT)


# What others give back meanwhile is filled at once.
FILL = """
(until [ -e /tmp/enough ]; do cat /dev/zero >>/run/filler; usleep 10000; done; rm /run/filler; : >/tmp/emptied) >/dev/null 2>&1 </dev/null &
until ! echo x >/run/more; do usleep 100000; done
"""


def test_a_run_that_is_full_later_stops_no_service_and_no_end(tmp_path: Path) -> None:
    with Machine(BOARD, with_run_of("2m", tmp_path)) as vm:
        booted(vm, image_of(BOARD))
        full = vm.run(FILL, timeout=LIMIT)
        assert "No space left on device" in full.stderr
        mark = vm.mark()

        vm.run("svc -t /run/service/httpd", timeout=LIMIT)
        vm.wait_for("up", service="httpd", after=mark, timeout=LIMIT)
        again = vm.mark()
        vm.run("svc -d /run/service/httpd", timeout=LIMIT)
        vm.wait_for("down", service="httpd", after=again, timeout=LIMIT)
        mark = vm.mark()
        vm.run(
            ": >/tmp/enough; until [ -e /tmp/emptied ]; do usleep 10000; done; svc -u /run/service/httpd",
            timeout=LIMIT,
        )
        vm.wait_for("up", service="httpd", after=mark, timeout=LIMIT)
        assert vm.run("svstat /run/service/httpd", timeout=LIMIT).stdout.startswith("up (pid ")
        # the logger has no room either, and tries again every two seconds
        said = "httpd: unable to write its status: No space left on device; trying again"
        log = f"until grep '{said}' /run/uncaught-logs/current; do usleep 100000; done"
        assert said in vm.run(log, timeout=LIMIT).stdout

        vm.begin("poweroff")
        assert vm.wait_stopped(timeout=LIMIT) == "guest-shutdown"
