"""Services that need something of the machine: they wait for it, hear when it changes, and leave nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import Host

WAITING = dict.fromkeys(
    ("dhcp_none0", "ifplugd_none0", "zcip_none0", "supplicant_none0", "hostapd_none0"), "wait-for file"
)
WAITING |= {  # for what this machine does not have: a firewall, the network, an interface, a device
    "dnsmasq": "wait-for file", "ntpd": "wait-for file", "vpnc": "wait-for route", "dhcpd_none0": "wait-for address",
    "getty_none0": "wait-for device", "gpm": "wait-for device",
}  # fmt: skip


def test_no_service_that_waits_or_is_done_delays_the_end_of_the_machine(tmp_path: Path) -> None:
    # Process 1 is the only parent of what they leave behind, and such a one keeps the catch-all logger from its end.
    files = {"gpm/mouse": "none0\n"}
    with Host(tmp_path, "clock", "user-services", *WAITING, files=files) as host:
        host.sh("mkdir -p /data; : >/data/clock; touch -d @1704067200 /data/clock")
        host.sh("rm -f /run/service/vpnc/down")
        host.go()
        host.sh("svc -u vpnc")
        host.wait_for("ready", "clock")
        host.wait_for("down", "user-services")
        for name, runs in {**WAITING, "clock": "sleep 3600"}.items():
            told = f"tr '\\0' ' ' </proc/$(svstat -o pid /run/service/{name})/cmdline"
            wait_until(
                lambda told=told, runs=runs: runs in host.inside("sh", "-c", told).stdout, f"{name} waits"
            )
        assert host.count("down", "clock") == 0
        children = "for each in /run/service/*; do cat /proc/$(svstat -o pid $each)/task/*/children 2>/dev/null; done; true"
        assert host.sh(children).split() == [], "none has a child"

        host.sh("svc -wD -d /run/service/clock")
        assert int(host.sh("busybox date +%s -r /data/clock")) > 1_704_067_200, "noted at its end, too"
        host.run("poweroff")
        assert host.wait_end() == -signal.SIGINT
        assert "takes too long" not in host.console


NTPD = 'echo "ntpd $*" >>/host/ntpd; exec busybox sleep 9999'


def test_ntpd_waits_for_the_network_takes_the_lease_s_servers_and_starts_anew_without_them(
    tmp_path: Path,
) -> None:
    # VAR-233
    files = {"fw/down": "", "ntpd/pool": "pool.example\n"}
    with Host(
        tmp_path, "fw", "ntpd", files=files, stubs={"ntpd": NTPD, "hwclock": "echo hwclock $* >>/host/ntpd"}
    ) as host:
        said = host.host / "ntpd"
        host.go()
        host.wait_for("up", "ntpd")
        assert not said.exists()
        host.sh("svc -wD -u fw")
        first = "ntpd -n -l -S /run/service/ntpd/ntp.script -p pool.example\n"
        wait_until(lambda: said.read_text() == first, "ntpd with the servers of the pool")

        host.sh(
            "printf 'server 10.0.0.9\\nserver $(reboot)\\n' >/run/initfs/ntpd/dhcp_eth0.ntpconf; svc -t ntpd"
        )
        wait_until(lambda: "-p 10.0.0.9\n" in said.read_text(), "the lease's server")
        assert "reboot" not in said.read_text()

        script = "cd /run/service/ntpd && stratum={} offset=0.1 poll_interval={} freq_drift_ppm=1 ./ntp.script {}; true"
        host.sh(script.format(16, 1, "periodic"))
        assert host.inside("wait-for", "-n", "clock").returncode == 1
        host.sh(script.format(16, 1, "step"))
        assert host.inside("wait-for", "-n", "clock").returncode == 0, "a step has no stratum yet"
        host.sh("rm /run/initfs/clock/synchronized")
        host.sh(script.format(3, 64, "stratum"))
        assert host.inside("wait-for", "-n", "clock").returncode == 0
        assert "stratum stratum=3 offset=0.1" in host.sh("cat /run/initfs/ntpd/sync_status")
        assert "hwclock" not in said.read_text(), "not yet good enough to be kept"
        written = 0
        for _ in range(3):
            host.sh(script.format(3, 128, "periodic"))
            written = said.read_text().count("hwclock -u --systohc")
        assert written == (1 if os.path.exists("/dev/rtc0") else 0), "once a day"
        before = host.count("down", "ntpd")
        host.sh(
            "kill -0 $(svstat -o pid /run/service/ntpd) && cd /run/service/ntpd && stratum=16 sh -c './ntp.script unsync; :' ; true"
        )
        assert host.inside("wait-for", "-n", "clock").returncode == 1
        assert before >= 1


def test_dnsmasq_answers_from_the_servers_that_fw_writes_and_reads_them_again_when_they_change(
    tmp_path: Path,
) -> None:
    # VAR-234 (partly)
    files = {"fw/conf/x.ipconf": "interface lo\naddress 127.0.0.1/8\ndns 10.0.0.1\n"}
    with Host(tmp_path, "fw", "dnsmasq", files=files) as host:
        if not (host.root / "links/dnsmasq").is_symlink():
            pytest.skip("dnsmasq is not installed")
        host.go()
        wait_until(lambda: "using nameserver 10.0.0.1" in host.log(), "the first server")
        assert host.sh("cat /etc/resolv.conf") == "nameserver 127.0.0.1\n"
        pid = host.sh("svstat -o pid /run/service/dnsmasq")

        host.sh("printf 'interface lo\\ndns 10.0.0.2\\n' >/run/initfs/fw/y.ipconf; svc -u fw")

        wait_until(lambda: "using nameserver 10.0.0.2" in host.log(), "the second server")
        assert host.sh("svstat -o pid /run/service/dnsmasq") == pid
        assert host.sh(f"ps -o pid,user | grep ' *{pid.strip()} '").split()[1] == "nobody"


GETTY = 'echo "$*" >/host/getty; env >>/host/getty; tty >>/host/getty; exec busybox sleep 9999'


def test_a_getty_gives_its_terminal_back_to_root_and_hands_login_its_script(tmp_path: Path) -> None:
    # VAR-221 VAR-238 (partly)
    far, near = os.openpty()
    name = os.ttyname(near).removeprefix("/dev/").replace("/", "!")
    cfg = "#!/bin/sh\necho configured >/host/cfg\n"
    try:
        with Host(
            tmp_path, f"getty_{name}", files={f"getty_{name}/cfg": cfg}, stubs={"getty": GETTY}
        ) as host:
            os.fchown(near, 65534, 65534)
            # The name of a pseudo terminal has a slash, which a service's cannot have.
            host.sh(f"ln -sf /dev/pts/{name.rpartition('!')[2]} '/dev/{name}'")
            host.go()
            host.wait_for("ready", f"getty_{name}")
            told = host.host / "getty"
            wait_until(told.exists, "the getty")
            wait_until(lambda: "tty" in told.read_text() or "not a" in told.read_text(), "all of it")

            words = told.read_text()
            assert words.startswith(f"-L 115200 {name} vt100\n")
            assert f"LOGIN_PRE_SUID_SCRIPT=/run/service/getty_{name}/login.sh\n" in words
            assert os.fstat(near).st_uid == 0, "the last login's terminal is nobody's any more"
            assert not (host.host / "cfg").exists(), "fonts are for screens"

            before = host.count("ready", f"getty_{name}")
            host.sh(f"svc -k 'getty_{name}'")
            host.anew("ready", f"getty_{name}", before)
            assert (
                host.inside(
                    "env",
                    "LOGIN_TTY=/dev/tty1",
                    "LOGIN_UID=0",
                    "LOGIN_GID=0",
                    f"/run/service/getty_{name}/login.sh",
                ).returncode
                == 0
            )
            assert host.log() == ""
    finally:
        Path(f"/dev/{name}").unlink(missing_ok=True)  # a machine's /dev is this one's
        os.close(far)
        os.close(near)
