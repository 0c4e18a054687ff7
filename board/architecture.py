"""The processor architectures and Debian releases images are made for, as tables."""

from __future__ import annotations

from dataclasses import dataclass

from board.host import Failure


@dataclass(frozen=True, slots=True)
class Architecture:
    """One of Debian's architectures."""

    name: str
    triplet: str  # Debian's multiarch name, the folder of the libraries
    tools: str  # prefix of the cross tools
    packages: tuple[str, ...]  # what the host needs to cross-compile static C programs


@dataclass(frozen=True, slots=True)
class Suite:
    """One of Debian's releases."""

    name: str
    python: str  # its Python's minor version


# fmt: off
ARCHITECTURES = {one.name: one for one in (
    Architecture("amd64",   "x86_64-linux-gnu",    "x86_64-linux-gnu-", ("gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross")),
    Architecture("arm64",   "aarch64-linux-gnu",   "aarch64-linux-gnu-", ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross")),
    Architecture("armhf",   "arm-linux-gnueabihf", "arm-linux-gnueabihf-", ("gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross")),
    Architecture("mipsel",  "mipsel-linux-gnu",    "mipsel-linux-gnu-", ("gcc-mipsel-linux-gnu", "libc6-dev-mipsel-cross")),
    Architecture("riscv64", "riscv64-linux-gnu",   "riscv64-linux-gnu-", ("gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross")),
)}
SUITES = {one.name: one for one in (
    Suite("bookworm", "3.11"),
    Suite("trixie",   "3.13"),
)}
# fmt: on


def architecture(name: str) -> Architecture:
    """Return the architecture of that name; a Failure lists those there are."""
    if name not in ARCHITECTURES:
        raise Failure(
            f"build for {name!r}", "unknown architecture", f"known: {' '.join(ARCHITECTURES)}", usage=True
        )
    return ARCHITECTURES[name]


def suite(name: str) -> Suite:
    """Return the release of that name; a Failure lists those there are."""
    if name not in SUITES:
        raise Failure(f"build from {name!r}", "unknown suite", f"known: {' '.join(SUITES)}", usage=True)
    return SUITES[name]
