"""Process 1 executes itself anew: by command, when it is out of order, and not for ever.

By command (`svscanctl --reexec /run/service`), and for a first failure, everything goes along. When it fails again within a minute, what goes
along may be what is wrong: then the next execution goes by the `supervise/` directories. After that a person has to look, or the hardware.
"""

from __future__ import annotations

import os

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from initfs.supervise.moving import Carrier

AGAIN = "INITFS_AGAIN"  # in the environment: when, and how often in a row, process 1 has failed
SOON, OFTEN = 60.0, 3  # that often within that many seconds, and a person has to look


@value
class Failures:
    """How often process 1 has failed in a row, the last time WHEN (monotonic seconds)."""

    when: float = 0.0
    count: int = 0

    @property
    def hopeless(self) -> bool:
        """Another try makes no sense."""
        return self.count >= OFTEN

    @property
    def suspicious(self) -> bool:
        """What went along may be the reason."""
        return self.count > 1


def read(environment: Mapping[str, str]) -> Failures:
    """The Failures so far."""
    when, _, count = environment.get(AGAIN, "").partition(" ")
    return Failures(float(when), int(count)) if count.isdigit() else Failures()


def failed(before: Failures, now: float) -> Failures:
    """One more failure, at NOW."""
    return Failures(now, before.count + 1 if before.count and now - before.when < SOON else 1)


def go(
    init: str,
    failures: Failures,
    environment: dict[str, str],
    carrier: Carrier | None = None,
    values: dict[str, Any] | None = None,
) -> NoReturn:
    """Become stage 1, and so ourselves, with VALUES or without. Returns by OSError only."""
    if failures.count:
        environment = {**environment, AGAIN: f"{failures.when} {failures.count}"}
    argv = ["sh", init, "--again"]
    if carrier is None or values is None:
        os.execve("/bin/sh", argv, environment)
    carrier.execute("/bin/sh", argv, environment, values)
