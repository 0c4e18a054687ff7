"""Hotplug: a card that comes gets its services, one that goes loses them; and services that wait for what they need."""

from __future__ import annotations

import ctypes.util
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import Host, cable, dangling, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_card_that_is_plugged_in_becomes_a_lease_and_one_that_is_pulled_out_leaves_nothing(
    tmp_path: Path,
) -> None:
    # VAR-238 VAR-225 (partly)
    if not ctypes.util.find_library("udev"):
        pytest.skip("libudev is not installed")
    with (
        server(tmp_path / "s") as giver,
        Host(tmp_path / "c", "fw", "devd", templates=("dhcp_if", "ifplugd_if")) as client,
    ):
        dangling(giver, "eth0")
        giver.go().serving()
        client.go()
        client.wait_for("ready", "devd")
        giver.sh("ip link del eth0")
        cable(giver, "eth0", client, "eth1")
        giver.sh("ip link set eth0 up; ip addr add 10.7.0.1/24 dev eth0; svc -t dhcpd_eth0")

        assert client.has("eth1", "10.7.0.1", timeout=40.0)
        assert client.wait_for("up", "ifplugd_eth1")
        assert "10.7.0" in client.sh("cat /run/initfs/fw/dhcp_eth1.ipconf")

        giver.sh("ip link del eth0")
        wait_until(
            lambda: "dhcp_eth1" not in client.sh("ls -a /run/service; true"), "the end of the instance", 40.0
        )
        wait_until(
            lambda: "ifplugd_eth1" not in client.sh("ls -a /run/service"), "the end of its watcher", 40.0
        )
        assert client.sh("ls /run/initfs/fw") == ""


@pytest.mark.parametrize(
    ("condition", "make"),
    [
        ("device eth7", "ip link add eth7 type veth peer name far7"),
        ("link eth5", "ip link set eth5 up"),
        ("address eth5", "ip addr add 10.7.0.5/24 dev eth5"),
        ("address 10.7.0.6", "ip addr add 10.7.0.6/24 dev eth5"),
        ("route 10.9.0.0/16", "ip link set eth5 up; ip route add 10.9.0.0/16 dev eth5"),
        ("mount /tmp/disk", "mkdir -p /tmp/disk; mount -t tmpfs disk /tmp/disk"),
        ("file /run/new/deep/file", "mkdir -p /run/new; mkdir /run/new/deep; : >/run/new/deep/file"),
        ("clock", "mkdir -p /run/initfs/clock; : >/run/initfs/clock/synchronized"),
    ],
)
def test_a_service_waits_until_the_machine_is_so(host: Host, condition: str, make: str) -> None:
    # VAR-233 (partly)
    assert host.inside("wait-for", "-n", *condition.split(), "true").returncode == 1
    assert host.inside("wait-for", "-t", "30", *condition.split(), "true").returncode == 99
    # A shell in the background waits; that it does is told by its file, what it waits for comes after.
    host.sh(
        f"rm -f /host/met; (echo on >/host/on; exec wait-for -t 20000 {condition} sh -c 'echo met >/host/met') >/dev/null 2>&1 &"
    )
    wait_until((host.host / "on").exists, "the waiting one")

    host.sh(make)

    wait_until((host.host / "met").exists, f"the end of waiting for {condition}")
    assert host.inside("wait-for", "-n", *condition.split(), "true").returncode == 0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One machine for all conditions."""
    with Host(tmp_path_factory.mktemp("conditions")) as machine:
        dangling(machine, "eth5")
        machine.go()
        yield machine


@pytest.mark.parametrize(
    "words", ["", "link", "link a/b", "weather sunny", "route 10.0.0.1/8", "mount relative", "-t x link eth0"]
)
def test_what_makes_no_sense_is_refused_at_once(host: Host, words: str) -> None:
    assert host.inside("wait-for", *words.split()).returncode == 100
