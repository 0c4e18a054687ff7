"""From a cable put in to an address that can be used; a run of fw without changes; what a ping every 10 ms loses during one.

In one guest, one after the other: our services, and the way of busybox's example scripts (its runit, a link that is polled, a lease that
becomes a shell fragment, a configurator that flushes everything and sets it anew), written for this measurement. The other end of the
cable is a second guest with a DHCP server. Times are the guest's own, by the same loop for both.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from board import build, host, model
from qemu import boot
from qemu.cable import Cables, plug, pull
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from board.report import Report

BOARD = "qemu-x86_64"
FILE = host.ROOT / "build" / "bench" / "network.json"
HERE = Path(__file__).resolve().parent
LIMIT = 120.0  # seconds for one step; a good case takes ten
ROWS = ("cable to address, s", "fw without changes, s", "pings lost of 500", "and with nothing run")
# The same loop for both: seconds of the guest's clock from now until eth0 has an IPv4 address and a ping is answered.
USABLE = """
read -r begin _ </proc/uptime
: >/run/begun
until ip -4 -o addr show dev eth0 | grep -q 'inet 10.7'; do usleep 10000; done
until ping -c 1 -W 1 10.7.0.1 >/dev/null; do :; done
read -r end _ </proc/uptime
echo "$begin $end"
"""
GONE = "until ! ip -4 -o addr show dev eth0 | grep -q inet; do usleep 100000; done"
# Counted by the kernel: ping's own socket holds some fifteen answers, and drops the others when it is not scheduled for 150 ms. What
# it missed then is lost to it, and not to the network (the last number of a line of /proc/net/raw).
PINGS = "ping -i 0.01 -c 500 10.7.0.2 >/dev/null; cat /proc/net/snmp"
SNMP = "cat /proc/net/snmp"


def measure(runs: int, report: Report) -> dict[str, dict[str, float]]:
    """Return the medians of each way, and keep them in build/bench/network.json. Raises Failure and VmError."""
    board = model.load(BOARD)
    boot.emulator(board)
    image = build.build(board, profile="client", reporter=report)
    found: dict[str, dict[str, float]] = {}
    with Cables() as cables:
        far_end, near_end = cables.cable()
        with Machine(board, image, wires=[far_end]) as far, Machine(board, image, wires=[near_end]) as near:
            serve(far)
            near.wait_booted(["agent"], timeout=LIMIT)
            with report.step("ours"):
                found["initfs"] = ours(near, far, runs)
            with report.step("busybox's examples"):
                found["busybox"] = examples(near, far, runs)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps({"runs": runs, "board": BOARD, "medians": found}, indent=1))
    return found


def serve(far: Machine) -> None:
    """Have the far guest give the lease 10.7.0.2, always."""
    far.wait_booted(["agent"], timeout=LIMIT)
    done(far, "svc -wD -d ifplugd_eth0 dhcp_eth0 httpd; true")
    done(
        far,
        "rm -f /run/service/fw/conf/*.fwconf; printf 'interface eth0\\naddress 10.7.0.1/24\\n' >/run/initfs/fw/s.ipconf",
    )
    done(far, "svc -u fw; wait-for -t 60000 address eth0")
    conf = "interface eth0\\nstart 10.7.0.2\\nend 10.7.0.2\\nmax_leases 1\\noption subnet 255.255.255.0\\noption router 10.7.0.1\\n"
    done(
        far,
        f"printf '{conf}lease_file /run/leases\\noffer_time 1\\n' >/run/u.conf; : >/run/leases; udhcpd -S /run/u.conf",
    )


def done(vm: Machine, command: str) -> str:
    """Run a command to its good end; what it printed."""
    result = vm.run(command, timeout=LIMIT)
    if result.returncode:
        raise host.Failure(
            f"run {command[:60]!r} in the guest", result.stderr or f"status {result.returncode}"
        )
    return result.stdout


def cabled(vm: Machine, runs: int) -> float:
    """The median of seconds from a cable that is put in to an address that answers."""
    times = []
    for _ in range(runs):
        pull(vm, 0)
        done(vm, GONE)
        job = vm.begin(USABLE, timeout=LIMIT)
        done(vm, "until [ -e /run/begun ]; do usleep 10000; done; rm /run/begun")
        plug(vm, 0)
        result = vm.until("an address that answers", lambda job=job: job.result, LIMIT)  # type: ignore[misc]
        begin, end = map(float, result.stdout.split())
        times.append(end - begin)
    return statistics.median(times)


def lost(vm: Machine, far: Machine, again: str) -> float:
    """How many of 500 pings, 10 ms apart, get no answer while AGAIN is run as often as fits."""
    done(vm, f"(until [ -e /run/enough ]; do {again}; done) >/dev/null 2>&1 </dev/null & true")
    before = echoes(done(far, SNMP))
    after = echoes(done(far, PINGS))
    done(vm, ": >/run/enough; sleep 1; rm -f /run/enough")
    return float(after[0] - before[0] - (after[1] - before[1]))


def echoes(snmp: str) -> tuple[int, int]:
    """(requests sent, replies received) of /proc/net/snmp: a line of names and one of numbers for each protocol."""
    names, numbers = (line.split() for line in snmp.splitlines() if line.startswith("Icmp:"))
    found = dict(zip(names, numbers, strict=True))
    return int(found["OutEchos"]), int(found["InEchoReps"])


def seconds(vm: Machine, command: str, runs: int) -> float:
    """The median of a command's seconds, by the guest's clock."""
    text = done(
        vm,
        f"for i in $(seq {runs}); do read -r a _ </proc/uptime; {command}; read -r b _ </proc/uptime; echo $a $b; done",
    )
    pairs = [line.split() for line in text.splitlines() if line]
    return statistics.median(float(after) - float(before) for before, after in pairs)


def ours(vm: Machine, far: Machine, runs: int) -> dict[str, float]:
    """With the services of the profile `client`, a pulled cable counting after a second."""
    done(
        vm,
        "cd /run/service/ifplugd_eth0; echo 1000 >down-delay; svc -t ifplugd_eth0; wait-for -t 60000 address eth0",
    )
    run = "fw -a /run/initfs/fw-applied /run/service/fw/conf /run/initfs/fw >/dev/null 2>&1"
    found = {ROWS[0]: cabled(vm, runs), ROWS[1]: seconds(vm, run, runs)}
    return {**found, ROWS[2]: lost(vm, far, run), ROWS[3]: lost(vm, far, "sleep 1")}


def examples(vm: Machine, far: Machine, runs: int) -> dict[str, float]:
    """With a tree of busybox's runsvdir beside ours, whose network services are down and whose firewall is gone."""
    done(
        vm,
        "svc -wD -d ifplugd_eth0 dhcp_eth0; rm -f /run/service/fw/conf/*.fwconf; svc -u fw; true",
    )
    vm.run("cat >/run/bb.sh", timeout=LIMIT, stdin=(HERE / "var_service.sh").read_bytes())
    done(vm, "sh /run/bb.sh; wait-for -t 60000 address eth0")
    run = "sh /run/bb/fw/configure >/dev/null 2>&1"
    found = {ROWS[0]: cabled(vm, runs), ROWS[1]: seconds(vm, run, runs)}
    return {**found, ROWS[2]: lost(vm, far, run), ROWS[3]: lost(vm, far, "sleep 1")}


def text(found: Mapping[str, Mapping[str, float]]) -> str:
    """The table for people."""
    lines = [f"{'median':24}" + "".join(f"{name:>12}" for name in found)]
    lines += [f"{row:24}" + "".join(f"{found[name][row]:12.2f}" for name in found) for row in ROWS]
    return "\n".join(lines)
