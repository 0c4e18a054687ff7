"""U-Boot's environment for a board whose default one wastes seconds: its own, read out of the binary, without the waits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from board import host
from board.host import Failure

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 0x10000  # of uboot.env: CONFIG_ENV_SIZE of Debian's sunxi builds
# Nobody sits there with a keyboard and a screen: no wait for a key, no USB, no HDMI, no network.
CHANGES = {
    "bootdelay": "0",
    "stdin": "serial",
    "stdout": "serial",
    "stderr": "serial",
    "boot_targets": "mmc0",
}
DROPPED = ("preboot",)


def defaults(binary: bytes) -> dict[str, str]:
    """Return the environment that is compiled into U-Boot: NAME=VALUE, each ended by a zero byte, two at the end."""
    at = binary.find(b"\0distro_bootcmd=")
    if at < 0:
        raise Failure("read U-Boot's environment", "there is no distro_bootcmd in the binary")
    start = at
    while (before := binary.rfind(b"\0", 0, start)) >= 0 and re.fullmatch(
        rb"[A-Za-z_][A-Za-z0-9_]*=[\x09\x0a\x20-\x7e]*", binary[before + 1 : start]
    ):
        start = before
    end = binary.find(b"\0\0", at)
    pairs = (each.decode().partition("=") for each in binary[start + 1 : end].split(b"\0"))
    return {name: value for name, _, value in pairs}


def changed(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment without what costs time on a machine without screen and keyboard."""
    kept = {name: value for name, value in variables.items() if name not in DROPPED}
    return {**kept, **CHANGES}


def environment(binary: Path, work: Path) -> bytes:
    """Return uboot.env, which replaces the compiled-in environment as a whole."""
    source, output = work / "env.txt", work / "uboot.env"
    pairs = sorted(changed(defaults(binary.read_bytes())).items())
    # a newline inside a value would end it: mkenvimage knows a backslash before it
    source.write_text(
        "".join(f"{name}={value}\n".replace("\n", "\\\n", value.count("\n")) for name, value in pairs)
    )
    host.run(["mkenvimage", "-s", hex(SIZE), "-o", output, source], what="make U-Boot's environment")
    return output.read_bytes()
