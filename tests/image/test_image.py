"""Real images, from Debian's packages: the contract of docs/image.md and the budgets of issue 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from board import cpio, host, model, size
from board.build import Image, build
from board.elf import MAGIC, Elf
from board.host import Failure
from board.ours import Sources
from board.report import Report

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]
HERE = Path(__file__).resolve().parent
FIXTURE = Sources(
    package=HERE / "fixture/initfs", services=HERE / "fixture/services", ports=HERE / "fixture/ports"
)
ARM64 = model.load("qemu-arm64")
MEGABYTE = 1_000_000


def make(
    output: Path, board: model.Board = ARM64, sources: Sources = FIXTURE, profile: str | None = None
) -> Image:
    with Report("quiet") as report:
        return build(board, reporter=report, sources=sources, output=output, profile=profile)


def contents(image: Image) -> dict[str, bytes]:
    return cpio.read(host.run(["zstd", "-dqc", str(image.initramfs)], what="read the image"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The default board with our own package and services."""
    return make(tmp_path_factory.mktemp("real"), sources=Sources())


def test_the_default_image_without_kernel_modules_is_at_most_7_mb(real: Image) -> None:
    sizes = size.measure(real)

    assert sizes.initramfs - sizes.modules <= 7 * MEGABYTE


def test_no_python_source_is_in_the_image_and_every_module_is_bytecode(real: Image) -> None:
    paths = list(contents(real))

    assert [path for path in paths if path.endswith(".py")] == []
    assert any(path.endswith("/initfs/main.pyc") for path in paths)


def test_the_manifest_lists_every_file_with_its_package_version_and_licence(real: Image) -> None:
    manifest = json.loads(real.manifest.read_text())
    inside = contents(real)

    assert {row["path"] for row in manifest["files"] if row["kind"] == "file"} == set(inside)
    assert all(row["package"] and row["version"] and row["licence"] for row in manifest["files"])
    assert all(len(inside[row["path"]]) == row["size"] for row in manifest["files"] if row["kind"] == "file")


def test_the_bill_of_materials_names_every_package_once(real: Image) -> None:
    manifest = json.loads(real.manifest.read_text())
    bill = json.loads((real.folder / "sbom.cdx.json").read_text())

    references = [part["bom-ref"] for part in bill["components"]]
    assert sorted(references) == sorted(package["name"] for package in manifest["packages"])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert all(
        set(part) <= {"type", "bom-ref", "name", "version", "licenses", "purl", "hashes"}
        for part in bill["components"]
    )


def test_every_program_of_ours_is_a_link_and_no_applet_takes_its_name(real: Image) -> None:
    links = {
        row["path"]: row["target"]
        for row in json.loads(real.manifest.read_text())["files"]
        if row["kind"] == "link"
    }

    assert {links[f"/usr/bin/{name}"] for name in Sources().programs()} == {"initfs"}
    assert links["/usr/bin/sh"] == links["/usr/bin/udhcpc"] == links["/usr/bin/zcip"] == "busybox"
    assert (links["/bin"], links["/lib"], links["/usr/sbin"]) == ("usr/bin", "usr/lib", "bin")


def test_the_services_of_the_profile_and_the_ports_are_there(real: Image) -> None:
    paths = contents(real)

    for name in (
        "early/svscan-log",
        "early/getty_ttyAMA0",
        "service/dhcp_eth0",
        "service/fw",
        "service/httpd",
        "service/agent",
        "service/events-port",
    ):
        assert f"/etc/initfs/{name}/run" in paths
    assert paths["/etc/initfs/modules"].decode().splitlines()[-1].endswith("/virtio_net.ko")
    assert b"CONSOLE=ttyAMA0\n" in paths["/etc/initfs/board"]


def test_every_program_finds_its_loader_and_libraries(real: Image) -> None:
    paths = contents(real)
    names = {os.path.basename(path) for path in paths}

    for path, data in paths.items():
        if data[:4] == MAGIC and not path.endswith(".ko"):
            assert set(Elf(data).needed()) <= names, path
            loader = Elf(data).interpreter()
            assert not loader or f"/usr{loader}" in paths, path


def test_an_unchanged_image_is_not_built_again(tmp_path: Path) -> None:
    first, began = make(tmp_path), time.monotonic()
    second = make(tmp_path)

    assert first.fresh
    assert not second.fresh
    assert time.monotonic() - began < 5


