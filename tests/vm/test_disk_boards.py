"""Disk images started by the boards' own chains: the very file that is flashed, in QEMU's model of that very board."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from board import flash
from board.report import Report
from qemu import boot, prepare
from qemu.image import announcing
from tests.vm.disks import ASKED, LIMIT, Disk

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"only-the-machine-knows-this"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0000000000000000000000000000000000000000000 me\n"


def after_boot(disk: Disk, *commands: str) -> list[str]:
    """Start, run the commands, power off; return what they printed."""
    with disk.machine() as vm:
        vm.wait_booted(timeout=LIMIT)
        results = [vm.run(command, timeout=ASKED) for command in commands]
        vm.begin("poweroff")
        vm.wait_stopped(timeout=LIMIT)
    return [result.stdout for result in results]


@pytest.mark.xdist_group("disk-arm64")
@pytest.mark.parametrize(("board", "chain"), [("qemu-riscv64", "disk"), ("qemu-x86_64", "bios")])
def test_a_disk_starts_by_its_own_chain_and_its_data_partition_fills_it(
    board: str, chain: str, tmp_path: Path
) -> None:
    disk = Disk(board, chain, tmp_path)
    disk.enlarge()
    assert disk.board.disk

    state, mounts, identity, space = after_boot(
        disk, "cat /run/initfs/data", "cat /proc/mounts", "cat /etc/initfs/board", "df -m /data"
    )

    assert state == "made\n"
    assert int(space.splitlines()[-1].split()[1]) > disk.board.disk.size, "more than the whole image has"
    verified = subprocess.run(["sfdisk", "--verify", disk.path], capture_output=True, text=True, check=True)
    assert "No errors detected" in verified.stdout
    assert " /data ext4 " in mounts
    assert f"CHAIN={chain}\n" in identity


@pytest.mark.xdist_group("disk-arm64")
def test_what_is_put_on_the_card_is_taken_over_and_secrets_are_gone_from_it(tmp_path: Path) -> None:
    disk = Disk("qemu-armhf", "disk", tmp_path)
    disk.write("initfs/hostname", b"router-7\r\n")
    disk.write("initfs/authorized_keys", KEY.encode())
    disk.write("initfs/network/lan.ipconf", b"interface lo\n\taddress 192.168.99.1/32\n")
    disk.write("initfs/wifi", b"ssid=home\npsk=" + SECRET + b"\n")
    disk.write("initfs/wrong", b"what is this")

    name, keys, address, kept = after_boot(
        disk,
        "hostname",
        "cat /root/.ssh/authorized_keys",
        "svwait -t 60000 -d /run/service/fw; ip -4 addr show dev lo",
        "cat /data/provision/wifi && echo here >/data/mine",
    )

    assert name == "router-7\n"
    assert keys == KEY
    assert "192.168.99.1/32" in address
    assert SECRET.decode() in kept
    assert b"wrong: this is none of the files" in disk.read("initfs/errors.txt")
    assert disk.names("initfs") == ["errors.txt", "network", "readme.txt", "wrong"]
    table = disk.board.disk
    assert table
    data = (table.start + table.boot) << 20
    assert SECRET not in disk.path.read_bytes()[:data], "its place on the card was overwritten"

    # the file system has an error that no automatic repair takes upon itself: the root directory is gone
    words = ["debugfs", "-w", "-R", "clri <2>", f"{disk.path}?offset={data}"]
    subprocess.run(words, check=True, capture_output=True)
    state, _ = after_boot(disk, "cat /run/initfs/data", "touch /data/again")
    assert state == "repaired\n"

    with disk.path.open("r+b") as file:
        file.seek(data)
        file.write(b"garbage " * 8192)
    state, aside, name = after_boot(disk, "cat /run/initfs/data", "ls /data/aside", "hostname")
    assert state == "remade\n"
    assert aside == "first-bytes\n"
    assert name != "router-7\n", "what is lost is lost, and the machine is up"


@pytest.mark.xdist_group("disk-x86")
def test_a_real_board_s_card_starts_by_spl_u_boot_and_extlinux(tmp_path: Path) -> None:
    disk = Disk("orangepi-pc", "disk", tmp_path)
    said: list[bytes] = []
    # what is booted is what `inv flash` wrote
    with Report("quiet") as report:
        assert disk.board.disk
        flash.write(
            disk.made.path, disk.board.disk, "orangepi-pc", str(disk.path), report, confirm=lambda _: True
        )
        request = boot.Request(
            board=disk.board,
            image=disk.made.image,
            flash=prepare.flash(disk.board, disk.made, disk.path),
            command="cat /proc/device-tree/model; echo; svstat /run/service/*; cat /proc/mounts; ip -4 addr show dev eth0",
            limit=3 * LIMIT,
        )
        outcome = boot.headless(request, lambda _, data: said.append(data), [])

    text = b"".join(said).decode()
    assert outcome.status == 0
    assert "Xunlong Orange Pi PC" in text
    assert "/dev/mmcblk0p2 /data ext4" in text
    assert "10.0.2.15" in text
    ready = announcing(boot.files(disk.made.image))
    assert ready
    assert all(f"/run/service/{name}: up" in text for name in ready)
    assert outcome.seconds["init"] < outcome.seconds["tree"]
