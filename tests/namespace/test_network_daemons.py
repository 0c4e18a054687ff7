"""The services whose daemons no image here has, with the real ones of Debian: they start as the run scripts start them, and serve."""

from __future__ import annotations

import os
import select
import shutil
import struct
import tty
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import wait_until
from tests.namespace.network import OPEN, SERVICES, Host

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMONS = {"sshd": "dropbear", "unscd": "nscd", "vpnc": "vpnc", "gpm": "gpm"}
GATEWAY = (SERVICES / "vpnc/vpnc.conf").read_text().replace("vpn.example", "127.0.0.1\nLocal Port 0")
# What a PS/2 mouse is told, and says to each byte: three rates in a row let it report its wheel.
WHEEL, ENABLE, ACKNOWLEDGED = bytes([0xF3, 200, 0xF3, 100, 0xF3, 80]), b"\xf4", b"\xfa"
DEVICES = """
mkdir /run/dev && mount --rbind /dev /run/dev && mount -t tmpfs dev /dev && mkdir /dev/pts && mount --bind /run/dev/pts /dev/pts
cp -a /run/dev/null /run/dev/tty /run/dev/ptmx /run/dev/random /run/dev/urandom /run/dev/zero /dev && ln -s /proc/self/fd /dev/fd
: >/dev/tty0 && mount --bind {screen} /dev/tty0
"""
# RFC 2408 3.1: the header of a message is two cookies, the next payload's kind, a version, and the kind of exchange.
LISTEN = """
import os, socket
gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gateway.bind(("127.0.0.1", 500))
gateway.settimeout(20)
os.system("ip route add default dev lo")
print(gateway.recv(65536).hex())
"""
# What the C library sends and reads, nscd(8): a version, a kind of request, the key's length; then nine numbers and the strings.
ASK = """
import socket, struct
cache = socket.socket(socket.AF_UNIX)
cache.settimeout(20)
cache.connect("/var/run/nscd/socket")
cache.sendall(struct.pack("iii", 2, 0, 7) + b"nobody\\0")
print(cache.makefile("rb").read().hex())
"""


@pytest.fixture(scope="module")
def lines() -> Iterator[list[int]]:
    """Serial lines: the mouse's end, the machine's, and two of a screen."""
    ends = [*os.openpty(), *os.openpty()]
    tty.setraw(ends[1])
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, lines: list[int]) -> Iterator[Host]:
    """One machine with all of them, and with devices of its own: a mouse for this one's screen is nothing for a test."""
    for service, daemon in DAEMONS.items():
        if not shutil.which(daemon, path="/usr/sbin:/usr/bin"):
            pytest.skip(f"{daemon} for {service} is not installed (tasks.py, PACKAGES)")
    files = {
        "fw/conf/machine.fwconf": OPEN,
        "gpm/mouse": os.ttyname(lines[1]).removeprefix("/dev/") + "\n",
        "gpm/down": "",
        "vpnc/vpnc.conf": GATEWAY,
    }
    with Host(tmp_path_factory.mktemp("daemons"), "fw", *DAEMONS, files=files) as machine:
        machine.sh(DEVICES.format(screen=os.ttyname(lines[3])))
        machine.go()
        yield machine


def python(host: Host, program: str) -> bytes:
    """What a program for Python prints inside, as bytes."""
    interpreter = (host.root / "links/initfs").read_text().split()[0].removeprefix("#!")
    done = host.inside(interpreter, "-c", program)
    assert done.returncode == 0, done.stderr + host.log()
    return bytes.fromhex(done.stdout)


def test_dropbear_lets_in_who_has_the_key_and_nobody_else(host: Host) -> None:
    # VAR-240 (partly)
    wait_until(lambda: "Not backgrounding" in host.log(), "the server")
    enter = "dbclient -y -T {} root@127.0.0.1 'echo I am $(id -un)' </dev/null 2>&1; true"
    assert "I am" not in host.sh(enter.format("")), "passwords are not taken"

    host.sh("mkdir -m 700 -p /root/.ssh && dropbearkey -t ed25519 -f /root/.ssh/id >/dev/null 2>&1")
    host.sh("dropbearkey -y -f /root/.ssh/id | grep ^ssh >/root/.ssh/authorized_keys")
    assert "I am root\n" in host.sh(enter.format("-i /root/.ssh/id"))
    assert "Pubkey auth succeeded for 'root'" in host.log()


def test_nscd_answers_what_the_c_library_asks_it(host: Host) -> None:
    # VAR-240 (partly)
    host.sh("wait-for -t 20000 file /var/run/nscd/socket")
    answer = python(host, ASK)
    numbers = struct.unpack_from("9i", answer)
    assert numbers[:2] == (2, 1), "version, found"
    assert numbers[4:6] == (65534, 65534), "user, group"
    assert host.sh("ps -o user,args | grep -c '^nobody *nscd -d'").strip() != "0"
    assert answer[36:].split(b"\0")[0] == b"nobody"


def test_vpnc_begins_a_key_exchange_with_its_gateway_once_there_is_a_route(host: Host) -> None:
    # VAR-240 (partly)
    host.sh("rm -f /run/service/vpnc/down; svc -u vpnc")
    told = "tr '\\0' ' ' </proc/$(svstat -o pid /run/service/vpnc)/cmdline"
    wait_until(lambda: "wait-for route" in host.inside("sh", "-c", told).stdout, "vpnc waits")
    message = python(host, LISTEN)
    assert message[8:16] == bytes(8), "the gateway has not chosen a cookie yet"
    assert message[16:19] == bytes([1, 0x10, 4]), "a security association, version 1.0, aggressive"
    assert b"group" in message


def test_gpm_tells_the_mouse_that_its_file_names_to_report_its_wheel(host: Host, lines: list[int]) -> None:
    # VAR-222 (partly)
    mouse, told = lines[0], b""
    host.sh("svc -u gpm")
    while not told.endswith(ENABLE):
        assert select.select([mouse], [], [], 20)[0], (told, host.log())
        told += (said := os.read(mouse, 64))
        os.write(mouse, ACKNOWLEDGED * len(said.removesuffix(ENABLE)))
    assert WHEEL in told
    host.sh("svc -wD -d gpm")  # a serial line is no screen, which gpm finds out after some seconds
    assert "finished initialization" in host.log()
