"""The power goes, at any moment of a boot, of an update, or of the end; the next boot finds everything that was promised.

One round on a PC here; INITFS_ROUNDS asks for more, and for a board with two slots. QEMU is killed: what the guest's kernel had not written is gone.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from board.disk import keys
from qemu.errors import TimedOutError
from tests.vm.disks import ASKED, LIMIT, Disk, served

if TYPE_CHECKING:
    from pathlib import Path

    from qemu.vm import Machine

ROUNDS = int(os.environ.get("INITFS_ROUNDS", "1"))
PC = pytest.param("qemu-x86_64", "bios", ("boot", "end"), marks=pytest.mark.xdist_group("disk-x86"))
ARM = pytest.param("qemu-arm64", "ab", ("boot", "end", "update"), marks=pytest.mark.xdist_group("disk-arm64"))
# Lines for a logger on the disk, and a promise after the other: told on the console's side once it is kept on the disk.
TALK = """
(i=0; while :; do echo "{boot} $i"; i=$((i+1)); [ $((i % 50)) != 0 ] || sleep 0.1; done | svlog n999 s8192 /data/log/power) &
i=0; while boot-record end /data/promise "{boot} $i"; do echo $i; i=$((i+1)); done
"""
LOOK = "mkdir -p /data/log/power; cd /data/log/power; cat /run/initfs/data; cat /data/promise/boots || echo; for i in @* current; do [ ! -e $i ] || cat $i; done; rm -f @*"


@dataclass
class Campaign:
    """A disk that keeps what is written to it, and what the machine on it has promised so far."""

    disk: Disk
    chance: random.Random
    url: str
    boot: int = 0
    promised: tuple[int, int] = (0, -1)  # in which boot, which number
    told: bytes = b""
    talked: bool = False  # did the boot before this one begin its log?
    takes: dict[str, float] = field(default_factory=lambda: {"boot": 15.0, "end": 3.0, "update": 10.0})
    done: list[str] = field(default_factory=list)

    def round(self, what: str) -> None:
        """One boot, whose power goes while it does this."""
        moment = self.chance.uniform(0, self.takes[what])
        began = time.monotonic()
        with self.disk.machine() as vm:
            if what != "boot":
                self.booted(vm)
                self.takes["boot"] = time.monotonic() - began
                self.begin(vm, what)
            early = self.cut(vm, what, moment)
        self.done.append(f"{what} after {moment:.2f} s{early}")
        self.consistent()

    def booted(self, vm: Machine) -> None:
        """It is up, with all that was promised before."""
        vm.wait_booted(("dhcp_eth0",), timeout=LIMIT)
        self.found(vm.run(LOOK, timeout=ASKED).stdout)
        vm.run("sh /etc/initfs/rc.healthy", timeout=ASKED)  # which otherwise comes half a minute later
        self.boot += 1
        self.told, self.talked = b"", True
        vm.begin(TALK.format(boot=self.boot), timeout=LIMIT, sink=self.heard)
        vm.until("a promise", lambda: self.promised[0] == self.boot or None, ASKED)

    def heard(self, _: str, data: bytes) -> None:
        """A promise was kept on the disk before it was told. What was told last may have come in part only."""
        self.told += data
        if whole := self.told.split(b"\n")[:-1]:
            self.promised = (self.boot, int(whole[-1]))

    def found(self, text: str) -> None:
        """Compare what is on /data with what has to be."""
        state, record, *lines = text.split("\n")
        assert state in ("mounted", "made")
        if not self.talked:
            return
        assert state == "mounted", f"{self.done}: a file system that was there is {state}"
        boot, number = map(int, record.split()[2:])
        assert (boot, number) >= self.promised, self.done
        prefix = f"{self.boot} "
        numbers = [line.removeprefix(prefix) for line in lines[:-1] if line.startswith(prefix)]
        assert numbers == [str(each) for each in range(len(numbers))], self.done

    def begin(self, vm: Machine, what: str) -> None:
        """Have the machine do what the power is to go in."""
        if what == "update":
            vm.wait_for("down", service="mark-good", timeout=LIMIT)
            vm.begin(f"initfs-update {self.url}/system.update", timeout=LIMIT)
        else:
            vm.begin("poweroff")

    def cut(self, vm: Machine, what: str, moment: float) -> str:
        """Wait for the moment, and kill QEMU; an end that comes before shows how long it takes."""
        began = time.monotonic()
        with suppress(TimedOutError):
            vm.wait_stopped(timeout=moment)
            assert what == "end"
            self.takes["end"] = time.monotonic() - began
            return ", when it had ended"
        assert vm.session.process
        vm.session.process.kill()
        vm.wait_stopped(timeout=ASKED)
        return ""

    def consistent(self) -> None:
        """All of the data partition's file system is sound once its journal is: asked of a copy, before the machine itself mends anything."""
        if not self.talked:
            return
        with suppress(FileNotFoundError):
            os.unlink(self.copy)
        table = self.disk.board.disk
        assert table
        start = table.start + table.boot
        subprocess.run(
            [
                "dd",
                f"if={self.disk.path}",
                f"of={self.copy}",
                "bs=1M",
                f"skip={start}",
                "conv=sparse",
                "status=none",
            ],
            check=True,
        )
        checked = subprocess.run(
            ["e2fsck", "-f", "-p", self.copy], capture_output=True, text=True, check=False
        )
        assert checked.returncode in (0, 1), f"{self.done}: {checked.stdout}{checked.stderr}"

    @property
    def copy(self) -> Path:
        return self.disk.path.with_name("data.img")


@pytest.mark.timeout(900 + 300 * ROUNDS)
@pytest.mark.parametrize(("board", "chain", "kinds"), [PC, *([ARM] if ROUNDS > 1 else [])])
def test_the_power_may_go_at_any_moment_and_nothing_that_was_promised_is_lost(
    board: str, chain: str, kinds: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("INITFS_SEED", "0")) or time.time_ns() % 1_000_000
    print(f"seed {seed}")
    monkeypatch.setenv("INITFS_KEYS", str(tmp_path / "keys"))
    (tmp_path / "updates").mkdir()
    with ExitStack() as stack:
        url = ""
        if "update" in kinds:
            keys.make()
            url = stack.enter_context(served(tmp_path / "updates"))
        disk = Disk(board, chain, tmp_path, output="update" in kinds)
        if url:
            disk.update(tmp_path / "updates/system.update")
        campaign = Campaign(disk, random.Random(seed), url)
        for number in range(seed, seed + ROUNDS):  # one round is another kind each time
            campaign.round(kinds[number % len(kinds)])
        with disk.machine() as vm:
            campaign.booted(vm)
            vm.begin("poweroff")
            vm.wait_stopped(timeout=LIMIT)
        print(*campaign.done, sep="\n")
