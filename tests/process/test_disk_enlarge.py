"""Tables that sfdisk makes, on files that have become larger, and what sfdisk says of them afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from initfs.disk import data, enlarge
from initfs.disk.identity import content, extent

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
SCRIPT = "label: {}\nstart=2048, size=32768\nstart=34816, size=40960\n"


def run(*words: str, text: str = "") -> str:
    """Run a program that a user's PATH may not have."""
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True, env=env).stdout


def sfdisk(path: Path, *options: str, text: str = "") -> str:
    return run("sfdisk", *options, str(path), text=text)


@pytest.mark.parametrize("label", ["dos", "gpt"])
def test_sfdisk_finds_no_error_in_a_table_that_was_changed(label: str, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 64 * MIB)
    sfdisk(path, "--quiet", text=SCRIPT.format(label))
    for size in (300, 500):
        os.truncate(path, size * MIB)

        found = enlarge.planned(str(path), size * 2048, 2)
        assert found
        enlarge.put(str(path), found)

        last = size - (label == "gpt")
        rows = json.loads(sfdisk(path, "--json"))["partitiontable"]["partitions"]
        assert [(row["start"], row["size"]) for row in rows] == [(2048, 32768), (34816, last * 2048 - 34816)]
        assert (found.start, found.size) == (34816, last * 2048 - 34816)
        assert "No errors detected" in sfdisk(path, "--verify")
        assert enlarge.planned(str(path), size * 2048, 2) is None


def partition(folder: Path, block: int) -> None:
    """What /sys tells of a disk nosuchdisk with a partition."""
    disk = folder / "devices/nosuchdisk"
    for name, text in (
        ("queue/logical_block_size", f"{block}\n"),
        ("size", "204800\n"),
        ("part2/partition", "2\n"),
    ):
        (disk / name).parent.mkdir(parents=True, exist_ok=True)
        (disk / name).write_text(text)
    (folder / "part2").symlink_to(disk / "part2")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (512, "warning: unable to enlarge /dev/part2: No such file or directory"),
        (4096, "info: /dev/part2 keeps its size: the disk's sectors have not 512 bytes"),
    ],
)
def test_what_goes_wrong_is_said_and_stops_nothing(
    block: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(enlarge, "BLOCK", str(tmp_path))
    partition(tmp_path, block)

    enlarge.fill("/dev/part2")

    assert said in capfd.readouterr().err


def test_a_partition_s_disk_is_the_one_that_the_kernel_has_it_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enlarge, "BLOCK", str(tmp_path))
    partition(tmp_path, 512)

    assert enlarge.whereabouts("part2") == ("/dev/nosuchdisk", 204800, 2)


def test_a_file_system_that_was_mounted_fills_a_partition_that_has_become_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    called: list[list[str]] = []
    path.touch()
    os.truncate(path, 20 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext4", str(path))
    start = path.read_bytes()[: data.START]
    assert content(start) == "ext4"
    assert extent(start) == 20 * MIB
    assert extent(start[: 1024 + 24] + b"\xff" * 4 + start[1024 + 28 :]) == 0, "no block is so large"
    monkeypatch.setattr("initfs.disk.command.run", called.append)

    data.stretch(str(path), start)
    assert called == []
    os.truncate(path, 30 * MIB)
    data.stretch(str(path), start)
    assert called == [["resize2fs", str(path)]]
