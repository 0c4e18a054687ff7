"""A radio network inside one machine (mac80211_hwsim): hostapd on one radio, wpa_supplicant and a lease on the other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from board import build, model
from qemu import boot
from qemu.vm import Machine
from tests.vm.conftest import BOOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARD = "qemu-x86_64"
LIMIT = 120.0  # seconds for what takes five on a quiet host
pytestmark = pytest.mark.xdist_group("network")


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of the profile `access-point` whose second radio has the services of `wifi-client`."""
    folder = tmp_path_factory.mktemp("profiles")
    shutil.copytree(model.PROFILES / "access-point", folder / "radio")
    text = (model.PROFILES / "access-point.toml").read_text()
    text = text.replace('"dhcp_eth0"', '"dhcp_wlan1", "supplicant_wlan1"').replace(
        '"ifplugd_eth0"', '"ifplugd_wlan1"'
    )
    text = text.replace("programs = [", 'programs = [\n    "wpasupplicant:/sbin/wpa_supplicant",')
    (folder / "radio.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "PROFILES", folder)
        boot.need([model.load(BOARD)])
        image = build.build(model.load(BOARD), profile="radio", output=tmp_path_factory.mktemp("image"))
    with Machine(BOARD, image, memory=384) as machine:
        machine.wait_booted(["agent"], timeout=BOOT)
        machine.run("echo 1000 >/run/service/ifplugd_wlan1/down-delay; svc -t ifplugd_wlan1", timeout=LIMIT)
        assert machine.run("modprobe mac80211_hwsim radios=2", timeout=LIMIT).returncode == 0
        yield machine


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=LIMIT)
    assert result.returncode == 0, result
    return result.stdout


def test_a_radio_that_is_associated_gets_a_lease_and_loses_it_with_the_access_point_until_that_is_back(
    vm: Machine,
) -> None:
    # VAR-229 VAR-228 (partly)
    vm.wait_for("ready", service="dhcp_wlan1", timeout=LIMIT)
    assert "192.168.8.1" in output(vm, "ip -4 -o addr show dev wlan1")

    mark = vm.mark()
    output(vm, "svc -d hostapd_wlan0")
    vm.wait_for("down", service="dhcp_wlan1", timeout=LIMIT, after=mark)
    output(vm, "until ! ip -4 -o addr show dev wlan1 | grep -q inet; do usleep 100000; done")

    mark = vm.mark()
    output(vm, "svc -u hostapd_wlan0")
    vm.wait_for("ready", service="dhcp_wlan1", timeout=LIMIT, after=mark)
    assert "192.168.8.1" in output(vm, "ip -4 -o addr show dev wlan1")
