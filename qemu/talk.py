"""A machine without ports, spoken to as somebody who sits at its console: real boards have nothing else.

Output is told from what the terminal echoes by a control character that no line of ours contains: the shell makes it.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from qemu.agent import Result
from qemu.events import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from qemu.vm import Machine

MARK = "\x1e"  # ASCII's record separator
LOGIN, PROMPT = r"login: ", r"# "
STEP = 60.0  # seconds for what a busy host does in one


class Talk:
    """A log in on the console of a machine."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm

    def login(self, timeout: float) -> None:
        """Wait for the console's log in, and use it: root has no password there."""
        found = self.vm.wait_console(LOGIN, timeout=timeout)
        self.vm.type("root\n")
        self.vm.wait_console(PROMPT, timeout=timeout, after=found.end())

    def run(
        self, command: str, *, timeout: float = STEP, sink: Callable[[str, bytes], None] | None = None
    ) -> Result:
        """Run a command in the guest's shell; its errors are among its output."""
        after = len(self.vm.console)
        self.vm.type(f"printf '\\036'; sh -c {shlex.quote(command)} 2>&1; printf '\\036%d\\036' $?\n")
        pattern = re.compile(f"{MARK}([^{MARK}]*){MARK}([0-9]+){MARK}")
        found = self.vm.wait_console(pattern.pattern, timeout=timeout, after=after)
        if sink:
            sink("stdout", found[1].encode())
            sink("stdout", b"")
        return Result(int(found[2]), found[1], "")

    def wait_booted(self, services: Collection[str], *, timeout: float) -> None:
        """Wait until stage 2 has ended and the services are ready, and take over the events there were so far.

        The services are waited for one by one, as those that stage 2 adds are not there from the beginning.
        """
        waits = [
            f"wait-for file /run/service/{name}/supervise/ok && svwait -U /run/service/{name}"
            for name in services
        ]
        result = self.run(" && ".join(waits) or ":", timeout=timeout)
        if result.returncode:
            raise RuntimeError(f"not all services came up: {result.stdout}")
        self.catch_up()

    def catch_up(self) -> None:
        """Take over the events that the tree remembers."""
        for line in self.run("events -n").stdout.splitlines():
            if event := parse(line):
                self.vm.session.history.add(event)

    def restart(self) -> None:
        """Ask for a restart, which ends QEMU: not every board can be switched off."""
        self.vm.type("reboot\n")
