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
        upstream.go().serving()
        middle.go().serving()
        client.go()
        client.wait_for("ready", "dhcp_eth0", timeout=40.0)
        address = client.has("eth0", "192.168.7.1").partition("/")[0]
        outside = middle.has("eth0", "10.7.0.").partition("/")[0]

        assert "html" in wait_until(lambda: fetched(client, "10.7.0.1"), "a page from upstream")
        assert "nameserver 192.168.7.1" in client.sh("cat /etc/resolv.conf")
        # Only an address of IPv4: what the cache does not know it asks upstream, where no server of names is.
        assert "Name:\trouter\nAddress: 192.168.7.1\n" in client.sh("nslookup -type=a router 192.168.7.1")
        seen = upstream.sh(
            "cat /run/service/dhcpd_eth0/udhcpd.conf; nft list ruleset >/dev/null; netstat -tn"
        )
        assert address not in seen, "upstream sees the router's address only"

        # The outside may ping the router, and open nothing: neither its management nor, with a route set by hand, the LAN.
        upstream.sh(f"ping -c 1 -W 5 {outside}; ip route add 192.168.7.0/24 via {outside}")
        tries = " ".join(
            f"{target}:{port}" for target in (outside, address, "192.168.7.1") for port in (22, 53, 80)
        )
        one = 'echo | nc -w 2 "${each%:*}" "${each#*:}" >/dev/null 2>&1 && echo "$each"'
        assert upstream.sh(f"for each in {tries}; do ({one}) & done; wait") == ""
        assert fetched(client, "192.168.7.1"), "management from the LAN"
        assert fetched(client, "127.0.0.1"), "the client has something that could be reached"

        middle.sh("svc -1 dhcpd_br0")
        dump = "cd /run/service/dhcpd_br0; dumpleases -a -f udhcpd.leases"
        wait_until(lambda: address in middle.inside("sh", "-c", dump).stdout, "the lease in the file")
        assert "watch" in middle.sh("cat /run/service/dhcpd_br0/w_dumpleases")


def fetched(host: Host, address: str) -> str:
    return host.inside("wget", "-q", "-T", "3", "-O", "-", f"http://{address}/").stdout
