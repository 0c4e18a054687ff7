"""The router's profile between two other machines: leases and NAT for the inside, nothing for the outside."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from board.model import profile
from tests.namespace.machine import wait_until
from tests.namespace.network import Host, cable, server

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = (
    "devd",
    "sshd",
    "ntpd",
)  # nothing is hotplugged here, dropbear may not be installed, and nobody serves time


def router(path: Path) -> Host:
    """A machine with the services and files of the router's profile."""
    chosen = profile("router")
    host = Host(path, *(name for name in chosen.services if name not in WITHOUT))
    shutil.copytree(chosen.files, host.root, dirs_exist_ok=True)
    if not (host.root / "links/dnsmasq").is_symlink():
        pytest.skip("dnsmasq is not installed")
    return host


def test_a_machine_in_the_lan_gets_its_lease_from_the_router_and_a_page_from_upstream_through_it(
    tmp_path: Path,
) -> None:
    # VAR-234 VAR-225 (partly)
    with (
        server(tmp_path / "u", services=("httpd",)) as upstream,
        router(tmp_path / "r") as middle,
        Host(tmp_path / "c", "fw", "dhcp_eth0", "httpd") as client,
    ):
        cable(upstream, "eth0", middle, "eth0")
        cable(middle, "eth1", client, "eth0")
        for host in (upstream, middle, client):
            host.go()
        client.wait_for("ready", "dhcp_eth0", timeout=40.0)
        address = client.has("eth0", "192.168.7.1").partition("/")[0]
        outside = middle.has("eth0", "10.7.0.").partition("/")[0]

        assert "html" in wait_until(lambda: fetched(client, "10.7.0.1"), "a page from upstream")
        assert "nameserver 192.168.7.1" in client.sh("cat /etc/resolv.conf")
        assert "192.168.7.1" in client.sh(
            "nslookup router.lan 192.168.7.1 || nslookup router 192.168.7.1; cat /run/initfs/fw/*"
        )
        seen = upstream.sh(
            "cat /run/service/dhcpd_eth0/udhcpd.conf; nft list ruleset >/dev/null; netstat -tn"
        )
        assert address not in seen, "upstream sees the router's address only"

        # The outside may ping the router, and open nothing: neither its management nor, with a route set by hand, the LAN.
        upstream.sh(f"ping -c 1 -W 5 {outside}; ip route add 192.168.7.0/24 via {outside}")
        for target in (outside, address, "192.168.7.1"):
            for port in (22, 53, 80):
                command = f"echo | nc -w 2 {target} {port} >/dev/null 2>&1"
                assert upstream.inside("sh", "-c", command).returncode != 0, (target, port)
        assert fetched(client, "192.168.7.1"), "management from the LAN"
        assert fetched(client, "127.0.0.1"), "the client has something that could be reached"

        leases = middle.sh(
            "svc -1 dhcpd_br0; usleep 200000; cd /run/service/dhcpd_br0; dumpleases -a -f udhcpd.leases"
        )
        assert address in leases
        assert "watch" in middle.sh("cat /run/service/dhcpd_br0/w_dumpleases")


def fetched(host: Host, address: str) -> str:
    return host.inside("wget", "-q", "-T", "3", "-O", "-", f"http://{address}/").stdout
