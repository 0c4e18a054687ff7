"""Every other example service, run as it lies in the repository: what it serves, as whom, and what it does when something is missing."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import OPEN, SERVICES, Host, dangling

if TYPE_CHECKING:
    from collections.abc import Iterator

STUB = '{ echo "$*"; env; } >"/host/stub-${0##*/}.new"; busybox mv "/host/stub-${0##*/}.new" "/host/stub-${0##*/}"; exec busybox sleep 9999'
STUBS = ("wpa_supplicant", "hostapd", "gpm", "nscd", "vpnc", "dropbear", "nmeter", "watchdog")
SERVERS = ("httpd", "ftpd", "tftpd", "inetd", "clock")
STUBBED = ("supplicant_wlan0", "hostapd_wlan1", "gpm", "nmeter", "unscd", "vpnc", "sshd", "watchdog")
NEEDS = ("tcpsvd", "udpsvd", "tftpd", "ftpd", "ftpget", "inetd", "nc", "tftp")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One machine with all of them."""
    stubs = dict.fromkeys(STUBS, STUB) | {
        "dropbearkey": 'while [ "$1" != -f ]; do shift; done; echo key >"$2"'
    }
    files = {
        "fw/conf/machine.fwconf": OPEN,
        "fw/conf/wlan.ipconf": "interface wlan0\naddress 10.5.0.1/24\ngateway 10.5.0.2\n",
        "nmeter/tty": "null\n",
        "gpm/mouse": "null\n",
        "watchdog/run": (SERVICES / "watchdog/run").read_text().replace("/dev/watchdog", "/dev/null"),
        "httpd/port": "88\n",
        "getty_absent7/cfg": "",
    }
    path = tmp_path_factory.mktemp("services")
    with Host(
        path, "fw", *SERVERS, *STUBBED, "getty_absent7", files=files, stubs=stubs, needs=NEEDS
    ) as machine:
        dangling(machine, "wlan0")
        dangling(machine, "wlan1")
        machine.host.chmod(0o1777)  # a stub may be nobody
        machine.go()
        machine.sh("rm -f /run/service/vpnc/down; svc -u vpnc")
        yield machine


def stubbed(host: Host, program: str) -> tuple[str, list[str]]:
    """(arguments, names in the environment) of a stub's first start."""

    told = host.host / f"stub-{program}"
    wait_until(told.exists, f"the start of {program}")
    first, *rest = told.read_text().splitlines()
    names = [line.partition("=")[0] for line in rest]
    return first, [name for name in names if name not in ("PWD", "SHLVL", "_", "OLDPWD")]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("wpa_supplicant", "-i wlan0 -c /run/service/supplicant_wlan0/wpa_supplicant.conf"),
        ("hostapd", "-i wlan1 /run/service/hostapd_wlan1/hostapd.conf"),
        ("gpm", "-D -m /dev/null -t imps2"),
        ("nscd", "-d -f /run/service/unscd/nscd.conf"),
        ("vpnc", "--no-detach --non-inter /run/service/vpnc/vpnc.conf"),
        ("dropbear", "-F -E -s -r /run/service/sshd/keys/host -p 22"),
        ("watchdog", "-F -t 10 -T 60 /dev/null"),
        ("nmeter", (SERVICES / "nmeter/format").read_text().rstrip()),
    ],
)
def test_a_daemon_is_run_in_the_foreground_with_its_name_s_parameter_and_an_empty_environment(
    host: Host, program: str, arguments: str
) -> None:
    # VAR-222 VAR-229 VAR-240 VAR-238 (partly)
    assert stubbed(host, program) == (arguments, ["PATH"])


def test_httpd_serves_pages_as_nobody_and_refuses_a_sixth_connection_of_one_address(host: Host) -> None:
    # VAR-224
    assert "html" in wait_until(
        lambda: host.inside("wget", "-q", "-O", "-", "http://127.0.0.1:88/").stdout, "a page"
    )
    assert host.sh("stat -c %U /proc/$(pidof tcpsvd | tr ' ' '\\n' | tail -n 1)") in ("nobody\n", "root\n")
    held = "for i in 1 2 3 4 5; do (sleep 60 | nc 127.0.0.1 88 >/dev/null 2>&1) & done; "
    host.sh(f"({held} echo) >/dev/null 2>&1 </dev/null &")
    count = "ps -o user,args | grep -c '^nobody *httpd -i'"
    wait_until(lambda: host.inside("sh", "-c", count).stdout == "5\n", "five connections")
    assert host.inside("wget", "-q", "-T", "3", "-O", "-", "http://127.0.0.1:88/").stdout == ""
    host.sh("killall nc sleep 2>/dev/null; true")
    wait_until(lambda: host.inside("wget", "-q", "-O", "-", "http://127.0.0.1:88/").stdout, "a page again")


def test_ftpd_and_tftpd_give_files_and_take_none(host: Host) -> None:
    # VAR-224 (partly)
    text = (SERVICES / "ftpd/pub/README").read_text()
    wait_until(
        lambda: host.inside("ftpget", "127.0.0.1", "/run/got", "README").returncode == 0, "a file by FTP"
    )
    assert host.sh("cat /run/got") == text
    assert host.inside("ftpput", "127.0.0.1", "evil", "/etc/passwd").returncode != 0
    assert host.inside("tftp", "-g", "-r", "README", "-l", "/run/got2", "127.0.0.1").returncode == 0
    assert host.sh("cat /run/got2") == (SERVICES / "tftpd/pub/README").read_text()
    assert host.inside("tftp", "-p", "-l", "/etc/passwd", "-r", "evil", "127.0.0.1").returncode != 0
    assert host.sh("find /run/service -name evil") == ""


