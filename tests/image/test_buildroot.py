"""The BR2_EXTERNAL tree: its text in any case, and what a Buildroot release says of it where BUILDROOT_DIR names one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from board import host
from initfs.programs import PROGRAMS

if TYPE_CHECKING:
    from pathlib import Path

TREE = host.ROOT / "board" / "buildroot"
CONFIGS = sorted(TREE.glob("configs/*_defconfig"))
FILES = sorted(path for path in TREE.rglob("*") if path.is_file())


def named(path: Path) -> str:
    return str(path.relative_to(TREE))


def options(path: Path) -> set[str]:
    """The options that a Config.in defines."""
    return set(re.findall(r"^config (BR2_\w+)$", path.read_text(), re.MULTILINE))


def defined() -> set[str]:
    return set().union(*(options(path) for path in (*TREE.rglob("Config.in"), TREE / "provides/init.in")))


def test_every_option_of_ours_that_is_used_anywhere_is_defined() -> None:
    used = {
        name
        for path in FILES
        for name in re.findall(r"\bBR2_(?:INIT_INITFS|PACKAGE_INITFS)\w*", path.read_text())
        if not path.name.startswith(".")
    }

    assert used
    assert used <= defined()


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_a_configuration_chooses_our_init_and_files_that_exist(path: Path) -> None:
    text = path.read_text()

    assert "BR2_INIT_INITFS=y" in text
    for name in re.findall(r"\$\(BR2_EXTERNAL_INITFS_PATH\)/([^ \"]+)", text):
        assert (TREE / name).is_file(), name


def test_a_package_is_named_as_its_folder_and_its_variables() -> None:
    makefiles = list(TREE.glob("package/*/*.mk"))

    assert len(makefiles) == 2
    for path in makefiles:
        prefix = path.stem.upper().replace("-", "_")
        assert path.stem == path.parent.name
        assert f"\n{prefix}_VERSION = " in path.read_text()
        assert (path.parent / "Config.in").is_file()
        assert f'package/{path.stem}/Config.in"' in (TREE / "Config.in").read_text()


@pytest.mark.parametrize("path", [path for path in FILES if path.read_bytes()[:2] == b"#!"], ids=named)
def test_a_program_is_executable_and_a_script_is_one_that_a_shell_reads(path: Path) -> None:
    assert os.access(path, os.X_OK)
    if b"/bin/sh" in path.read_bytes().partition(b"\n")[0]:
        subprocess.run(["sh", "-n", path], check=True)


def install(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the services' installer as the package does."""
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    for name in ("passwd", "group"):
        (folder / "etc" / name).touch()
    environment = {"TARGET_DIR": str(folder), "CONSOLE": "ttyS0", "BAUD": "115200", "BOARD": "mine", "ARCHITECTURE": "arm",
                   "EARLY": "svscan-log getty_console", "SERVICES": "dhcp_eth0 httpd", "MODULES": "", **changes}  # fmt: skip
    words = [TREE / "package/initfs-services/install.sh", host.ROOT / "services"]
    return subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_services_are_installed_as_the_image_builder_does(tmp_path: Path) -> None:
    done = install(tmp_path)

    assert done.returncode == 0, done.stderr
    home = tmp_path / "etc/initfs"
    assert sorted(path.name for path in (home / "early").iterdir()) == ["getty_ttyS0", "svscan-log"]
    assert sorted(path.name for path in (home / "service").iterdir()) == ["dhcp_eth0", "httpd"]
    assert os.access(home / "service/dhcp_eth0/run", os.X_OK)
    assert not list(home.rglob("README.md"))
    assert os.access(home / "rc.init", os.X_OK)
    assert "CONSOLE=ttyS0\n" in (home / "board").read_text()
    assert "logger:x:100:" in (tmp_path / "etc/passwd").read_text()


def test_modules_are_found_in_the_kernel_s_folder_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "lib/modules/6.12/kernel/net"
    place.mkdir(parents=True)
    (place / "virtio_net.ko").touch()

    assert install(tmp_path, MODULES="virtio_net").returncode == 0
    assert (tmp_path / "etc/initfs/modules").read_text() == "/lib/modules/6.12/kernel/net/virtio_net.ko\n"
    assert "unable to find kernel module nothing" in install(tmp_path, MODULES="nothing").stderr
    assert "unable to find service nosuch" in install(tmp_path, SERVICES="nosuch").stderr


@pytest.mark.parametrize("name", ["initfs_qemu_aarch64_virt_defconfig", "initfs_qemu_x86_64_defconfig"])
def test_start_qemu_takes_the_options_of_buildroot_s_own(name: str, tmp_path: Path) -> None:
    subprocess.run([TREE / "board/initfs/common/post-image.sh", tmp_path, name], check=True)
    fake = tmp_path / "bin"
    fake.mkdir()
    for emulator in ("qemu-system-aarch64", "qemu-system-x86_64"):
        (fake / emulator).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (fake / emulator).chmod(0o755)
    words = [str(tmp_path / "start-qemu.sh"), "--serial-only", "--use-system-qemu", "--", "-m", "512"]

    said = subprocess.run(
        words,
        env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert "-nographic" in said
    assert said[-1] == "512"
    assert any(word.endswith("rootfs.cpio.zst") for word in said)


# With a release of Buildroot.

given = os.environ.get("BUILDROOT_DIR", "")
needs_buildroot = pytest.mark.skipif(not given, reason="BUILDROOT_DIR names no release of Buildroot")
pytestmark = pytest.mark.timeout(300)


def make(output: Path, *words: str) -> str:
    """Run Buildroot's make offline."""
    command = ["make", "-s", "-C", given, f"BR2_EXTERNAL={TREE}", f"O={output}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_buildroot
@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_buildroot_keeps_every_line_of_a_configuration(path: Path, tmp_path: Path) -> None:
    make(tmp_path, path.name)

    kept = (tmp_path / ".config").read_text().splitlines()
    assert [
        line for line in path.read_text().splitlines() if line not in kept and not line.startswith("#")
    ] == []


@needs_buildroot
def test_buildroot_lists_our_configurations_and_knows_our_packages(tmp_path: Path) -> None:
    listed = make(tmp_path, "list-defconfigs")
    make(tmp_path, CONFIGS[0].name)
    known = json.loads(make(tmp_path, "show-info"))

    assert all(path.name in listed for path in CONFIGS)
    assert known["initfs"]["licenses"] == "ISC"
    assert "python3" in known["initfs"]["dependencies"]
    assert known["initfs-services"]["dependencies"].count("initfs") == 1


@needs_buildroot
def test_buildroot_s_checker_has_nothing_to_say() -> None:
    pytest.importorskip("magic", reason="utils/check-package needs python-magic")
    if not shutil.which("flake8"):
        pytest.skip("utils/check-package needs flake8")
    words = [sys.executable, f"{given}/utils/check-package", "-b", *map(str, FILES)]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert "0 warnings generated" in done.stdout + done.stderr, done.stdout + done.stderr


def test_every_program_name_can_be_a_file_s() -> None:
    assert all("/" not in name and " " not in name for name in PROGRAMS), "initfs.mk makes a link for each"
