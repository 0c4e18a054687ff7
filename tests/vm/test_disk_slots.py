"""Machines with two slots: marked good, updated, cut off, and falling back. Each test goes on where the one before left the disk."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from board import cpio
from board.disk import keys, updates
from board.tree import Directory, File
from qemu.errors import TroubleError
from tests.vm.disks import ASKED, LIMIT, Disk, served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from board.build import Image
    from board.tree import Record
    from qemu.vm import Machine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a pair of keys, for the images of this module, and another pair that they do not know."""
    folder = tmp_path_factory.mktemp("slots")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("strangers", "ours"):
            patch.setenv("INITFS_KEYS", str(folder / name))
            keys.make()
        yield folder


@pytest.fixture(scope="module")
def arm64(made: Path) -> Disk:
    """A disk that is larger than the image: all starts but the first have a table that was changed."""
    (made / "arm64").mkdir()
    disk = Disk("qemu-arm64", "ab", made / "arm64", output=True)
    disk.enlarge()
    return disk


@pytest.fixture(scope="module")
def x86(made: Path) -> Disk:
    (made / "x86").mkdir()
    return Disk("qemu-x86_64", "disk", made / "x86", output=True)


@dataclass(frozen=True)
class Changed:
    """An image that is not like the one on the disk."""

    kernel: Path
    initramfs: Path


def changed(image: Image, records: Sequence[Record], folder: Path) -> Changed:
    """The image with these records in place of its own: the kernel unpacks one archive over the other."""
    whole = folder / "initramfs"
    whole.write_bytes(cpio.padded(image.initramfs.read_bytes()) + cpio.archive(records, mtime=0))
    return Changed(image.kernel, whole)


def update_with(disk: Disk, records: Sequence[Record], folder: Path, name: str, *, cmdline: str = "") -> None:
    """Write an update that is like the system on the disk but for these records and, if given, the kernel's arguments."""
    board = dataclasses.replace(disk.board, cmdline=cmdline) if cmdline else disk.board
    files = updates.parts(board, changed(disk.made.image, records, folder))
    (folder / name).write_bytes(updates.packed(board, files))


def never_ready(name: str) -> list[Record]:
    """A service that says it will be ready and never is, and a limit for it that a test can wait for."""
    where = f"/etc/initfs/service/{name}"
    return [
        Directory(path=where),
        File(path=f"{where}/run", mode=0o755, data=b"#!/bin/sh\nexec sleep 100000\n"),
        File(path=f"{where}/notification-fd", data=b"3\n"),
        File(path="/etc/initfs/service/mark-good/seconds", data=b"2\n"),
    ]


OWN = "mkdir -p /data/service/own && cd /data/service/own && printf '#!/bin/sh\\nexec sleep 9999\\n' >run && chmod 755 run"
NETWORK = ("dhcp_eth0",)  # what a download needs
GATEWAY = [File(path="/etc/initfs/service/mark-good/gateway", data=b"")]  # it must answer, too
PANIC = [File(path="/init", mode=0o755, data=b"#!/usr/bin/busybox false\n")]


def slot(vm: Machine) -> str:
    words = vm.run("cat /proc/cmdline", timeout=ASKED).stdout.split()
    return next(word for word in words if word.startswith("initfs.slot="))[-1]


def good(vm: Machine) -> None:
    """Wait until the slot is marked."""
    vm.wait_booted(NETWORK, timeout=LIMIT)
    assert vm.wait_for("down", service="mark-good", timeout=LIMIT).reason == "exit 0"


def off(vm: Machine) -> None:
    vm.begin("poweroff")
    vm.wait_stopped(timeout=LIMIT)


def trouble(disk: Disk) -> str:
    """What ends a machine that does not get far."""
    try:
        with disk.machine() as vm:
            vm.wait_stopped(timeout=LIMIT)
    except TroubleError as error:
        return str(error)
    return "it ended"


@pytest.mark.xdist_group("disk-arm64")
def test_a_new_disk_counts_its_first_slot_s_tries_until_it_is_marked_good(arm64: Disk) -> None:
    assert b"a_left=3" in arm64.read("slots.env")

    with arm64.machine() as vm:
        good(vm)
        assert slot(vm) == "a"
        vm.run("echo kept >/data/file", timeout=ASKED)
        off(vm)

    assert b"a_left=good" in arm64.read("slots.env")