def test_inetd_starts_what_its_file_says(host: Host) -> None:
    # VAR-223
    def echoed() -> bool:
        return host.inside("sh", "-c", "(echo hello; sleep 1) | nc -w 2 127.0.0.1 7").stdout == "hello\n"

    wait_until(echoed, "an echo")
    assert "load average" in host.inside("sh", "-c", "nc -w 2 127.0.0.1 11 </dev/null").stdout


def test_a_getty_whose_terminal_is_not_there_waits_for_it_and_does_not_loop(host: Host) -> None:
    # VAR-221 (partly)
    wait_until(lambda: "there is no /dev/absent7 yet" in host.log(), "the getty")
    assert "up " in host.sh("svstat /run/service/getty_absent7")
    assert host.count("down", "getty_absent7") == 0
    assert host.log().count("there is no /dev/absent7") == 1


def test_the_clock_is_never_further_back_than_the_image_or_than_it_was_seen(host: Host) -> None:
    # The time of this machine is nobody's to change, so `date` is one that only tells.
    host.wait_for("ready", "clock")
    host.sh("mkdir -p /run/clock /run/data /run/fake")
    for name in ("run", "finish"):
        script = (SERVICES / "clock" / name).read_text().replace("/data", "/run/data")
        script = script.replace("exec env -i PATH=/usr/bin sleep 3600", "exit 0")
        host.sh(f"cat >/run/clock/{name} <<'END'\n{script}\nEND\nchmod +x /run/clock/{name}")
    fake = (
        "#!/bin/sh\n"
        'case "$*" in "+%s") cat /run/now ;; *-r*) exec busybox date "$@" ;; *-s*) echo "$*" >>/run/set ;; *) echo then ;; esac\n'
    )
    host.sh(f"cat >/run/fake/date <<'END'\n{fake}END\nchmod +x /run/fake/date")
    seen = 1_704_067_200

    def sets(now: int, noted: str = f"touch -d @{seen} /run/data/clock") -> str:
        """What it sets the clock to, after which it notes that it has seen this hour."""
        host.sh(f"echo {now} >/run/now; rm -f /run/set /run/data/clock; {noted}")
        host.sh("cd /run/clock && PATH=/run/fake:$PATH ./run 3>/dev/null")
        assert int(host.sh("busybox date +%s -r /run/data/clock")) > seen
        return host.sh("cat /run/set 2>/dev/null; true")

    assert sets(5) == f"-u -s @{seen}\n"
    assert sets(seen + 1) == ""
    assert sets(5, "true") == "-u -s @1700000000\n"
    host.sh("mkdir -p /run/initfs/clock; : >/run/initfs/clock/synchronized")
    assert sets(5) == "", "who set it knows better"
    host.sh("rm /run/initfs/clock/synchronized")


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


KEPT = ("clock", "mark-good", "user-services")  # a shell that needs none of its environment
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


def test_copies_and_links_on_the_device_are_there_again_after_a_boot(tmp_path: Path) -> None:
    # VAR-238 (partly) VAR-239
    with Host(
        tmp_path, "fw", "user-services", templates=("dhcp_if",), files={"fw/conf/machine.fwconf": OPEN}
    ) as host:
        host.sh(
            "mkdir -p /data/service && cd /data/service && cp -r /etc/initfs/template/dhcp_if dhcp_eth1 && ln -s dhcp_eth1 dhcp_eth2"
        )
        host.sh("cp -r /etc/initfs/template/dhcp_if /data/service/fw")
        plain = "mkdir plain quiet && printf '#!/bin/sh\\necho said; exec sleep 999\\n' | tee plain/run >quiet/run"
        host.sh(f"cd /data/service && {plain} && chmod +x plain/run quiet/run && : >quiet/log")
        host.go()

        for name in ("dhcp_eth1", "dhcp_eth2", "plain", "quiet", "plain/log"):
            host.wait_for("up", name)
        assert host.sh("grep -v '^#!' /run/service/plain/log/run") == "exec std_service_logger\n"
        wait_until(
            lambda: "said" in host.sh("cat /var/log/service/plain/current 2>/dev/null; true"),
            "the line in the log",
        )
        assert "log" not in host.sh("ls /run/service/quiet").split()
        wait_until(lambda: "fw: the image has one of that name" in host.log(), "the refusal")
        host.sh("cp -r /etc/initfs/template/dhcp_if /data/service/dhcp_eth3; svc -u user-services")
        host.wait_for("up", "dhcp_eth3")
        assert "conf" in host.sh("ls /run/service/fw")


def test_every_service_of_the_repository_says_what_it_is_and_runs_with_next_to_no_environment() -> None:
    # VAR-238 (partly)
    found = [
        path for path in sorted(Path(SERVICES).iterdir()) if path.is_dir() and path.name != "definitions"
    ]
    assert len(found) >= 24
    for service in found:
        run = (service / "run").read_text()
        assert len((service / "README.md").read_text()) > 60, service.name
        assert run.startswith("#!"), service.name
        assert len(run.splitlines()) < 40, service.name
        assert re.search("env -i|emptyenv|initfs ", run) or service.name in KEPT, service.name
        assert os.access(service / "run", os.X_OK), service.name


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
