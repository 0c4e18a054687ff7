"""Cables, radios' stand-ins, zeroconf, and a gateway that dies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import Host, cable, recorded, server, told

if TYPE_CHECKING:
    from pathlib import Path


SLOW = 3  # times as long on a loaded machine


@pytest.mark.parametrize("watcher", ["ours, for all interfaces", "busybox's"])
def test_a_pulled_cable_takes_the_lease_along_and_one_put_back_brings_it(
    watcher: str, tmp_path: Path
) -> None:
    # VAR-228 VAR-236 VAR-235 (partly) VAR-238 (partly)
    name = "ifplugd_all" if "all" in watcher else "ifplugd_eth0"
    files = {f"{name}/down-delay": "1000\n", f"{name}/up-delay": "0\n"}
    files |= recorded(name)
    if watcher == "busybox's":
        files[f"{name}/poll"] = ""
    with (
        server(tmp_path / "s") as giver,
        Host(tmp_path / "c", "fw", "dhcp_eth0", name, files=files, needs=("udhcpd", "ifplugd")) as client,
    ):
        cable(giver, "eth0", client, "eth0")
        giver.go().serving()
        client.go()
        client.has("eth0", "10.7.0.")

        pulled = time.monotonic()
        giver.sh("ip link set eth0 down")
        client.lacks("eth0", "10.7.0.")
        gone = time.monotonic() - pulled - 1.0
        assert gone >= 0.0, "not before the delay"
        assert gone < 1.0 * SLOW or watcher == "busybox's"
        assert "default" not in client.sh("ip route")
        assert "down (exitcode 0)" in client.sh("svstat /run/service/dhcp_eth0")

        calls = told(client)
        assert {event for event, _ in calls} >= {"eth0 up", "eth0 down"}, "the same for both"
        assert all(seen["IFPLUGD_CURRENT"] == event.split()[1] for event, seen in calls)
        assert calls[-1][1]["IFPLUGD_PREVIOUS"] == "up"

        plugged = time.monotonic()
        giver.sh("ip link set eth0 up; ip addr add 10.7.0.1/24 dev eth0 2>/dev/null; true")
        client.has("eth0", "10.7.0.")
        assert time.monotonic() - plugged < 5.0 * SLOW or watcher == "busybox's"


def test_a_flip_within_the_delay_causes_nothing_and_an_interface_that_goes_counts_as_pulled(
    tmp_path: Path,
) -> None:
    # VAR-228 (partly)
    files = {
        "ifplugd_eth0/down-delay": "60000\n",
        "ifplugd_eth0/handler": '#!/bin/sh\necho "$1 $2 $IFPLUGD_PREVIOUS $IFPLUGD_CURRENT" >>/host/told\n',
    }
    with Host(tmp_path / "s", "fw") as far, Host(tmp_path / "c", "fw", "ifplugd_eth0", files=files) as client:
        told = client.host / "told"
        cable(far, "eth0", client, "eth0")
        far.go()
        far.sh("ip link set eth0 up")
        client.go()
        wait_until(lambda: told.read_text().endswith("eth0 up down up\n"), "the first news")
        before = told.read_text()
        for _ in range(5):
            far.sh("ip link set eth0 down; usleep 20000; ip link set eth0 up")

        far.sh("ip link del eth0")
        wait_until(lambda: told.read_text() != before, "the next news")
        assert told.read_text() == before + "eth0 down up down\n"

        cable(far, "eth0", client, "eth0")
        far.sh("ip link set eth0 up")
        wait_until(lambda: told.read_text().endswith("eth0 up down up\n"), "the interface that came again")


def test_two_machines_without_a_server_reach_each_other_and_yield_to_one_that_comes(tmp_path: Path) -> None:
    # VAR-227 VAR-235
    fixed = {"fw/conf/eth0.ipconf": "interface eth0\naddress 169.254.77.77/16\n"}
    chosen = recorded("zcip_eth0") | {
        "zcip_eth0/run": '#!/bin/sh\nexec 2>&1\nexec zcip -f -v -r 169.254.77.77 eth0 "$PWD/handler"\n'
    }
    with (
        Host(tmp_path / "a", "fw", files=fixed, needs=("zcip",)) as one,
        Host(tmp_path / "b", "fw", "zcip_eth0", files=chosen, needs=("zcip",)) as other,
    ):
        cable(one, "eth0", other, "eth0")
        other.sh("ip link set eth0 up")
        one.go()
        one.has("eth0", "169.254.77.77/16")
        other.go()

        address = other.has("eth0", "169.254.", timeout=60.0)
        assert address != "169.254.77.77/16", "that one is taken"
        calls = told(other)
        assert [event for event, _ in calls] == ["init", "config"]
        assert calls[1][1]["interface"] == "eth0"
        assert f"{calls[1][1]['ip']}/16" == address
        one.sh(f"ping -c 1 -W 5 {address.partition('/')[0]}")

        lease = "printf 'interface eth0\\naddress 10.7.0.9/24\\n' >/run/initfs/fw/dhcp_eth0.ipconf; svc -u fw"
        other.sh(lease)
        other.has("eth0", "10.7.0.9/24")
        other.lacks("eth0", "169.254.")
        other.sh("rm /run/initfs/fw/dhcp_eth0.ipconf; svc -u fw")
        other.has("eth0", address)
        other.sh("svc -wD -d zcip_eth0")
        other.lacks("eth0", "169.254.")


PING = 'echo "ping $*" >>/host/told; [ ! -e /host/dead ]'
SLEEP = 'echo "sleep $*" >>/host/told; [ "$1" = 5 ] || exec busybox sleep 999'


def test_a_gateway_that_dies_has_the_lease_renewed_after_five_failures_and_not_before(tmp_path: Path) -> None:
    # VAR-226
    names = ("fw", "dhcp_eth0", "dhcp_eth0_pinger")
    with (
        server(tmp_path / "s") as giver,
        Host(tmp_path / "c", *names, stubs={"ping": PING, "sleep": SLEEP}) as client,
    ):
        told = client.host / "told"
        cable(giver, "eth0", client, "eth0")
        giver.go().serving()
        client.go()
        client.wait_for("ready", "dhcp_eth0")
        client.sh("svc -t dhcp_eth0_pinger")
        wait_until(lambda: "ping -c 1 -W 1 -I eth0 10.7.0.1" in told.read_text(), "a ping")

        (client.host / "dead").touch()
        for pause in (
            67,
            134,
            268,
        ):  # longer each time: a gateway that answers no ping at all does no great harm
            before = client.count("ready", "dhcp_eth0")
            told.write_text("")
            client.sh("svc -t dhcp_eth0_pinger")
            client.anew("ready", "dhcp_eth0", before)
            wait_until(lambda pause=pause: told.read_text().endswith(f"sleep {pause}\n"), "the pause")
            assert told.read_text().count("ping ") == 5
            assert told.read_text().count("sleep 5\n") == 4

        (client.host / "dead").unlink()
        told.write_text("")
        client.sh("svc -t dhcp_eth0_pinger")
        wait_until(lambda: told.read_text().endswith("sleep 67\n"), "the pause of a gateway that answers")
        assert told.read_text().count("ping ") == 1
        client.sh("[ ! -e /run/service/dhcp_eth0_pinger/pause ]")
