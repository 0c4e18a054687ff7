"""dhcp_IF with a real server on the other end of the cable, and with one that means harm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.namespace.machine import wait_until
from tests.namespace.network import Host, cable, dangling, recorded, server, told

if TYPE_CHECKING:
    from pathlib import Path

WANTED = "/run/initfs/fw/dhcp_eth0.ipconf"
APPLIED = "/run/initfs/fw-applied/dhcp_eth0.ipconf"


def test_a_lease_is_brought_about_within_5_seconds_and_all_of_it_goes_with_the_service(
    tmp_path: Path,
) -> None:
    # VAR-225 VAR-235 (partly) VAR-238 (partly) VAR-231 (partly)
    with (
        server(tmp_path / "s") as giver,
        Host(tmp_path / "c", "fw", "dhcp_eth0", files=recorded("dhcp_eth0")) as client,
    ):
        cable(giver, "eth0", client, "eth0")
        giver.go().serving()
        began = time.monotonic()
        client.go()
        client.wait_for("ready", "dhcp_eth0")
        assert time.monotonic() - began < 5 * 3, "a loaded machine has three times as long"

        assert client.has("eth0", "10.7.0.1")
        assert "default via 10.7.0.1 dev eth0  metric " in client.sh("ip route")
        assert client.sh("cat /etc/resolv.conf") == "search lan.example\nnameserver 10.7.0.53\n"
        assert "10.7.0.1" in client.sh("ping -c 1 -W 5 10.7.0.1")
        assert client.sh("cat /run/initfs/ntpd/dhcp_eth0.ntpconf") == "server 10.7.0.123\n"
        assert "\0serverid=10.7.0.1\0" in client.sh("cat /run/service/dhcp_eth0/env.out")

        client.sh("svc -wD -d dhcp_eth0")
        client.lacks("eth0", "10.7.0.")
        assert "default" not in client.sh("ip route")
        left = f"{WANTED} /run/initfs/ntpd/dhcp_eth0.ntpconf /run/service/dhcp_eth0/env.out"
        assert client.sh(f"ls {left} 2>/dev/null; true") == ""
        wait_until(lambda: client.sh("cat /etc/resolv.conf") == "", "an empty resolv.conf")
        wait_until(lambda: "10.7.0.10" not in leases(giver), "the lease given back")

        calls = told(client)
        assert [event for event, _ in calls][:2] == ["deconfig", "bound"]
        assert calls[-1][0] == "deconfig", "by finish, or by the release"
        last = dict(calls)["bound"]
        contract = {"interface": "eth0", "mask": "24", "subnet": "255.255.255.0", "router": "10.7.0.1", "dns": "10.7.0.53",
                    "serverid": "10.7.0.1", "domain": "lan.example", "lease": "600", "ntpsrv": "10.7.0.123"}  # fmt: skip
        assert {name: last.get(name) for name in contract} == contract
        assert last["ip"].startswith("10.7.0.1")

        client.sh("svc -u dhcp_eth0")
        client.has("eth0", "10.7.0.")
        client.sh("svc -ok dhcp_eth0")  # no handler is called then: finish does it
        client.lacks("eth0", "10.7.0.")


def leases(giver: Host) -> str:
    """The addresses that are given now. udhcpd writes the file when it is told to (USR1)."""
    giver.sh("svc -1 dhcpd_eth0; usleep 100000")
    lines = giver.sh("cd /run/service/dhcpd_eth0 && dumpleases -r -f udhcpd.leases").splitlines()
    return "\n".join(line for line in lines if "expired" not in line)


BAD = {
    "quotes": "a'b\"c",
    "a command": "$(touch /run/evil)",
    "backticks": "`touch /run/evil`",
    "another line": "x\naddress 6.6.6.6/8\ngateway 6.6.6.7",
    "separators": "x; touch /run/evil | touch /run/evil && touch /run/evil",
    "255 bytes": "$(touch /run/evil)".ljust(255, "A"),
    "bytes": "\udcff\udc80\x01\x7f",
    "a pattern": "* ? [a-z]",
}
STRINGS = (
    "domain",
    "search",
    "hostname",
    "message",
    "rootpath",
    "vendor",
    "bootfile",
    "boot_file",
    "tzstr",
    "wpad",
    "sname",
)
NUMBERS = ("ip", "mask", "router", "dns", "ntpsrv", "mtu", "staticroutes")
GOOD = {
    "interface": "eth0",
    "ip": "10.7.0.9",
    "mask": "24",
    "router": "10.7.0.1",
    "dns": "10.7.0.53",
    "serverid": "10.7.0.1",
}


def test_nothing_that_a_server_sends_is_executed_or_breaks_a_file(tmp_path: Path) -> None:
    # VAR-237 VAR-230 (partly)
    with Host(tmp_path, "fw", "dhcp_eth0", files={"dhcp_eth0/down": ""}) as client:
        other = Host.__new__(Host)
        other.pid = client.pid
        cable(client, "eth0", other, "far")
        client.go()
        client.wait_for("finished", "fw")
        for text in BAD.values():
            hand_over(client, {**GOOD, **dict.fromkeys(STRINGS, text)})
            assert client.has("eth0", "10.7.0.9/24"), "the rest of the lease is good"
            assert "6.6.6.6" not in client.sh("cat /etc/resolv.conf /etc/hosts; ip addr")
            assert client.sh("grep -c . /etc/resolv.conf") in ("1\n", "2\n")
        for name in ("a command", "another line"):
            hand_over(client, {**GOOD, **dict.fromkeys(NUMBERS, BAD[name])})
        client.lacks("eth0", "10.7.0.9")
        assert "dhcp_eth0.ipconf refused: line " in client.log()
        assert client.sh("ls /run/initfs/fw-applied/lo.ipconf"), "the others are applied"
        assert client.sh("ls /run /run/service/dhcp_eth0 | grep -c evil; true") == "0\n"


def test_fw_runs_once_for_each_lease_be_it_new_or_changed_or_refused_or_without_a_firewall(
    tmp_path: Path,
) -> None:
    # VAR-225 (partly) VAR-230 (partly)
    with Host(tmp_path, "fw", "dhcp_eth0", files={"dhcp_eth0/down": ""}) as client:
        dangling(client, "eth0")
        client.go()
        client.wait_for("finished", "fw")

        def runs(**values: str) -> int:
            before = client.count("up", "fw")
            hand_over(client, {**GOOD, **values})
            client.sh(
                "until [ \"$(svstat -o up,wantedup /run/service/fw)\" = 'false false' ]; do usleep 20000; done"
            )
            return client.count("up", "fw") - before

        assert runs() == 1
        assert runs(ip="10.7.0.10") == 1
        assert client.addresses("eth0") == ["10.7.0.10/24"]
        assert runs(ip="10.7.0.11", router="$(id)\udcff") == 1
        assert client.addresses("eth0") == []
        assert client.sh(f"grep -c '^#gateway' {APPLIED}") == "1\n"
        client.sh('mount --bind /dev/null "$(find /usr/lib -name libnftables.so.1)"')
        assert runs() == 1
        assert "#address 10.7.0.9/24\n" in client.sh(f"cat {APPLIED}")
        assert client.addresses("eth0") == [], "no interface has an address without its firewall"


# Says with which servers it began, and which address there was when it was told to begin anew.
NTPD = """
trap 'echo "ended $(busybox ip -4 -o addr show dev eth0)" >>/host/ntpd; exit' TERM
echo "began $*" >>/host/ntpd
busybox sleep 9999 &
wait"""


def test_ntpd_is_told_of_a_lease_s_servers_when_it_can_reach_them(tmp_path: Path) -> None:
    # VAR-233 (partly)
    files = {"dhcp_eth0/down": "", "ntpd/pool": "pool.example\n"}
    with Host(tmp_path, "fw", "dhcp_eth0", "ntpd", files=files, stubs={"ntpd": NTPD}) as client:
        dangling(client, "eth0")
        client.go()
        times = client.host / "ntpd"
        wait_until(lambda: times.read_text().endswith("-p pool.example\n"), "ntpd")

        hand_over(client, {**GOOD, "ntpsrv": "10.7.0.123"})
        wait_until(lambda: times.read_text().endswith("-p 10.7.0.123\n"), "ntpd with the lease's server")
        assert "inet 10.7.0.9/24" in times.read_text().splitlines()[-2]


def hand_over(client: Host, values: dict[str, str]) -> None:
    """Call the handler as udhcpc does, with its variables, and wait for what fw makes of it. Nobody reads what it says of being
    ready, as in all of a service's life but its beginning.
    """
    words = ["env", "-i", "PATH=/usr/bin", *(f"{name}={text}" for name, text in values.items())]
    unheard = "rm -f /run/unheard; mkfifo /run/unheard; exec 8<>/run/unheard 9>/run/unheard 8>&-"
    done = client.inside(
        "sh", "-c", f'{unheard}; cd /run/service/dhcp_eth0 && exec "$@" ./handler bound', "sh", *words
    )
    assert done.returncode == 0, done.stderr
