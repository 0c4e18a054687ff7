"""Disk images, as far as no tool is needed: layouts, boot partitions, environments, histories, and where not to write."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from board import flash, model
from board.disk import build, firmware, history, layout, loaders, target, uboot, updates
from board.host import Failure
from board.report import Report

if TYPE_CHECKING:
    from pathlib import Path

DISKS = [(name, disk.chain) for name in model.names() for disk in model.load(name).disks]
CONTENT = loaders.Content(kernel=b"k" * 100, initramfs=b"i" * 50, arguments="console=ttyS0 quiet")


def disk_of(name: str, chain: str) -> tuple[model.Board, model.Disk]:
    board = model.chained(model.load(name), chain)
    return board, build.chosen(board)


@pytest.mark.parametrize(("name", "chain"), DISKS)
def test_every_board_s_disk_has_a_known_loader_and_a_layout_that_can_be(name: str, chain: str) -> None:
    board, disk = disk_of(name, chain)

    layout.check(board, disk)
    assert disk.loader in loaders.LOADERS
    text = layout.genimage(board, disk, "disk.img")
    assert f"size = {disk.size}M" in text
    assert f"offset = {disk.start}M" in text
    assert all(raw.offset + 8 < disk.start * 1024 for raw in layout.raws(disk))
    if disk.drive == "sd":
        assert disk.size & (disk.size - 1) == 0, "QEMU's cards have a power of two"
    if board.device_tree:
        assert board.device_tree.endswith(".dtb")


def test_two_boards_never_have_the_same_disk() -> None:
    boards = [model.chained(model.load(name), chain) for name, chain in DISKS]

    assert len({layout.uuids(board) for board in boards}) == len(DISKS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"table": "dos"}, "neither gpt nor mbr"),
        ({"size": 100}, "16 MiB"),
        ({"raw": ("a:/b",)}, "PACKAGE:PATH@KIB"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    board, disk = disk_of("qemu-arm64", "disk")
    wrong = dataclasses.replace(disk, **change)  # type: ignore[arg-type]

    with pytest.raises(Failure) as caught:
        layout.genimage(board, wrong, "disk.img") if "raw" in change else layout.check(board, wrong)

    assert caught.value.usage
    assert said in str(caught.value)


def test_an_image_that_is_too_large_for_its_partition_says_how_much_is_needed() -> None:
    board, disk = disk_of("qemu-arm64", "ab")

    with pytest.raises(Failure) as caught:
        layout.fits(board, disk, {"slot_a.itb": bytes(60 << 20)}, slots=2)

    assert "96 MiB, 122 MiB are needed" in str(caught.value)
    assert "board/boards/qemu-arm64.toml" in caught.value.hint


def test_a_file_that_a_firmware_package_lacks_is_named_with_the_package(tmp_path: Path) -> None:
    parts = firmware.Firmware({"u-boot-qemu": tmp_path})

    with pytest.raises(Failure, match="package u-boot-qemu has no such file"):
        parts.find("u-boot-qemu:/usr/lib/u-boot/nothing.bin")
    with pytest.raises(Failure, match="package other is not in the board's list"):
        parts.expand("file={other:/x}")


def test_a_chain_that_a_board_does_not_have_is_a_usage_error_that_lists_those_it_has() -> None:
    with pytest.raises(Failure) as caught:
        model.chained(model.load("qemu-arm64"), "nosuch")

    assert caught.value.usage
    assert "direct disk ab" in caught.value.hint


def test_extlinux_names_a_device_tree_only_where_there_is_one() -> None:
    plain = loaders.files("extlinux", CONTENT)["extlinux/extlinux.conf"].decode()
    board = loaders.files("extlinux", dataclasses.replace(CONTENT, device_tree=b"d"))

    assert "FDT" not in plain
    assert "  APPEND console=ttyS0 quiet\n" in plain
    assert b"FDT /board.dtb" in board["extlinux/extlinux.conf"]
    assert board["board.dtb"] == b"d"


def test_an_unknown_loader_is_a_usage_error() -> None:
    with pytest.raises(Failure, match="known: extlinux fit syslinux systemd-boot"):
        loaders.files("grub", CONTENT)


def test_u_boot_s_script_counts_before_it_tries_and_tries_the_bad_when_nothing_good_is_left() -> None:
    text = loaders.boot_command("quiet")

    assert text.index("fatwrite") < text.index("    run start\n  fi\ndone")
    assert text.rstrip().endswith("reset")
    assert text.count("for s in ${order}") == 2
    assert "'" not in text.replace("setenv start '", "").replace("fdtcontroladdr}; fi'", "")


def test_the_kernel_s_arguments_are_the_slot_s_where_it_has_some() -> None:
    text = loaders.boot_command("quiet")
    started = text[text.index("setenv start") :]

    assert started.index("bootargs_common") < started.index(":arguments;") < started.index("initfs.slot=")
    assert '/incbin/("c")' in loaders.fit_source("a", "b", "c")


def test_u_boot_s_own_environment_is_found_in_the_binary_and_loses_its_waits() -> None:
    block = (
        b"arch=arm\0bootdelay=2\0preboot=usb start\0distro_bootcmd=for t in x; do run t; done\0stdin=usb\0\0"
    )
    found = uboot.defaults(b"\xff\x00code\x00\x01" + b"\0" + block + b"rest")

    assert found["arch"] == "arm"
    assert found["distro_bootcmd"] == "for t in x; do run t; done"
    changed = uboot.changed(found)
    assert (changed["bootdelay"], changed["stdin"]) == ("0", "serial")
    assert "preboot" not in changed
    with pytest.raises(Failure, match="no distro_bootcmd"):
        uboot.defaults(b"nothing")


# What changed


def test_two_images_are_compared_by_packages_and_files() -> None:
    old = history.Content({"libc6": "1", "gone": "1"}, {"/a": (5, "x"), "/b": (1, "y"), "/same": (9, "z")})
    new = history.Content({"libc6": "2", "new": "1"}, {"/a": (7, "w"), "/c": (2, "v"), "/same": (9, "z")})

    lines = list(history.difference(old, new))

    assert "package gone: 1 -> -" in lines
    assert "package libc6: 1 -> 2" in lines
    assert "changed  /a +2 bytes" in lines
    assert "gone     /b -1 bytes" in lines
    assert not any("/same" in line for line in lines)
    assert lines[-1] == "all files: +3 bytes"


def kept(folder: Path, content: bytes) -> str:
    """Write an image with its papers and keep it; return its id."""
    image = folder / "disk.img"
    image.unlink(missing_ok=True)
    image.write_bytes(content)
    checksum = content[::-1].hex().ljust(64, "0")
    image.with_suffix(".json").write_text(
        json.dumps({"sha256": checksum, "board": "b", "bytes": len(content)})
    )
    (folder / "manifest.json").write_text("{}")
    history.keep(image, folder / "manifest.json")
    return checksum[:12]


def test_the_last_five_images_are_kept_and_found_by_age_or_the_beginning_of_their_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("board.host.ROOT", tmp_path)
    folder = tmp_path / "build" / "mine"
    folder.mkdir(parents=True)

    names = [kept(folder, f"image {number}".encode()) for number in range(7)]

    assert sorted(path.name for path in (folder / "history").iterdir()) == sorted(names[2:])
    assert history.find("mine", "0").name == names[-1]
    assert history.find("mine", "1").name == names[-2]
    assert (history.find("mine", names[3]) / "disk.img").read_bytes() == b"image 3"
    with pytest.raises(Failure, match="there is no such image"):
        history.find("mine", names[0])


# Where not to write


def test_what_is_no_free_disk_of_the_right_size_is_refused() -> None:
    disk = target.Target(path="/dev/sdx", kind="disk", size=1000)
    refused = {
        dataclasses.replace(disk, mounted=("/mnt",)): "in use: /mnt",
        dataclasses.replace(disk, mounted=("/boot", "/")): "the system runs from it",
        dataclasses.replace(disk, kind="partition"): "is a partition, not a disk",
        dataclasses.replace(disk, kind="directory"): "is a directory",
        dataclasses.replace(disk, size=999): "has 999 bytes, the image 1000",
        dataclasses.replace(disk, read_only=True): "read-only",
        dataclasses.replace(disk, kind="file", size=7): "is a file of 7 bytes",
    }

    for each, said in refused.items():
        assert said in target.refusal(each, 1000, "b", "b"), each
    assert "for other, not for b" in target.refusal(disk, 1000, "b", "other")
    for fine in (
        disk,
        target.Target(path="x", kind="absent"),
        target.Target(path="x", kind="file", size=1000),
    ):
        assert target.refusal(fine, 1000, "b", "b") == ""


def test_a_disk_s_use_is_looked_up_for_all_its_partitions(tmp_path: Path) -> None:
    node = tmp_path / "sdx"
    for name, number in (("", "8:0"), ("sdx1", "8:1"), ("sdx2", "8:2")):
        part = node / name if name else node
        part.mkdir(exist_ok=True)
        (part / "dev").write_text(number)
        if name:
            (part / "partition").write_text("1")
    (node / "sdx2/holders/dm-0").mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(
        "30 1 8:1 / /media/card rw - vfat /dev/sdx1 rw\n31 1 9:0 / / rw - ext4 x rw\n"
    )
    (tmp_path / "swaps").write_text("Filename Type Size\n/dev/sdx2 partition 5 0 -2\n")

    assert target.uses(node, str(tmp_path)) == ["dm-0", "/media/card", "swap on /dev/sdx2"]


BMAP = """<?xml version="1.0" ?><bmap version="2.0"><ImageSize> 10000 </ImageSize><BlockSize> 4096 </BlockSize>
<BlockMap><Range chksum="x"> 0 </Range><Range chksum="y"> 2 </Range></BlockMap></bmap>"""


def test_a_block_map_s_last_block_ends_with_the_image() -> None:
    assert list(flash.ranges(BMAP)) == [(0, 4096), (8192, 1808)]


def image_at(folder: Path, content: bytes = b"a" * 10000) -> Path:
    image = folder / "disk.img"
    image.write_bytes(content)
    image.with_name("disk.img.bmap").write_text(BMAP)
    image.with_suffix(".json").write_text(json.dumps({"board": "qemu-arm64", "bytes": len(content)}))
    return image


def test_what_is_read_back_is_compared_where_the_map_says(tmp_path: Path) -> None:
    image, device = image_at(tmp_path), tmp_path / "device"
    device.write_bytes(b"a" * 4096 + b"-" * 4096 + b"a" * 1808)

    assert flash.verify(image, str(device)) == 4096 + 1808

    device.write_bytes(b"a" * 4096 + b"-" * 4096 + b"a" * 1807 + b"b")
    with pytest.raises(Failure, match="differs at 8192"):
        flash.verify(image, str(device))


def test_an_image_that_is_not_whole_or_has_no_papers_is_refused(tmp_path: Path) -> None:
    image = image_at(tmp_path)
    image.write_bytes(b"a" * 9999)
    with pytest.raises(Failure, match="not that of its manifest"):
        flash.described(image)
    image.with_suffix(".json").unlink()
    with pytest.raises(Failure, match="no manifest beside it"):
        flash.described(image)


def test_nobody_at_a_terminal_has_not_said_yes(tmp_path: Path) -> None:
    image = image_at(tmp_path)
    _, disk = disk_of("qemu-arm64", "disk")

    with Report("quiet") as report, pytest.raises(Failure, match="nobody said yes"):
        flash.write(image, disk, "qemu-arm64", str(tmp_path / "new"), report, confirm=lambda _: False)

    assert not (tmp_path / "new").exists()


def test_a_chain_without_slots_has_no_updates() -> None:
    board, _ = disk_of("qemu-arm64", "disk")
    with pytest.raises(Failure, match="chain disk has no slots"):
        updates.make(board, None)  # type: ignore[arg-type]