def test_a_warm_build_takes_less_than_20_seconds(tmp_path: Path) -> None:
    make(tmp_path / "one")
    began = time.monotonic()

    assert make(tmp_path / "two").fresh

    assert time.monotonic() - began < 20


def test_two_builds_give_the_same_bytes_wherever_and_whenever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is built from a copy of the sources with other times, a cache without our bytecode, and in another folder."""
    first = make(tmp_path / "one")
    copy = Sources(
        package=tmp_path / "copy/initfs", services=tmp_path / "copy/services", ports=tmp_path / "copy/ports"
    )
    shutil.copytree(HERE / "fixture", tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.setenv("INITFS_CACHE", str(without_results(host.cache(), tmp_path / "cache")))

    second = make(tmp_path / "other" / "two", sources=copy)

    assert first.initramfs.read_bytes() == second.initramfs.read_bytes()
    assert first.manifest.read_bytes() == second.manifest.read_bytes()


def without_results(cache: Path, other: Path) -> Path:
    """Make a cache that shares downloads and busybox, but has neither bytecode nor compressed archives."""
    other.mkdir()
    for path in cache.iterdir():
        if path.name not in {"bytecode", "zstd", "lock"}:
            (other / path.name).symlink_to(path)
    return other


def test_a_change_in_our_code_packs_only_our_piece_anew(tmp_path: Path) -> None:
    shutil.copytree(HERE / "fixture", tmp_path / "copy")
    copy = Sources(
        package=tmp_path / "copy/initfs", services=tmp_path / "copy/services", ports=tmp_path / "copy/ports"
    )
    before = make(tmp_path / "out", sources=copy).initramfs.read_bytes()
    with (tmp_path / "copy/initfs/hello.py").open("a") as file:
        file.write("\nADDED = 1\n")

    after = make(tmp_path / "out", sources=copy)

    assert after.fresh
    assert after.initramfs.read_bytes() != before
    pieces = json.loads(after.manifest.read_text())["pieces"]
    tail = sum(piece["compressed"] for piece in pieces if piece["name"] != "ours")
    assert after.initramfs.read_bytes()[-tail:] == before[-tail:]


def test_a_warm_cache_needs_neither_apt_nor_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "one")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("apt-get", "apt-cache"):
        (tools / name).write_text("#!/bin/sh\nexit 99\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    assert make(tmp_path / "two").fresh


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"packages": ("nosuch-package",)}, "find package 'nosuch-package'"),
        ({"kernel": "linux-image-nosuch"}, "find package 'linux-image-nosuch'"),
        (
            {"modules": ("virtio_net", "net_failover", "failover")},
            "load module 'virtio_net': it needs 'net_failover', which comes later",
        ),
        ({"modules": ("nosuch",)}, "find kernel module 'nosuch'"),
        ({"python": ("nosuch",)}, "find Python module 'nosuch'"),
    ],
)
def test_a_board_that_cannot_be_built_says_why_and_leaves_nothing(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    fields = {name: getattr(ARM64, name) for name in model.Board.__slots__}

    with pytest.raises(Failure, match=said):
        make(tmp_path / "out", model.Board(**(fields | change)))

    assert not (tmp_path / "out").exists()


def test_a_failed_build_leaves_the_old_image_as_it_was(tmp_path: Path) -> None:
    shutil.copytree(HERE / "fixture", tmp_path / "copy")
    copy = Sources(
        package=tmp_path / "copy/initfs", services=tmp_path / "copy/services", ports=tmp_path / "copy/ports"
    )
    before = make(tmp_path / "out", sources=copy).initramfs.read_bytes()
    (tmp_path / "copy/services/fw/run").unlink()

    with pytest.raises(Failure, match="pack service fw: it has no run"):
        make(tmp_path / "out", sources=copy)

    assert (tmp_path / "out/initramfs.cpio.zst").read_bytes() == before
    assert (tmp_path / "out/key").exists()


def test_a_full_disk_is_an_error_that_leaves_no_image(tmp_path: Path) -> None:
    """On a file system of 1 MB of our own, where that is allowed."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True, check=False
        ).returncode
        != 0
    ):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(Failure, match="No space left on device"):
            make(small / "out")
        assert not (small / "out" / "key").exists()
        assert not list((small / "out").glob(".*"))
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", model.virtual())
def test_every_board_has_an_image(name: str, tmp_path: Path) -> None:
    image = make(tmp_path, model.load(name), sources=Sources())

    sizes = size.measure(image)
    assert sizes.initramfs - sizes.modules <= 7 * MEGABYTE
    assert image.kernel.stat().st_size == sizes.kernel
