"""A router between a client and upstream, their cables and cards: leases, NAT, the firewall, a gateway that dies, zeroconf, hotplug."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from bench.network import SNMP, echoes
from qemu.cable import insert_card, plug, pull, remove_card
from tests.vm.network import LIMIT, Network, address, down_of, fetched, output, quick, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("network")
STATE = "ip addr; ip neigh; ip route; nft list ruleset; cat /proc/net/nf_conntrack; svlog-cat /run/uncaught-logs | tail -n 40"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(stack)


def test_the_client_has_its_lease_from_the_router_and_a_page_from_upstream_through_nat(
    network: Network,
) -> None:
    # VAR-225 (partly) VAR-234 (partly)
    assert address(network.router, "eth0").startswith("10.7.0.1")
    assert address(network.router, "br0") == "192.168.7.1"
    assert address(network.client, "eth0").startswith("192.168.7.1")
    assert "<" in fetched(network.client, "10.7.0.1")
    assert "192.168.7" not in output(network.upstream, "cat /proc/net/nf_conntrack 2>/dev/null; netstat -tn")


def test_what_upstream_says_in_its_lease_is_kept_and_never_executed(network: Network) -> None:
    # VAR-237 (partly)
    said = output(network.router, "tr '\\0' '\\n' </run/service/dhcp_eth0/env.out")
    for number in (1, 2, 5, 6):
        assert f"touch${{IFS}}/run/evil{number}" in said, "it came"
    assert (
        output(network.router, "ls -d /run/evil* 2>/dev/null; grep -c touch /etc/resolv.conf; true") == "0\n"
    )


def test_the_clock_is_upstream_s_once_ntpd_has_heard_it(network: Network) -> None:
    # VAR-233 (partly)
    assert network.router.run("wait-for -t 80000 clock", timeout=LIMIT).returncode == 0
    ahead = int(output(network.router, "date +%s")) - time.time()
    assert 500 < ahead < 700, "upstream's clock is ten minutes ahead of this machine's"


def test_upstream_reaches_neither_the_lan_nor_the_router_s_management(network: Network) -> None:
    outside, inside = address(network.router, "eth0"), address(network.client, "eth0")
    output(network.upstream, f"ip route add 192.168.7.0/24 via {outside}; ping -c 1 -W 10 {outside}")

    for target in (outside, inside, "192.168.7.1"):
        for port in (22, 53, 80):
            assert network.upstream.run(f"echo | nc -w 3 {target} {port}", timeout=LIMIT).returncode, (
                target,
                port,
            )
    assert "<" in fetched(network.client, "192.168.7.1"), "management from the LAN"


def test_a_pulled_cable_takes_lease_and_route_along_and_a_plugged_one_brings_them(network: Network) -> None:
    # VAR-228 (partly)
    client = network.client
    quick(client)
    mark = client.mark()
    pull(client, 0)
    down = client.wait_for("down", service="dhcp_eth0", timeout=LIMIT, after=mark)
    fw = client.wait_for("down", service="fw", timeout=LIMIT, after=mark)
    assert address(client, "eth0") == ""
    assert "default" not in output(client, "ip route")
    assert fw.time - down.time < 10, "with the emulator's speed; a second on a board"

    mark = client.mark()
    plug(client, 0)
    client.wait_for("ready", service="dhcp_eth0", timeout=LIMIT, after=mark)
    assert address(client, "eth0").startswith("192.168.7.1")
    assert "default via 192.168.7.1" in output(client, "ip route")


def test_a_cable_pulled_20_times_at_random_ends_in_a_lease(network: Network) -> None:
    # VAR-228 (partly)
    client = network.client
    seed = int(time.time())
    chance = random.Random(seed)
    for _ in range(20):
        pull(client, 0)
        client.run(f"usleep {chance.randrange(700_000)}", timeout=LIMIT)
        plug(client, 0)
        client.run(f"usleep {chance.randrange(700_000)}", timeout=LIMIT)

    result = client.run(
        "wait-for -t 60000 address eth0 && wait-for -t 60000 route default", timeout=LIMIT + 60
    )
    assert result.returncode == 0, (seed, result)
    client.until_told("the service ready", lambda: ready(client) or None, LIMIT)
    assert "<" in fetched(client, "10.7.0.1"), seed


def test_a_machine_that_was_carried_to_another_network_has_an_address_of_that_one_only(
    network: Network,
) -> None:
    # VAR-225 (partly)
    client, router = network.client, network.router
    mark = client.mark()
    pull(client, 0)
    client.wait_for("down", service="dhcp_eth0", timeout=LIMIT, after=mark)
    output(
        router,
        "cd /run/service && sed -i 's/168.7/168.9/' fw/conf/lan.ipconf dhcpd_br0/udhcpd.conf && rm -f dhcpd_br0/udhcpd.leases;"
        " svc -u fw; wait-for -t 60000 address 192.168.9.1; svc -wD -d dhcpd_br0; svc -u dhcpd_br0;"
        " until pidof udhcpd; do usleep 100000; done",
    )
    mark = client.mark()
    plug(client, 0)
    client.wait_for("ready", service="dhcp_eth0", timeout=LIMIT, after=mark)

    assert address(client, "eth0").startswith("192.168.9.1")
    assert "192.168.7" not in output(client, "ip addr; ip route; cat /etc/resolv.conf")


def test_no_packet_is_lost_while_fw_changes_addresses_and_rules(network: Network) -> None:
    # VAR-230 (partly)
    client, router = network.client, network.router
    output(
        router,
        "cd /run/service/fw/conf; (until [ -e /run/enough ]; do"
        '  n=$((n % 9 + 1)); printf "interface br0\\naddress 192.168.9.2$n/24\\n" >n.ipconf;'
        '  printf "zone lan\\n accept tcp 100$n\\n" >n.fwconf; svc -wD -u fw;'
        " done; rm n.ipconf n.fwconf; svc -wD -u fw; : >/run/ended) >/dev/null 2>&1 </dev/null & true",
    )
    before = echoes(output(client, SNMP))
    output(client, "ping -i 0.01 -c 500 192.168.9.1 >/dev/null; true")
    sent, answered = (
        after - count for after, count in zip(echoes(output(client, SNMP)), before, strict=True)
    )

    assert (sent, answered) == (500, 500), "\n".join(output(vm, STATE) for vm in (client, router))
    assert "192.168.9.2" in output(router, "ip -4 addr show dev br0"), "and fw did run"
    output(router, ": >/run/enough; wait-for -t 60000 file /run/ended")


def test_a_gateway_that_died_has_the_lease_asked_for_anew_after_five_failures(network: Network) -> None:
    # VAR-226 (partly)
    upstream, router = network.upstream, network.router
    output(upstream, "ip link set eth0 down")
    mark = router.mark()
    output(router, "svc -t dhcp_eth0_pinger")  # which ends its pause of 67 s
    began = router.wait_for("up", service="dhcp_eth0_pinger", timeout=LIMIT, after=mark)
    ended = router.until_told("the end of the lease", lambda: down_of(router, "dhcp_eth0", mark), 2 * LIMIT)
    said = output(router, "svlog-cat /run/uncaught-logs | grep -o '10[.]7[.]0[.]1 does not answer.*'")
    assert said.splitlines() == [f"10.7.0.1 does not answer ({number})" for number in range(1, 6)]
    assert ended.time - began.time > 20, "four pauses of 5 s"

    output(upstream, "ip link set eth0 up")
    router.wait_for("ready", service="dhcp_eth0", timeout=LIMIT, after=mark)
    assert "default via 10.7.0.1" in output(router, "ip route")
    output(router, "ping -c 1 -W 10 10.7.0.1")


# Both want the same address first: only one can have it.
ZEROCONF = (
    "cd /run/service && cp -r /etc/initfs/template/zcip_if .zcip &&"
    " sed -i 's/ zcip -f/& -r 169.254.77.77/' .zcip/run && mv .zcip zcip_eth0"
)


def test_two_machines_without_a_server_reach_each_other_and_yield_to_one_that_comes(network: Network) -> None:
    # VAR-227 (partly)
    upstream, router = network.upstream, network.router
    output(router, "svc -wD -d dhcp_eth0; svc -u dhcp_eth0")
    output(upstream, f"killall udhcpd; mv /run/initfs/fw/up.ipconf /run; svc -u fw; {ZEROCONF}")
    output(router, ZEROCONF)
    for vm in (upstream, router):
        output(vm, "until ip -4 -o addr show dev eth0 | grep -q 'inet 169[.]254[.]'; do usleep 100000; done")
    assert "169.254." in address(upstream, "eth0") != address(router, "eth0")
    output(router, f"ping -c 1 -W 10 -I eth0 {address(upstream, 'eth0')}")

    mark = router.mark()
    output(
        upstream,
        "mv /run/up.ipconf /run/initfs/fw; svc -u fw; wait-for -t 60000 address 10.7.0.1; udhcpd -S /run/udhcpd.conf",
    )
    output(router, "svc -t dhcp_eth0")
    router.wait_for("ready", service="dhcp_eth0", timeout=LIMIT, after=mark)
    for vm in (upstream, router):
        assert address(vm, "eth0").startswith("10.7.0.1")
        assert "169.254." not in output(vm, "ip -4 addr show dev eth0")


def test_a_card_that_is_plugged_in_becomes_an_instance_and_goes_with_it(network: Network) -> None:
    # VAR-238 (partly)
    router = network.router
    mark = router.mark()
    insert_card(router, 2, network.spare)
    router.wait_for("up", service="ifplugd_eth2", timeout=LIMIT, after=mark)
    router.wait_for("up", service="dhcp_eth2", timeout=LIMIT, after=mark)

    mark = router.mark()
    remove_card(router, 2)
    router.wait_for("down", service="dhcp_eth2", timeout=LIMIT, after=mark)
    router.wait_for("down", service="ifplugd_eth2", timeout=LIMIT, after=mark)
    assert output(router, "wait-for -n device eth2; echo $?") == "1\n"
    left = "dhcp_eth0 dhcp_eth0_pinger ifplugd_eth0"  # and none for eth1, the bridge's port
    output(
        router, f'cd /run/service; until [ "$(echo dhcp_* ifplugd_*)" = "{left}" ]; do usleep 100000; done'
    )


def test_a_vlan_is_made_and_removed(network: Network) -> None:
    # VAR-230 (partly)
    router = network.router
    text = "interface eth1.5\\nvlan 5 eth1\\naddress 10.5.0.1/24\\n"
    output(router, f"printf '{text}' >/run/initfs/fw/v.ipconf; svc -u fw; wait-for -t 60000 address 10.5.0.1")
    assert address(router, "eth1.5") == "10.5.0.1"
    assert "VID: 5" in output(router, "cat /proc/net/vlan/eth1.5")

    output(
        router,
        "rm /run/initfs/fw/v.ipconf; svc -u fw; while [ -e /sys/class/net/eth1.5 ]; do usleep 50000; done",
    )
