"""fw as the one-shot service that it is: wanted files in, the kernel's state out, and nothing else touched."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from bench.network import SNMP, echoes
from tests.namespace.machine import wait_until
from tests.namespace.network import Host, cable, server

if TYPE_CHECKING:
    from pathlib import Path

FIFO = "run/service/fw/supervise/control"


def settled(host: Host) -> None:
    """Wait until fw has ended and nobody wants it again. It may not even be supervised yet."""
    wait_until(
        lambda: (
            host.inside("svstat", "-o", "up,wantedup", "/run/service/fw").stdout.split() == ["false", "false"]
        ),
        "fw at rest",
        60.0,
    )


def test_a_thousand_requests_at_once_end_in_the_right_state_with_at_most_two_more_runs(
    tmp_path: Path,
) -> None:
    # VAR-230
    with Host(tmp_path, "fw") as host:
        host.go()
        settled(host)
        before = host.count("up", "fw")
        inside = f"/proc/{host.pid}/root"

        def ask() -> None:
            for _ in range(90):
                fd = os.open(f"{inside}/{FIFO}", os.O_WRONLY)
                os.write(fd, b"u")
                os.close(fd)

        askers = [threading.Thread(target=ask) for _ in range(10)]
        for asker in askers:
            asker.start()
        for number in range(1, 21):
            text = f"interface lo\\naddress 10.9.9.{number}/32\\n"
            host.sh(f"cd /run/initfs/fw && printf '{text}' >x.new && mv x.new x.ipconf && svc -u fw")
        for asker in askers:
            asker.join()
        last_asked = host.count("up", "fw")
        ask()
        settled(host)

        assert "10.9.9.20/32" in host.addresses("lo")
        assert "10.9.9.1/32" not in host.addresses("lo")
        assert host.count("up", "fw") - last_asked <= 2
        assert host.count("up", "fw") > before


def test_a_wrong_file_is_refused_with_its_line_and_the_rest_is_applied(tmp_path: Path) -> None:
    # VAR-230 (partly) VAR-237 (partly)
    files = {
        "fw/conf/bad.ipconf": "interface lo\naddress 10.9.9.1/32\naddress $(touch /run/evil)\n",
        "fw/conf/good.ipconf": "interface lo\naddress 10.9.9.2/32\n",
        "fw/conf/old.ipconf": "let cfg=cfg+1\nif[$cfg]=lo\nip[$cfg]=10.9.9.3\n",
        "fw/conf/bad.fwconf": "zone any\naccept tcp 22x\n",
    }
    with Host(tmp_path, "fw", files=files) as host:
        host.go()
        settled(host)

        assert host.addresses("lo") == ["127.0.0.1/8", "10.9.9.2/32"]
        assert "conf/bad.ipconf refused: line 3: " in host.log()
        assert "conf/old.ipconf refused: line 1: " in host.log()
        assert "conf/bad.fwconf refused: line 2: " in host.log()
        assert "exitcode 100" in host.sh("svstat /run/service/fw")
        assert "goto" not in host.sh("fw -l"), "nobody can say what is allowed: all is closed"
        assert (
            host.sh("fw-import /run/service/fw/conf/old.ipconf") == "interface lo\n    address 10.9.9.3/32\n"
        )

        host.sh("cd /run/service/fw && rm conf/bad.* conf/old.*")
        host.sh("svc -wD -u fw")
        settled(host)
        assert "exitcode 0" in host.sh("svstat /run/service/fw")
        assert "goto in_any" in host.sh("fw -l")


def test_a_second_run_changes_nothing_and_a_dry_run_neither_but_shows(tmp_path: Path) -> None:
    # VAR-230 (partly) VAR-232 (partly)
    files = {
        "fw/conf/eth0.ipconf": (
            "interface br0\nbridge eth0\naddress 10.7.0.1/24 fd00::1/64\ngateway 10.7.0.254\ndns 10.7.0.53\n"
            "rule from 10.7.0.0/24 table 100\nroute 10.8.0.0/16 via 10.7.0.9 table 100\nhost box\n"
        )
    }
    with Host(tmp_path / "c", "fw", files=files) as host, Host(tmp_path / "f") as far:
        cable(host, "eth0", far, "eth0")
        far.go().sh("ip link set eth0 up")
        host.go()
        settled(host)
        seen = "ip -o addr; ip route show table all; ip -6 route; ip rule; ip -6 rule; fw -l; ls -i /etc/hosts /run/resolv.conf"
        before, said = host.sh(f"{{ {seen}; }} | grep -vE 'tentative|fe80|ff00|fd00'"), host.log()
        assert "ip address add fd00::1/64 dev br0" in said

        host.sh("svc -wD -u fw")
        settled(host)
        assert host.log() == said
        dry = "cd /run/service/fw && fw --dry-run conf /run/initfs/fw"
        assert host.sh(dry) == ""
        assert "nameserver 10.7.0.53" in host.sh("cat /etc/resolv.conf")
        assert "10.7.0.1\tbox" in host.sh("cat /etc/hosts")

        host.sh("printf 'interface br0\\naddress 10.7.1.1/24\\n' >/run/initfs/fw/more.ipconf")
        assert host.sh(dry) == "ip address add 10.7.1.1/24 dev br0\n"
        host.sh(
            "rm /run/initfs/fw/more.ipconf; sed -i 's/tcp 22/tcp 23/' /run/service/fw/conf/machine.fwconf"
        )
        assert "tcp dport { 23, 80 } accept" in host.sh(dry)
        assert host.sh(f"{{ {seen}; }} | grep -vE 'tentative|fe80|ff00|fd00'") == before


def test_what_others_set_up_stays_and_rules_that_somebody_changed_are_mended(tmp_path: Path) -> None:
    # VAR-230 (partly)
    with Host(tmp_path / "c", "fw") as host, Host(tmp_path / "f") as far:
        cable(host, "eth0", far, "eth0")
        far.go()
        host.go()
        settled(host)
        host.sh(
            "ip link set eth0 up; ip addr add 10.1.1.1/24 dev eth0; ip route add 10.2.0.0/16 via 10.1.1.9;"
            " nft add table inet theirs; nft flush chain inet initfs in_any"
        )
        host.sh("printf 'interface eth0\\naddress 10.7.0.1/24\\n' >/run/initfs/fw/x.ipconf; svc -wD -u fw")
        host.has("eth0", "10.7.0.1/24")
        host.sh("rm /run/initfs/fw/x.ipconf; svc -wD -u fw")
        host.lacks("eth0", "10.7.0.1/24")

        assert host.addresses("eth0") == ["10.1.1.1/24"]
        assert "10.2.0.0/16 via 10.1.1.9" in host.sh("ip route")
        assert "inet theirs" in host.sh("nft list tables")
        assert "accept" in host.sh("nft list chain inet initfs in_any")


def test_a_ping_every_10_ms_loses_nothing_while_fw_changes_addresses_routes_and_rules(tmp_path: Path) -> None:
    # VAR-230 (partly)
    with Host(tmp_path / "c", "fw") as host, Host(tmp_path / "f") as far:
        cable(host, "eth0", far, "eth0")
        far.go().sh("ip link set eth0 up; ip addr add 10.7.0.9/24 dev eth0; nft flush ruleset")
        host.go()
        base = "interface eth0\\naddress 10.7.0.1/24\\n"
        host.sh(f"printf '{base}' >/run/initfs/fw/x.ipconf; svc -wD -u fw")
        host.has("eth0", "10.7.0.1/24")
        far.sh("ping -c 1 -W 5 10.7.0.1")
        before = echoes(far.sh(SNMP))
        far.sh("(ping -i 0.01 -c 300 10.7.0.1 >/dev/null 2>&1; : >/host/pinged) &")
        for number in range(4):
            more = f"address 10.7.0.{20 + number}/24\\ngateway 10.7.0.{30 + number}\\n"
            host.sh(f"printf '{base}{more}' >/run/initfs/fw/x.ipconf; svc -wD -u fw")
            host.sh(f"cd /run/service/fw/conf && echo ' accept tcp 100{number}' >>machine.fwconf")
            settled(host)
        wait_until((far.host / "pinged").exists, "the end of the pings", 60.0)

        sent, answered = (after - count for after, count in zip(echoes(far.sh(SNMP)), before, strict=True))
        assert (sent, answered) == (300, 300)
        assert "tcp dport 1002" in host.sh("fw -l")


def test_of_two_leases_both_have_a_default_route_and_the_preferred_comes_first(tmp_path: Path) -> None:
    # VAR-231
    with (
        server(tmp_path / "a") as one,
        server(tmp_path / "b", "10.8.0") as other,
        Host(tmp_path / "c", "fw", "dhcp_eth0", "dhcp_eth1") as host,
    ):
        cable(one, "eth0", host, "eth0")
        cable(other, "eth0", host, "eth1")
        one.go().serving()
        other.go().serving()
        host.go()
        host.has("eth0", "10.7.0.")
        host.has("eth1", "10.8.0.")
        settled(host)

        def order() -> list[str]:
            routes = [line.split() for line in host.sh("ip route").splitlines() if line.startswith("default")]
            return [
                way
                for _, way in sorted((int(words[words.index("metric") + 1]), words[4]) for words in routes)
            ]

        assert order() == ["eth0", "eth1"]
        host.sh("echo prefer eth1 >>/run/service/fw/conf/machine.fwconf; svc -wD -u fw")
        wait_until(lambda: order() == ["eth1", "eth0"], "the other order")


def test_the_resolver_s_files_are_whole_at_every_moment(tmp_path: Path) -> None:
    # VAR-232
    with Host(tmp_path, "fw") as host:
        host.go()
        settled(host)
        path = f"/proc/{host.pid}/root/run/resolv.conf"
        texts: set[str] = set()
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                with open(path) as source:
                    texts.add(source.read())

        watcher = threading.Thread(target=watch)
        watcher.start()
        wanted = {""}
        for number in range(6):
            servers = [f"10.{number}.0.{each}" for each in (1, 2, 3)]
            wanted.add("".join(f"nameserver {each}\n" for each in servers))
            host.sh(
                f"printf 'interface lo\\ndns {' '.join(servers)}\\n' >/run/initfs/fw/x.ipconf; svc -wD -u fw"
            )
            settled(host)
        ended.set()
        watcher.join()

        assert texts <= wanted
        assert len(texts) > 3
