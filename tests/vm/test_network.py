"""Three machines on cables: upstream, a router of the profile `router`, and a client; and a radio network inside one machine."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from board import build, model
from qemu import boot
from qemu.cable import Cables, insert_card, plug, pull, remove_card
from qemu.vm import Machine
from tests.vm.conftest import BOOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from board.build import Image
    from qemu.machine import Wire

BOARD = "qemu-x86_64"
LIMIT = 90.0  # seconds for what takes two on a quiet host
pytestmark = pytest.mark.xdist_group("network")
UPSTREAM = """
cat >/run/initfs/fw/up.fwconf <<'END'
zone any
    accept udp 67
END
printf 'interface eth0\\naddress 10.7.0.1/24\\n' >/run/initfs/fw/up.ipconf
svc -u fw
printf 'interface eth0\\nstart 10.7.0.100\\nend 10.7.0.110\\nmax_leases 11\\noption subnet 255.255.255.0\\noption router 10.7.0.1\\noption dns 10.7.0.53\\nlease_file /run/leases\\n' >/run/udhcpd.conf
: >/run/leases
wait-for -t 60000 address eth0 || exit
udhcpd -S /run/udhcpd.conf
"""


def image_of(profile: str) -> Image:
    boot.need([model.load(BOARD)])
    return build.build(model.load(BOARD), profile=profile)


class Network:
    """The three machines."""

    def __init__(self, stack: ExitStack) -> None:
        plain, routing = image_of("client"), image_of("router")
        cables = stack.enter_context(Cables())
        outside, wan = cables.cable()
        lan, inside = cables.cable()
        self.spare, _ = cables.cable(unplugged=True)

        def machine(image: Image, *wires: Wire) -> Machine:
            return stack.enter_context(Machine(BOARD, image, wires=wires))

        self.upstream = machine(plain, outside)
        self.upstream.wait_booted(["agent"], timeout=BOOT)
        self.upstream.run("svc -dx ifplugd_eth0; svc -d dhcp_eth0", timeout=LIMIT)
        assert self.upstream.run(UPSTREAM, timeout=LIMIT).returncode == 0
        self.router = machine(routing, wan, lan, self.spare)
        self.client = machine(plain, inside)
        for vm in (self.router, self.client):
            vm.wait_booted(["agent"], timeout=BOOT)
            vm.wait_for("ready", service="dhcp_eth0", timeout=BOOT)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(stack)


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=LIMIT)
    assert result.returncode == 0, result
    return result.stdout


def address(vm: Machine, interface: str) -> str:
    """The first IPv4 address of an interface; empty when there is none."""
    words = output(vm, f"ip -4 -o addr show dev {interface}").split()
    return words[3].partition("/")[0] if len(words) > 3 else ""


def fetched(vm: Machine, target: str) -> str:
    return vm.run(f"wget -q -T 10 -O - http://{target}/", timeout=LIMIT).stdout


def test_the_client_has_its_lease_from_the_router_and_a_page_from_upstream_through_nat(
    network: Network,
) -> None:
    # VAR-225 (partly) VAR-234 (partly)
    assert address(network.router, "eth0").startswith("10.7.0.1")
    assert address(network.router, "br0") == "192.168.7.1"
    assert address(network.client, "eth0").startswith("192.168.7.1")
    assert "<" in fetched(network.client, "10.7.0.1")
    assert "192.168.7" not in output(network.upstream, "cat /proc/net/nf_conntrack 2>/dev/null; netstat -tn")


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


def quick(vm: Machine) -> None:
    """Have a pulled cable count after a second instead of eight."""
    output(
        vm,
        "cd /run/service/ifplugd_eth0 && echo 1000 >down-delay && svc -wD -t . ; wait-for -t 30000 link eth0",
    )


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


def ready(vm: Machine) -> bool:
    return vm.session.history.ready("dhcp_eth0")


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
        " svc -u fw; wait-for -t 60000 address 192.168.9.1; svc -t dhcpd_br0",
    )
    mark = client.mark()
    plug(client, 0)
    client.wait_for("ready", service="dhcp_eth0", timeout=LIMIT, after=mark)

    assert address(client, "eth0").startswith("192.168.9.1")
    assert "192.168.7" not in output(client, "ip addr; ip route; cat /etc/resolv.conf")


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
