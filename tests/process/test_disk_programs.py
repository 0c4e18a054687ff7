"""mount-data, provision and mark-good: what they decide, with programs in PATH that tell how they were called."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from initfs.disk import data, mark_good, provision
from initfs.loop import now

if TYPE_CHECKING:
    from pathlib import Path

EXT4 = bytearray(8192)
EXT4[1024 + 56 : 1024 + 58] = b"\x53\xef"


class Tools:
    """Programs whose exit codes a test chooses, call by call; each call is a line of `called`."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "tools"
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.log.touch()
        patch.setenv("PATH", f"{self.folder}:{os.environ['PATH']}")

    def have(self, name: str, *codes: int) -> None:
        """The program ends with these codes, one after the other; the last one stays."""
        path = self.folder / name
        (self.folder / f"{name}.codes").write_text("".join(f"{code}\n" for code in codes))
        path.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{self.log}\nread -r code <{path}.codes\n'
            f'[ "$(wc -l <{path}.codes)" -lt 2 ] || sed -i 1d {path}.codes\nexit "$code"\n'
        )
        path.chmod(0o755)

    @property
    def called(self) -> list[str]:
        return [line.split()[0] for line in self.log.read_text().splitlines()]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setattr(data, "WHERE", str(tmp_path / "data"))
    monkeypatch.setattr(data, "SALVAGED", str(tmp_path / "salvaged"))
    (tmp_path / "data").mkdir()
    return Tools(tmp_path, monkeypatch)


def partition(folder: Path, content: bytes) -> str:
    (folder / "partition").write_bytes(content)
    return str(folder / "partition")


def test_a_new_partition_gets_a_file_system(tools: Tools, tmp_path: Path) -> None:
    tools.have("mke2fs", 0)
    tools.have("mount", 0)

    assert data.bring(partition(tmp_path, bytes(8192))) == "made"
    assert tools.called == ["mke2fs", "mount"]


@pytest.mark.parametrize(("codes", "state"), [((0,), "mounted"), ((1,), "mounted"), ((4, 1), "repaired")])
def test_a_file_system_is_checked_before_it_is_mounted(
    codes: tuple[int, ...], state: str, tools: Tools, tmp_path: Path
) -> None:
    tools.have("e2fsck", *codes)
    tools.have("mount", 0)

    assert data.bring(partition(tmp_path, bytes(EXT4))) == state
    assert tools.called == [*["e2fsck"] * len(codes), "mount"]


def test_one_that_was_clean_and_cannot_be_mounted_is_repaired(tools: Tools, tmp_path: Path) -> None:
    tools.have("e2fsck", 0, 1)
    tools.have("mount", 32, 0)

    assert data.bring(partition(tmp_path, bytes(EXT4))) == "repaired"
    assert tools.called == ["e2fsck", "mount", "e2fsck", "mount"]


def test_one_that_cannot_be_repaired_is_made_anew_with_its_content_aside(
    tools: Tools, tmp_path: Path
) -> None:
    tools.have("e2fsck", 8)
    tools.have("mount", 0)
    tools.have("umount", 0)
    tools.have("mke2fs", 0)
    (tmp_path / "data/precious").write_text("kept")

    assert data.bring(partition(tmp_path, bytes(EXT4))) == "remade"
    assert tools.called == ["e2fsck", "e2fsck", "mount", "umount", "mke2fs", "mount"]
    assert (tmp_path / "data/aside/precious").read_text() == "kept"
    assert not (tmp_path / "salvaged").exists()


def test_what_is_no_file_system_leaves_its_first_bytes(tools: Tools, tmp_path: Path) -> None:
    tools.have("mount", 32, 0)
    tools.have("mke2fs", 0)

    assert data.bring(partition(tmp_path, b"x" * 8192)) == "remade"
    assert (tmp_path / "data/aside/first-bytes").read_bytes() == b"x" * 8192


