"""runit-init: as process 1, become runit; else `runit-init 0` and `runit-init 6` ask it to halt or to reboot.

Source: `spec/init.md` 7.9, runit-init(8).
"""

from __future__ import annotations

import os

from initfs import files, say, signals
from initfs.pid1.stages.runit import DIRECTORY

USAGE = "runit-init 0|6"
REBOOT = {"0": 0o000, "6": 0o100}  # the mode of the file that says which end


def main(argv: list[str]) -> int:
    if os.getpid() == 1:
        from initfs.pid1.stages import runit

        return runit.main(["runit"])
    if argv[1:] not in (["0"], ["6"]):
        raise say.usage(USAGE)
    try:
        for name, mode in (("reboot", REBOOT[argv[1]]), ("stopit", 0o100)):
            files.create(f"{DIRECTORY}/{name}")
            os.chmod(f"{DIRECTORY}/{name}", mode)
        os.kill(1, signals.CONT)
    except OSError as error:
        raise say.unable("ask process 1", error) from error
    return say.OK
