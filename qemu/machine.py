"""From a board to QEMU's command line. Pure: nothing is started here, nothing is looked at.

A person can run what `argv` returns; `inv boot` shows it with `--json`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from board.model import Board, Qemu

SOCKETS = ("console", "events", "agent", "qmp")
PORTS = {"events": "initfs.events", "agent": "initfs.agent"}  # chardev: name of the virtio port
# PCI cards that would load a boot ROM, which Debian has in a package that QEMU only recommends.
WITH_ROM = frozenset({"virtio-net-pci", "e1000", "e1000e", "igb", "pcnet", "rtl8139"})
PACKAGES = {  # emulator: Debian packages it needs
    "qemu-system-aarch64": ("qemu-system-arm",),
    "qemu-system-arm": ("qemu-system-arm",),
    "qemu-system-mipsel": ("qemu-system-mips",),
    "qemu-system-riscv64": ("qemu-system-misc", "opensbi"),
    "qemu-system-x86_64": ("qemu-system-x86",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A TCP port of the host, on 127.0.0.1 only, that leads to one of the guest. Host port 0: a free one."""

    host: int
    guest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """A disk image to boot from by the board's own chain, instead of a kernel that is handed over."""

    path: str
    args: tuple[str, ...] = ()  # of QEMU: the firmware that starts it
    drive: str = "virtio-blk-pci"  # -device; sd: the machine's card slot
    writable: bool = False  # what is written stays in the file; else it is lost at the end
    memory: int = 0  # MiB; 0: as the board says


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One end of a cable between two machines: a pair of Unix datagram sockets. Either end may come first, or come again.

    QMP knows the ends as net0, net1... (`set_link`), the cards as nic0, nic1... (`device_del`).
    """

    local: str  # path of our socket
    remote: str  # path of the other end's
    mac: str
    unplugged: bool = False  # only the cable's end: QMP's device_add puts a card into the slot of that number


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one run adds to its board."""

    kernel: str  # path
    initramfs: str  # path
    run: str  # private folder; the sockets of SOCKETS are in it, and we listen on them
    device_tree: str = ""  # path, for a kernel that is handed over
    flash: Flash | None = None
    emulator: tuple[str, ...] = ()  # how to start QEMU, where not by the board's name for it
    memory: int = 0  # MiB; 0: as the board says
    forwards: tuple[Forward, ...] = ()
    wires: tuple[Wire, ...] = ()  # cables instead of the network that QEMU plays itself
    disks: tuple[str, ...] = ()  # paths of raw images; what is written to them is lost at the end
    append: str = ""  # more kernel arguments
    terminal: bool = False  # console and monitor on our own terminal (ctrl-a x ends QEMU, ctrl-a h helps)
    kvm: bool = False
    extra: tuple[str, ...] = ()  # more arguments of QEMU


def argv(board: Board, options: Options) -> list[str]:
    """Return the command line. QEMU connects to our sockets, so that nothing the guest says comes too early."""
    machine = board.qemu
    least = options.flash.memory if options.flash else 0
    return [
        *(options.emulator or (machine.emulator,)),
        "-no-user-config",
        "-nodefaults",
        "-no-reboot",  # a reboot ends QEMU, as a poweroff does; QMP's SHUTDOWN event tells which it was
        "-display", "none",
        "-machine", machine.machine,
        *(["-accel", "kvm"] if options.kvm else []),
        "-accel", "tcg",
        *(["-cpu", machine.cpu] if machine.cpu else []),
        "-smp", str(machine.smp),
        "-m", str(options.memory or least or machine.memory),
        *(flashed(options.flash) if options.flash else handed_over(board, options)),
        *["-serial", "null"] * machine.uart,
        *console(options),
        *monitor(options),
        *cards(machine, options),
        *(ports(machine.serial, options.run) if board.ports else []),
        *disks(options.disks),
        *machine.args,
        *options.extra,
    ]  # fmt: skip


def handed_over(board: Board, options: Options) -> list[str]:
    """Return what QEMU puts into the machine's memory itself."""
    return [
        "-kernel", options.kernel,
        "-initrd", options.initramfs,
        "-append", cmdline(board, options.append),
        *(["-dtb", options.device_tree] if options.device_tree else []),
    ]  # fmt: skip


def flashed(flash: Flash) -> list[str]:
    """Return the disk that the machine starts from, and its firmware."""
    loss = "" if flash.writable else ",snapshot=on"
    if flash.drive == "sd":
        return [*flash.args, "-drive", f"if=sd,format=raw{loss},file={escaped(flash.path)}"]
    drive = f"if=none,id=flash,format=raw{loss},file={escaped(flash.path)}"
    return [*flash.args, "-drive", drive, "-device", f"{flash.drive},drive=flash"]


