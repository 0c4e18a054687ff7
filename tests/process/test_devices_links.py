"""Links below /dev that devd has made: it knows them again, though it was dead when their devices went."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from initfs.devices import links
from initfs.devices.devd import Devd

if TYPE_CHECKING:
    from pathlib import Path


class Nothing:
    """No devices, and no drivers to be loaded for them."""

    def present(self) -> list[object]:
        return []

    def flush(self) -> None: ...


@pytest.fixture
def devd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Devd:
    """One that hears of no device."""
    monkeypatch.setattr(links, "KEPT", str(tmp_path / "kept"))
    (tmp_path / "scan").mkdir()
    made = Devd.__new__(Devd)
    made.rules, made.waiting, made.scandir = [], [], str(tmp_path / "scan")
    made.monitor = made.drivers = Nothing()  # type: ignore[assignment]
    return made


def test_a_link_that_no_device_asks_for_is_removed_and_nobody_else_s(devd: Devd, tmp_path: Path) -> None:
    # VAR-238 (partly)
    dev = tmp_path / "dev/by-id"
    links.make(f"{dev}/gone", "/dev/sda")
    links.make(f"{dev}/gone", "/dev/sdb")  # it has another node now
    links.make(f"{dev}/replaced", "/dev/sdc")
    (dev / "replaced").unlink()
    for name in ("mine", "replaced"):
        (dev / name).symlink_to("/dev/sdd")
    assert links.made() == [(f"{dev}/gone", "/dev/sdb"), (f"{dev}/replaced", "/dev/sdc")]

    devd.look()

    assert sorted(os.listdir(dev)) == ["mine", "replaced"]
    assert links.made() == []


@pytest.mark.usefixtures("devd")
def test_a_link_is_not_removed_with_another_device(tmp_path: Path) -> None:
    links.make(f"{tmp_path}/dev/modem", "/dev/ttyUSB1")

    links.remove(f"{tmp_path}/dev/modem", "/dev/ttyUSB0")

    assert os.readlink(tmp_path / "dev/modem") == "/dev/ttyUSB1"
    assert links.made() == [(f"{tmp_path}/dev/modem", "/dev/ttyUSB1")]
