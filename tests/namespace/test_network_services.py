"""Every other example service, run as it lies in the repository: what it serves, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import OPEN, SERVICES, Host, dangling

if TYPE_CHECKING:
    from collections.abc import Iterator

STUB = '{ echo "$*"; env; } >"/host/stub-${0##*/}.new"; busybox mv "/host/stub-${0##*/}.new" "/host/stub-${0##*/}"; exec busybox sleep 9999'
STUBS = ("wpa_supplicant", "hostapd", "gpm", "nscd", "vpnc", "dropbear", "nmeter", "watchdog")
SERVERS = ("httpd", "ftpd", "tftpd", "inetd")
STUBBED = ("supplicant_wlan0", "hostapd_wlan1", "gpm", "nmeter", "unscd", "vpnc", "sshd", "watchdog")
NEEDS = ("tcpsvd", "udpsvd", "tftpd", "ftpd", "ftpget", "inetd", "nc", "tftp")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One machine with all of them in its /data/service."""
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
        path,
        "clock",
        "fw",
        "user-services",
        own=(*SERVERS, *STUBBED, "getty_absent7"),
        files=files,
        stubs=stubs,
        needs=NEEDS,
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
        ("dropbear", "-F -E -s -r /data/dropbear/host -p 22"),
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