def test_when_nothing_helps_there_is_no_state_and_no_exception(tools: Tools, tmp_path: Path) -> None:
    for name in ("mount", "mke2fs", "e2fsck"):
        tools.have(name, 1 if name != "e2fsck" else 8)

    for content in (bytes(8192), bytes(EXT4), b"x" * 8192):
        assert data.bring(partition(tmp_path, content)) == ""
    assert data.bring(str(tmp_path / "nothing")) == ""


# Provisioning


def test_good_files_are_taken_and_the_others_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "KEPT", str(tmp_path / "kept"))
    folder = tmp_path / "initfs"
    (folder / "network").mkdir(parents=True)
    (folder / "hostname").write_text("router-7\r\n")
    (folder / "readme.txt").write_text("read me")
    (folder / "errors.txt").write_text("of last time")
    (folder / "network/lan.ipconf").write_text("interface eth0\n\taddress 10.0.0.1/8\n")
    (folder / "network/bad.ipconf").write_text("nonsense\n")
    (folder / "wifi").write_text("ssid=home\npsk=12345678\n")

    assert provision.take(str(folder)) is False

    assert (tmp_path / "kept/hostname").read_text() == "router-7\n"
    assert (tmp_path / "kept/network/lan.ipconf").exists()
    assert (tmp_path / "kept/wifi").stat().st_mode & 0o777 == 0o600
    assert provision.waiting(str(folder)) == ["network/bad.ipconf"]
    assert (folder / "errors.txt").read_text().startswith("network/bad.ipconf: line 1: ")
    (folder / "network/bad.ipconf").unlink()
    assert provision.take(str(folder)) is True
    assert not (folder / "errors.txt").exists()


def test_what_was_given_once_is_put_into_place_at_each_start(tmp_path: Path) -> None:
    kept, root, services = tmp_path / "kept", tmp_path / "root", tmp_path / "services"
    (kept / "network").mkdir(parents=True)
    (kept / "hostname").write_text("router-7\n")
    (kept / "authorized_keys").write_text("key\n")
    (kept / "network/lan.ipconf").write_text("interface eth0\n")
    (kept / "wifi").write_text("ssid=home\npsk=12345678\n")
    (services / "fw/conf").mkdir(parents=True)
    (services / "supplicant_wlan0").mkdir()
    (root / "etc").mkdir(parents=True)
    (root / "root").mkdir()

    provision.apply(str(kept), str(root), str(services))

    assert (root / "etc/hostname").read_text() == "router-7\n"
    assert (root / "root/.ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (services / "fw/conf/lan.ipconf").read_text() == "interface eth0\n"
    assert 'psk="12345678"' in (services / "supplicant_wlan0/wpa_supplicant.conf").read_text()


def test_a_machine_that_was_given_nothing_has_nothing_to_put_into_place(tmp_path: Path) -> None:
    provision.apply(str(tmp_path / "kept"), str(tmp_path), str(tmp_path))

    assert list(tmp_path.iterdir()) == []


# Marking


def test_services_that_announce_readiness_are_waited_for(tools: Tools, tmp_path: Path) -> None:
    for name, files in (
        ("getty", ["notification-fd"]),
        ("web", []),
        ("off", ["notification-fd", "down"]),
        ("me", ["notification-fd"]),
    ):
        (tmp_path / "scan" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "scan" / name / file).touch()

    assert mark_good.announcing(str(tmp_path / "scan"), "me") == ["getty"]


@pytest.mark.parametrize(
    ("known", "there", "up", "good"),
    [(1, 0, 0, True), (0, 0, 0, True), (0, 99, 0, False), (0, 0, 1, False), (0, 0, 3, True)],
)
def test_the_bundle_default_is_waited_for_where_there_is_one(
    known: int, there: int, up: int, good: bool, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_good, "COMPILED", str(tmp_path))
    tools.have("rc-db", known)
    tools.have("wait-for", there)
    tools.have("rc", up)

    assert mark_good._default(now() + 60) is good
    assert ("rc" in tools.called) is (known == 0 and there == 0)
