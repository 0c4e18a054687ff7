"""What is on the console, and what must never be. Pure.

People read a console; programs read events. The one thing looked for here is trouble that ends a run.
"""

from __future__ import annotations

import re

# What the kernels and Python print; each pattern is looked for in one line.
TROUBLE = (
    ("kernel panic", re.compile(r"Kernel panic - not syncing")),
    # "Internal error: Oops" on arm, "Oops: 0000 [#1]" on x86, "Oops [#1]" on riscv, "Oops[#1]:" on mips
    ("kernel oops", re.compile(r"\bOops\b.*\[#\d+\]|Internal error: .*\[#\d+\]|Unable to handle kernel")),
    # A soft lockup under emulation says that the host was busy, not that the guest is wrong.
    ("kernel bug", re.compile(r"(?<!watchdog: )\bBUG: |kernel BUG at")),
    ("out of memory", re.compile(r"Out of memory: Killed process|oom-kill:|Out of memory and no killable")),
    ("Python traceback", re.compile(r"Traceback \(most recent call last\)")),
)
# Stage 1 has left a shell instead of process 1: some tests want just that, but no event will come any more.
RESCUE = re.compile(r"init: fatal: unable to run process 1: .*")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movements, as a shell's prompt has them


def trouble(line: str) -> str:
    """Return what is wrong when this line is on a console, in two words; empty when nothing is."""
    return next((kind for kind, pattern in TROUBLE if pattern.search(line)), "")


class Console:
    """The text so far, and the first trouble in it."""

    def __init__(self) -> None:
        self.text = ""
        self.trouble = ""
        self.rescue = ""  # what stage 1 said when it gave up
        self.examined = 0

    def feed(self, data: bytes) -> None:
        """Add what came; carriage returns, which a terminal wants, are left out."""
        self.text += data.decode(errors="replace").replace("\r", "")
        end = self.text.rfind("\n") + 1
        self.examine(self.text[self.examined : end])
        self.examined = max(self.examined, end)

    def close(self) -> None:
        """Examine the last line, which has no end."""
        self.examine(self.text[self.examined :])
        self.examined = len(self.text)

    def examine(self, text: str) -> None:
        for line in text.splitlines():
            if not self.trouble and (kind := trouble(line)):
                self.trouble = f"{kind}: {line.strip()}"
            if not self.rescue and (said := RESCUE.search(line)):
                self.rescue = said[0].strip()

    def tail(self, count: int = 20) -> str:
        """Return the last lines, without terminal escapes."""
        lines = ESCAPES.sub("", self.text).rstrip().splitlines()[-count:]
        return "\n".join(lines) or "(nothing)"