@pytest.mark.xdist_group("disk-arm64")
def test_an_update_that_is_cut_off_is_not_tried_and_one_that_is_no_good_changes_nothing(
    arm64: Disk, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arm64.update(tmp_path / "good.update").read_bytes()
    (tmp_path / "short.update").write_bytes(whole[:-1000])
    (tmp_path / "long.update").write_bytes(whole + b"more")
    (tmp_path / "changed.update").write_bytes(whole[:-1000] + bytes(1000))
    (tmp_path / "none.update").write_bytes(b"something else\n")
    other = dataclasses.replace(arm64.board, name="other")
    (tmp_path / "other.update").write_bytes(
        updates.packed(other, updates.parts(arm64.board, arm64.made.image))
    )
    update_with(arm64, never_ready("broken"), tmp_path, "broken.update")
    monkeypatch.setenv("INITFS_KEYS", str(made / "strangers"))
    arm64.update(tmp_path / "stranger.update")

    with served(tmp_path) as url, arm64.machine() as vm:
        vm.wait_booted(NETWORK, timeout=LIMIT)
        said = {}
        for name in ("stranger", "other", "short", "long", "changed", "none"):
            result = vm.run(f"initfs-update {url}/{name}.update", timeout=LIMIT)
            assert result.returncode == 100, result
            said[name] = result.stderr
        assert "its signature is not of the key in this image" in said["stranger"]
        assert "it is for the board other, this is qemu-arm64" in said["other"]
        assert "it is cut short" in said["short"]
        assert "something behind its end" in said["long"]
        assert "slot.itb is damaged" in said["changed"]
        assert "this is no update" in said["none"]
        # the power goes while the other slot is being written
        vm.begin(f"initfs-update {url}/broken.update", timeout=LIMIT)
        vm.run("until [ -s /boot/slot_b.itb ]; do :; done", timeout=ASKED)
        vm.stop()

    assert b"order=a\n" in arm64.read("slots.env")


@pytest.mark.xdist_group("disk-arm64")
def test_a_system_that_never_gets_everything_up_is_left_after_three_tries(
    arm64: Disk, tmp_path: Path
) -> None:
    update_with(arm64, never_ready("broken"), tmp_path, "broken.update", cmdline="panic=-1 initfs.test=1")
    with served(tmp_path) as url, arm64.machine() as vm:
        vm.wait_booted(NETWORK, timeout=LIMIT)
        assert slot(vm) == "a", "the update that was cut off is not tried"
        vm.run("echo kept >/data/file", timeout=ASKED)
        result = vm.run(f"initfs-update {url}/broken.update", timeout=LIMIT)
        assert result.returncode == 0, result
        off(vm)
    assert b"order=b a\n" in arm64.read("slots.env")

    for left in (b"2", b"1", b"0"):
        with arm64.machine() as vm:
            vm.wait_stopped(timeout=LIMIT)
            assert vm.stopped == "guest-reset", "mark-good asks for the next try"
            # it is not quiet: the kernel tells them
            assert "panic=-1 initfs.test=1 initfs.slot=b" in vm.console
        assert b"b_left=" + left in arm64.read("slots.env")

    with arm64.machine() as vm:
        vm.wait_booted(NETWORK, timeout=LIMIT)
        assert slot(vm) == "a"
        assert vm.run("cat /data/file", timeout=ASKED).stdout == "kept\n"


@pytest.mark.xdist_group("disk-x86")
def test_an_update_is_started_next_and_shares_the_data(x86: Disk, tmp_path: Path) -> None:
    # VAR-239 (partly)
    assert x86.names("loader/entries") == ["a+3.conf"]
    update_with(x86, GATEWAY, tmp_path, "good.update", cmdline=f"{x86.board.cmdline} initfs.test=1")
    other = json.loads((tmp_path / "good.update").read_bytes().split(b"\n", 1)[1].split(b"\n}\n")[0] + b"\n}")
    assert other["board"] == "qemu-x86_64"
    with served(tmp_path) as url, x86.machine() as vm:
        good(vm)
        vm.run("echo kept >/data/file", timeout=ASKED)
        vm.run(OWN, timeout=ASKED)
        full = "mount -t vfat /dev/vda1 /boot && dd if=/dev/zero of=/boot/filler bs=1M; umount /boot"
        vm.run(full, timeout=ASKED)
        result = vm.run(f"initfs-update {url}/good.update", timeout=LIMIT)
        assert result.returncode == 100, result
        assert "the boot partition has no room" in result.stderr
        vm.run("mount -t vfat /dev/vda1 /boot && rm /boot/filler; umount /boot", timeout=ASKED)
        result = vm.run(f"initfs-update {url}/good.update", timeout=LIMIT)
        assert result.returncode == 0, result
        off(vm)
    assert x86.names("loader/entries") == ["a.conf", "b+3.conf"]

    x86.enlarge()
    with x86.machine() as vm:
        good(vm)
        assert slot(vm) == "b"
        assert "initfs.test=1" in vm.run("cat /proc/cmdline", timeout=ASKED).stdout.split()
        assert vm.run("cat /data/file", timeout=ASKED).stdout == "kept\n"
        assert x86.board.disk
        space = vm.run("df -m /data", timeout=ASKED).stdout.split()
        assert int(space[-5]) > x86.board.disk.size, "the file system has all of the larger disk"
        vm.wait_for("up", service="own", timeout=LIMIT)
        off(vm)
    assert x86.names("loader/entries") == ["a.conf", "b.conf"]


@pytest.mark.xdist_group("disk-x86")
def test_a_system_that_panics_is_left_after_three_tries(x86: Disk, tmp_path: Path) -> None:
    update_with(x86, PANIC, tmp_path, "panic.update")
    with served(tmp_path) as url, x86.machine() as vm:
        good(vm)
        before = slot(vm)
        assert vm.run(f"initfs-update {url}/panic.update", timeout=LIMIT).returncode == 0
        off(vm)

    other = {"a": "b", "b": "a"}[before]
    for tries in ("+2-1", "+1-2", "+0-3"):
        assert "kernel panic" in trouble(x86)
        assert x86.names("loader/entries") == sorted([f"{other}{tries}.conf", f"{before}.conf"])

    with x86.machine() as vm:
        vm.wait_booted(NETWORK, timeout=LIMIT)
        assert slot(vm) == before
