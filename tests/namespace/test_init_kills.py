"""Everything that runs is killed at random, in one campaign: services, their loggers, the shared logger, the service manager in its middle, its runner, devd; and process 1 executes itself anew meanwhile.

The seed is printed; INITFS_SEED takes one, INITFS_ROUNDS a hundredth of the number of kills.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from board import definitions
from tests.namespace import kills
from tests.namespace.machine import ROOT, Machine
from tests.namespace.network import Host
from tests.process.log_world import content
from tests.process.manager_world import write_service

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 100 * int(os.environ.get("INITFS_ROUNDS", "0")) or 40
PYTHON = os.path.realpath(sys.executable)
# A line after the other; how many it has said of this life is in a file beside.
TALKER = f"""#!{PYTHON} -IS
import os, sys, time
name, life, number = sys.argv[1], os.urandom(6).hex(), 0
told = os.open(f"/host/lives/{{name}}.{{life}}", os.O_CREAT | os.O_WRONLY)
while True:
    os.write(1, b"%s %d\\n" % (life.encode(), number))
    number += 1
    os.pwrite(told, b"%d" % number, 0)
    if number % 20 == 0:
        time.sleep(0.02)
"""
RULES = '[[rule]]\nsubsystem = "net"\nname = "eth*"\nservices = ["plug_{name}"]\n'
LOG = "n1000000 s100000"
# A campaign of hours says more than the 16 MiB that are kept by default.
SHARED = "#!/bin/sh\nexec svlog-shared -d3 -b1000000000 -D /host/logs ../.svscan/logs\n"
RC_INIT = f"""
mkdir {kills.STATE} /run/service/.new
cp -a /etc/initfs/service/. /run/service/.new/
mv /run/service/.new/* /run/service/
exec rc-init -t 30000 -c /etc/s6-rc/compiled/current /run/service
"""


def files() -> dict[str, str]:
    """Services beside those of the manager: talkers, half of them with a logger of their own, the shared logger, and rules for devd."""
    found = {
        "devd/rules.d/40-network.toml": RULES,
        "devd/rules.d/50-machine.toml": "",
        "svscan-logger/run": SHARED,
        "svscan-logger/notification-fd": "3\n",
    }
    for number, name in enumerate(kills.TALKERS):
        found[f"{name}/run"] = TALKER
        if number < 2:
            found[f"{name}/log/run"] = f"#!/bin/sh\nexec svlog {LOG} /host/logs/{name}\n"
        else:
            found[f"{name}/log"] = f"{LOG}\n"
    return found


def below(name: str) -> set[str]:
    """The oneshots that NAME needs, through others too. A longrun may have been killed just now; a oneshot stays up."""
    return {other for need in kills.NEEDS[name] for other in {need, *below(need)} if other[0] == "o"}


def definitions_in(source: Path) -> None:
    """Services that complain when they come before what they need, or go before what needs them."""
    for name, needs in kills.NEEDS.items():
        users = {other for other in kills.NEEDS if other[0] == "o" and name in below(other)}
        complain = f"|| echo {name} $0 $each >>{kills.STATE}/broken"
        up = f"for each in {' '.join(below(name))}; do [ -e {kills.STATE}/$each ] {complain}; done"
        down = f"for each in {' '.join(users)}; do [ ! -e {kills.STATE}/$each ] {complain}; done"
        if name[0] == "o":
            mark = f"{kills.STATE}/{name}"
            scripts = {"up": f"#!/bin/sh\n{up}; : >{mark}\n", "down": f"#!/bin/sh\n{down}; rm -f {mark}\n"}
            write_service(source, name, "oneshot", scripts, needs)
        else:
            run = f"{up}; echo >&3; exec sleep 1000 3>&-"
            write_service(source, name, "longrun", {"run": run, "notification-fd": "3\n"}, needs)
    write_service(source, "default", "bundle", {"contents": "".join(f"{name}\n" for name in kills.NEEDS)})


def prepared(tmp_path: Path) -> Host:
    """A machine with all of it."""
    machine = Host(tmp_path, "devd", files=files(), needs=("usleep",))
    machine.script("rc.init", RC_INIT)
    for name in ("logs", "lives"):
        (machine.host / name).mkdir()
    plug = machine.root / "etc/initfs/template/plug_if/run"
    plug.parent.mkdir(parents=True)
    plug.write_text("#!/bin/sh\nexec sleep 1000\n")
    plug.chmod(0o755)
    definitions_in(tmp_path / "source")
    place = machine.root / "etc/s6-rc/compiled"
    place.mkdir(parents=True)
    definitions.compile_(tmp_path / "source", place / "image")
    (place / "current").symlink_to("image")
    return machine


@pytest.mark.timeout(120 + 2 * KILLS)
def test_random_kills_of_all_that_runs_lose_nothing_double_nothing_and_break_nothing(tmp_path: Path) -> None:
    # QUA-244
    seed = int(os.environ.get("INITFS_SEED", "0")) or time.time_ns() % 1_000_000
    print(f"seed {seed}")
    with prepared(tmp_path) as machine:
        machine.wait_for("booted")
        machine.wait_for("ready", "devd")
        print(json.loads(campaign(machine, seed)))
        machine.run("poweroff")
        assert machine.wait_end(60) == -signal.SIGINT
        for name in kills.TALKERS:
            whole(machine.host, name)


def campaign(machine: Machine, seed: int) -> str:
    """Run it inside, with our programs in PATH; what it has done."""
    enter = ["nsenter", "--target", str(machine.pid), "--all", "--root", "--wd=/", "--"]
    command = [
        *enter,
        "env",
        "-i",
        f"PYTHONPATH={ROOT}",
        "PATH=/usr/bin",
        PYTHON,
        "-m",
        "tests.namespace.kills",
    ]
    done = subprocess.run([*command, str(seed), str(KILLS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"seed {seed}: {done.stderr}\n{(machine.host / 'catch-all').read_text()[-3000:]}"
    )
    return done.stdout


def whole(host: Path, name: str) -> None:
    """Every line of every life of a service is in its log, once and in order; the last one was told when it may have been written."""
    lives: dict[str, list[int]] = {}
    for line in content(host / "logs" / name).decode().splitlines():
        life, _, number = line.partition(" ")
        lives.setdefault(life, []).append(int(number))
    told = {path.suffix[1:]: int(path.read_text() or 0) for path in (host / "lives").glob(f"{name}.*")}
    assert not set(lives) - set(told)
    for life, count in told.items():
        numbers = lives.get(life, [])
        what = f"{name}, life {life}, {count} told: {runs(numbers)}"
        assert numbers == list(range(len(numbers))), what
        assert len(numbers) in (count, count + 1), what


def runs(numbers: list[int]) -> str:
    """Numbers in a row as their first and last."""
    breaks = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    pairs = zip([0, *breaks], [*breaks, len(numbers)], strict=True)
    return " ".join(f"{numbers[begin]}-{numbers[end - 1]}" for begin, end in pairs if begin < end)
