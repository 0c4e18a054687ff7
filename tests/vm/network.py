"""Three machines on cables: upstream, a router of the profile `router`, and a client; and what tests ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from board import build, model
from qemu import boot
from qemu.cable import Cables
from qemu.vm import Machine
from tests.vm.conftest import BOOT

if TYPE_CHECKING:
    from contextlib import ExitStack

    from board.build import Image
    from qemu.events import Event
    from qemu.machine import Wire

BOARD = "qemu-x86_64"
LIMIT = 90.0  # seconds for what takes two on a quiet host
# It says things in its leases that a shell must never see, and its clock is ten minutes ahead.
UPSTREAM = r"""
cat >/run/initfs/fw/up.fwconf <<'END'
zone any
    accept udp 67 123
END
printf 'interface eth0\naddress 10.7.0.1/24\n' >/run/initfs/fw/up.ipconf
svc -u fw
cat >/run/udhcpd.conf <<'END'
interface eth0
start 10.7.0.100
end 10.7.0.110
max_leases 11
lease_file /run/leases
option subnet 255.255.255.0
option router 10.7.0.1
option dns 10.7.0.53
option ntpsrv 10.7.0.1
boot_file $(touch${IFS}/run/evil1)
sname `touch${IFS}/run/evil2`
option hostname ';touch${IFS}/run/evil3;'
option domain $(touch${IFS}/run/evil4)
option rootpath "`touch${IFS}/run/evil5`"
option message '"$(touch${IFS}/run/evil6)
END
: >/run/leases
wait-for -t 60000 address eth0 || exit
udhcpd -S /run/udhcpd.conf
date -u -s @$(($(date +%s) + 600))
ntpd -l
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


def quick(vm: Machine) -> None:
    """Have a pulled cable count after a second instead of eight."""
    output(
        vm,
        "cd /run/service/ifplugd_eth0 && echo 1000 >down-delay && svc -wD -t . ; wait-for -t 30000 link eth0",
    )


def ready(vm: Machine) -> bool:
    return vm.session.history.ready("dhcp_eth0")


def down_of(vm: Machine, service: str, mark: int) -> Event | None:
    """The end of a service of exactly this name: a pinger's begins like it."""
    found = (event for event in vm.events[mark:] if (event.event, event.service) == ("down", service))
    return next(found, None)
