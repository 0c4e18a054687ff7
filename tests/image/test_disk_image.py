"""Real disk images: reproducible, described, written to files and loop devices, compared with the one before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from board import flash, host, model
from board.disk import build, history
from board.disk.target import Target
from board.host import Failure
from board.ours import Sources
from board.report import Report

if TYPE_CHECKING:
    from board.disk.build import Made

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]
BOARD = model.chained(model.load("qemu-arm64"), "disk")


def make(output: Path, board: model.Board = BOARD, sources: Sources | None = None) -> Made:
    with Report("quiet") as report:
        return build.build(board, reporter=report, output=output, sources=sources)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """What goes into the images, in a copy: somebody may be at work in the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    own = Sources()
    skip = shutil.ignore_patterns("__pycache__")
    return Sources(
        package=Path(shutil.copytree(own.package, folder / "initfs", ignore=skip)),
        services=Path(shutil.copytree(own.services, folder / "services", ignore=skip, symlinks=True)),
        ports=Path(shutil.copytree(own.ports, folder / "ports", ignore=skip)),
    )


@pytest.fixture(scope="module")
def made(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("disk"), sources=sources)


def test_the_same_inputs_give_the_same_disk_gpt_and_all(made: Made, sources: Sources, tmp_path: Path) -> None:
    again = make(tmp_path, sources=sources)

    assert again.fresh
    assert hashlib.sha256(again.path.read_bytes()).digest() == hashlib.sha256(made.path.read_bytes()).digest()
    assert again.record.read_bytes() == made.record.read_bytes()
    assert not make(tmp_path, sources=sources).fresh, "nothing changed, nothing is done"


def test_an_image_comes_with_block_map_checksum_and_papers(made: Made) -> None:
    record = json.loads(made.record.read_text())

    assert record["board"] == "qemu-arm64"
    assert record["sha256"] == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.path.with_name("disk.img.sha256").read_text() == f"{record['sha256']}  disk.img\n"
    assert {"vmlinuz", "initrd.zst", "extlinux/extlinux.conf"} <= {each["path"] for each in record["files"]}
    assert record["firmware"][0]["package"] == "u-boot-qemu"
    written = sum(length for _, length in flash.ranges(made.path.with_name("disk.img.bmap").read_text()))
    assert written < made.path.stat().st_size / 3


def test_the_table_has_no_errors(made: Made) -> None:
    said = host.run(["sfdisk", "--verify", made.path], what="verify the table").decode()

    assert "No errors detected" in said


def test_a_disk_is_flashed_to_a_file_and_verified(made: Made, tmp_path: Path) -> None:
    assert BOARD.disk
    target = tmp_path / "card"

    with Report("quiet") as report:
        count = flash.write(made.path, BOARD.disk, "qemu-arm64", str(target), report, confirm=lambda _: True)

    assert count > made.image.kernel.stat().st_size + made.image.initramfs.stat().st_size
    assert target.read_bytes() == made.path.read_bytes()


