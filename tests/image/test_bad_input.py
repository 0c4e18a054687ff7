"""Builds that cannot go on: what is said, and that nothing half-made is left as if it were whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from board import apt, host, store
from board.apt import File, Root
from board.build import build
from board.host import Failure
from board.model import load
from board.ours import Sources
from board.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]
HERE = Path(__file__).resolve().parent
BOARD = "qemu-arm64"
# What `inv image` does, for other sources and into another folder.
PROGRAM = """
import sys
from pathlib import Path
from board.build import build
from board.model import load
from board.ours import Sources
from board.report import Report
from board.tasks import telling

top, output = map(Path, sys.argv[1:])
sources = Sources(package=top / "initfs", services=top / "services", ports=top / "ports")
with telling(), Report("plain") as report:
    build(load("qemu-arm64"), reporter=report, sources=sources, output=output)
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Sources that no cache knows, so that something has to be done for them. What others need is in the cache."""
    copy = tmp_path / "copy"
    shutil.copytree(HERE / "fixture", copy)
    with Report("quiet") as report:
        build(load(BOARD), reporter=report, sources=where(copy), output=tmp_path / "before")
    run = copy / "services/fw/run"
    run.write_text(f"{run.read_text()}# {os.urandom(8).hex()}\n")
    return copy


def where(top: Path) -> Sources:
    return Sources(package=top / "initfs", services=top / "services", ports=top / "ports")


def begin(sources: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(sources), str(output)]
    return subprocess.Popen(command, cwd=host.ROOT, stderr=subprocess.PIPE, text=True)


@contextmanager
def small(path: Path, size: str) -> Iterator[Path]:
    """A file system of this size, where that is allowed."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_two_builds_of_one_image_at_once_make_it_once_and_both_end_well(
    sources: Path, tmp_path: Path
) -> None:
    both = [begin(sources, tmp_path / "out") for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sum("compress ..." in each for each in said) == 1
    assert (tmp_path / "out/key").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_ctrl_c_in_the_middle_leaves_the_old_image_and_says_so(sources: Path, tmp_path: Path) -> None:
    old = tmp_path / "before"
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    process = begin(sources, old)
    assert process.stderr

    for line in process.stderr:
        if line.startswith("assemble the root file system ..."):
            process.send_signal(signal.SIGINT)
            break
    said = process.stderr.read()

    assert process.wait(60) == 130
    assert said.splitlines()[-1] == "inv: fatal: unable to go on: interrupted"
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    process.stderr.close()


def test_a_full_cache_is_an_error_that_names_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(1 << 20)
    file = File(
        package="thing", version="1", architecture="arm64", name="thing.deb",
        sha256=hashlib.sha256(data).hexdigest(), size=len(data),
    )  # fmt: skip

    def fetch(_: Root, files: Sequence[File], folder: Path) -> None:
        (folder / files[0].name).write_bytes(data)

    monkeypatch.setattr(apt, "fetch", fetch)
    with small(tmp_path / "small", "512k") as cache:
        monkeypatch.setenv("INITFS_CACHE", str(cache))

        with pytest.raises(Failure, match="unable to keep thing: No space left on device") as caught:
            store.fetch(Root("trixie", "arm64"), [file])

        assert f"{cache} (INITFS_CACHE)" in caught.value.hint
        assert sorted(path.name for path in cache.iterdir()) == ["lock"]


def test_a_program_that_finds_the_disk_full_is_told_of_with_what_needs_space(tmp_path: Path) -> None:
    with small(tmp_path / "small", "64k") as place:
        command = ["dd", "if=/dev/zero", f"of={place}/file", "bs=4k", "count=100"]

        with pytest.raises(Failure, match=r"unable to fill: dd says: .*No space left on device") as caught:
            host.run(command, what="fill")

    assert "TMPDIR" in caught.value.hint
