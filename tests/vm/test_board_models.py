"""A real board's kernel with the board's own device tree, in QEMU's model of the board: on its console, as the board has no ports."""

from __future__ import annotations

import pytest

from board import model
from board.report import Report
from qemu import boot, prepare
from qemu.image import announcing
from tests.vm.disks import LIMIT


@pytest.mark.xdist_group("disk-arm64")
def test_a_raspberry_pi_gets_a_lease_through_its_usb_host() -> None:
    board = model.load("raspi3b")
    boot.need([board])
    said: list[bytes] = []
    with Report("quiet") as report:
        image = prepare.prepare(board, report).image
    request = boot.Request(
        board=board,
        image=image,
        command="cat /proc/device-tree/model; echo; svstat /run/service/*; ip -4 addr show dev eth0; ls /dev/watchdog0",
        limit=3 * LIMIT,
    )

    outcome = boot.headless(request, lambda _, data: said.append(data), [])

    text = b"".join(said).decode()
    assert outcome.status == 0, text
    assert "Raspberry Pi 3 Model B" in text
    assert "10.0.2.15" in text
    ready = announcing(boot.files(image))
    assert "dhcp_eth0" in ready
    assert all(f"/run/service/{name}: up" in text for name in ready)
    assert outcome.seconds["init"] < outcome.seconds["tree"] < outcome.seconds["lease"]