def test_a_disk_is_flashed_to_a_loop_device_and_a_mounted_or_small_one_is_refused(
    made: Made, tmp_path: Path
) -> None:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    assert BOARD.disk
    card = tmp_path / "card"
    with card.open("wb") as file:
        file.write(b"x" * (BOARD.disk.size << 20))
    attached = subprocess.run(
        ["losetup", "--find", "--show", card], capture_output=True, text=True, check=False
    )
    if attached.returncode:
        pytest.skip(f"losetup: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    try:
        with Report("quiet") as report:
            flash.write(made.path, BOARD.disk, "qemu-arm64", device, report, confirm=lambda _: True)
            data = (BOARD.disk.start + BOARD.disk.boot) << 20
            with card.open("rb") as file:
                file.seek(data)
                assert file.read(4096) == bytes(4096), "an old file system there is not taken for ours"
            larger = dataclasses.replace(BOARD.disk)
            grown = shutil.copy(made.path, tmp_path / "disk.img")
            os.truncate(grown, (BOARD.disk.size + 1) << 20)
            record = {"board": "qemu-arm64", "bytes": (BOARD.disk.size + 1) << 20}
            (tmp_path / "disk.json").write_text(json.dumps(record))
            with pytest.raises(Failure, match="bytes, the image"):
                flash.write(Path(grown), larger, "qemu-arm64", device, report, confirm=lambda _: True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_data_that_are_kept_stay_where_the_machine_has_put_them_on_a_larger_disk(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BOARD.disk
    card, image = tmp_path / "card", made.path.stat().st_size
    card.touch()
    os.truncate(card, 2 * image)
    data = (BOARD.disk.start + BOARD.disk.boot) << 20
    mine = bytes(range(256)) * 4096
    for offset in (data, image - len(mine), image):  # where the image's second table would be, too
        with card.open("r+b") as file:
            file.seek(offset)
            file.write(mine)
    monkeypatch.setattr("board.disk.target.look", lambda path: Target(path=path, kind="disk", size=2 * image))

    with Report("quiet") as report:
        flash.write(
            made.path, BOARD.disk, "qemu-arm64", str(card), report, confirm=lambda _: True, keep_data=True
        )

    with card.open("rb") as file:
        for offset in (data, image - len(mine), image):
            file.seek(offset)
            assert file.read(len(mine)) == mine
    assert "No errors detected" in host.run(["sfdisk", "--verify", card], what="verify the table").decode()
    said = json.loads(host.run(["sfdisk", "--json", card], what="read the table"))["partitiontable"][
        "partitions"
    ]
    assert [row["size"] >> 11 for row in said] == [BOARD.disk.boot, (2 * image - data >> 20) - 1]


def test_data_that_are_kept_stay_in_a_file_too(made: Made, tmp_path: Path) -> None:
    assert BOARD.disk
    card = Path(shutil.copy(made.path, tmp_path / "card"))
    data, mine = (BOARD.disk.start + BOARD.disk.boot) << 20, bytes(range(256)) * 4096
    with card.open("r+b") as file:
        file.write(b"x" * 4096)
        file.seek(data)
        file.write(mine)

    with Report("quiet") as report:
        flash.write(
            made.path, BOARD.disk, "qemu-arm64", str(card), report, confirm=lambda _: True, keep_data=True
        )

    with card.open("rb") as written, made.path.open("rb") as image:
        assert written.read(4096) == image.read(4096)
        written.seek(data)
        assert written.read(len(mine)) == mine


def test_a_smaller_partition_than_its_files_is_refused_and_leaves_no_image(tmp_path: Path) -> None:
    assert BOARD.disk
    small = dataclasses.replace(BOARD, disks=(dataclasses.replace(BOARD.disk, boot=32),))

    with pytest.raises(Failure, match="its boot partition has 32 MiB"):
        make(tmp_path, small)

    assert not list(tmp_path.glob("*.img"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device_tree": "nothing.dtb"}, "linux-image-.* has none of that name"),
        ({"disks": "packages"}, "nosuch-firmware"),
        ({"disks": "files"}, "package u-boot-qemu has no such file"),
    ],
)
def test_what_is_missing_is_named_with_its_package(change: dict[str, str], said: str, tmp_path: Path) -> None:
    assert BOARD.disk
    parts = (
        {"packages": ("nosuch-firmware",)}
        if change.get("disks") == "packages"
        else {"files": ("u-boot-qemu:/nothing=x",)}
    )
    board = (
        dataclasses.replace(BOARD, device_tree=change["device_tree"])
        if "device_tree" in change
        else dataclasses.replace(BOARD, disks=(dataclasses.replace(BOARD.disk, **parts),))  # type: ignore[arg-type]
    )

    with pytest.raises(Failure, match=said):
        make(tmp_path, board)


def test_what_changed_between_two_images_is_told(made: Made, tmp_path: Path) -> None:
    older = shutil.copytree(
        made.path.parent / "history" / json.loads(made.record.read_text())["sha256"][:12], tmp_path / "old"
    )
    manifest = json.loads((older / "manifest.json").read_text())
    manifest["packages"][0]["version"] = "0"
    manifest["files"] = [row for row in manifest["files"] if row["path"] != "/init"]
    (older / "manifest.json").write_text(json.dumps(manifest))

    new = history.content(made.path.parent / "history" / json.loads(made.record.read_text())["sha256"][:12])
    lines = list(history.difference(history.content(Path(older)), new))

    assert lines[0].startswith(f"package {manifest['packages'][0]['name']}: 0 -> ")
    assert any(line.startswith("new      /init +") for line in lines)
    assert len(lines) == 3