def cmdline(board: Board, more: str = "") -> str:
    """Return the kernel's arguments. The last console= is /dev/console: there must be no other behind ours."""
    return f"{board.arguments} {more}".rstrip()


def console(options: Options) -> list[str]:
    if options.terminal:  # mux: the monitor shares it, behind ctrl-a; signal=off: ctrl-c is the guest's
        return [
            "-chardev", "stdio,id=console,mux=on,signal=off",
            "-serial", "chardev:console",
            "-mon", "chardev=console,mode=readline",
        ]  # fmt: skip
    return ["-chardev", socket(options.run, "console"), "-serial", "chardev:console"]


def monitor(options: Options) -> list[str]:
    return ["-chardev", socket(options.run, "qmp"), "-mon", "chardev=qmp,mode=control"]


def onboard(models: Sequence[str], forwards: Sequence[Forward]) -> list[str]:
    """Return the machine's own network cards, each on a network of its own; ports lead to the guest by the first."""
    words = []
    for number, model in enumerate(models):
        kind = f",model={model}" if model else ""
        words += ["-nic", f"user{kind}{rules(forwards) if number == 0 else ''}"]
    return words


def rules(forwards: Sequence[Forward]) -> str:
    return "".join(f",hostfwd=tcp:127.0.0.1:{each.host}-:{each.guest}" for each in forwards)


def cards(machine: Qemu, options: Options) -> list[str]:
    """Return the network cards: on cables, as the board has them, or as it is told to."""
    if options.wires:
        return wired(machine.nic, options.wires)
    return (
        onboard(machine.onboard, options.forwards)
        if machine.onboard
        else network(machine.nic, options.forwards)
    )


def network(nic: str, forwards: Sequence[Forward]) -> list[str]:
    rom = ",romfile=" if nic in WITH_ROM else ""
    return ["-netdev", f"user,id=net0{rules(forwards)}", "-device", f"{nic},netdev=net0{rom}"]


def wired(nic: str, wires: Sequence[Wire]) -> list[str]:
    """Return the cards of a machine, each in a PCI Express slot of its own so that it can be unplugged."""
    words = []
    for number, wire in enumerate(wires):
        sockets = f"local.type=unix,local.path={escaped(wire.local)},remote.type=unix,remote.path={escaped(wire.remote)}"
        words += ["-netdev", f"dgram,id=net{number},{sockets}"]
        words += ["-device", f"pcie-root-port,id=slot{number},chassis={number + 1},slot={number + 1}"]
        if not wire.unplugged:
            rom = ",romfile=" if nic in WITH_ROM else ""
            place = f"id=nic{number},bus=slot{number},mac={wire.mac}"
            words += ["-device", f"{nic},netdev=net{number},{place}{rom}"]
    return words


def ports(carrier: str, run: str) -> list[str]:
    """Return the virtio serial ports of docs/image.md. The agent's comes again when we hang up: a new host may take over."""
    chardevs = {"events": socket(run, "events"), "agent": socket(run, "agent") + ",reconnect=1"}
    words = ["-device", f"{carrier},id=ports"]
    for name, port in PORTS.items():
        words += ["-chardev", chardevs[name]]
        words += ["-device", f"virtserialport,bus=ports.0,chardev={name},name={port}"]
    return words


def disks(paths: Sequence[str]) -> list[str]:
    words = []
    for number, path in enumerate(paths):
        words += ["-drive", f"if=none,id=disk{number},format=raw,snapshot=on,file={escaped(path)}"]
        words += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return words


def socket(run: str, name: str) -> str:
    return f"socket,id={name},path={escaped(os.path.join(run, name))}"


def escaped(path: str) -> str:
    """Return the path as a value in one of QEMU's comma-separated options."""
    return path.replace(",", ",,")


def forward(text: str) -> Forward:
    """Read `HOST:GUEST`. Raises ValueError, its text for people."""
    host, colon, guest = text.partition(":")
    if not (colon and host.isdecimal() and guest.isdecimal()):
        raise ValueError(f"not HOST:GUEST, two port numbers: {text!r}")
    if not (0 <= int(host) <= 65535 and 1 <= int(guest) <= 65535):
        raise ValueError(f"port numbers end at 65535: {text!r}")
    return Forward(host=int(host), guest=int(guest))


def packages(emulator: str, debian: int) -> tuple[str, ...]:
    """Return the Debian packages for an emulator; `debian` is the host's release (12; 13 moved riscv to its own package)."""
    wanted = PACKAGES.get(emulator, (emulator,))
    if debian >= 13:
        wanted = tuple("qemu-system-riscv" if name == "qemu-system-misc" else name for name in wanted)
    return wanted
