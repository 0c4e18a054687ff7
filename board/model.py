"""What a board is: a frozen description, read from one strict TOML file.

`load("qemu-arm64")` reads `board/boards/qemu-arm64.toml`. A field that is unknown, missing or of the wrong
type is a Failure which names the file and the field: a typo in a board file must not become a board without
a watchdog. Fields with a default may be left out, all others must be there.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
BOARDS = HERE / "boards"
PROFILES = HERE / "profiles"
DEFAULT = "qemu-arm64"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Qemu:
    """The virtual machine a board is tried in; `qemu/` makes the command line of it."""

    emulator: str  # program: qemu-system-aarch64
    machine: str  # -machine: virt, q35, malta
    cpu: str  # -cpu; empty: the machine's own
    smp: int  # processors
    memory: int  # MiB
    nic: str  # -device of the network card: virtio-net-pci, pcnet
    serial: str = "virtio-serial-pci"  # -device that carries the virtio ports, if the board has them
    args: tuple[str, ...] = ()  # added as they are
    onboard: tuple[
        str, ...
    ] = ()  # models of network cards that are soldered on, in place of nic; "" is the machine's own
    uart: int = 0  # which of the machine's serial lines is the board's console
    version: int = 0  # least major version of QEMU; where the host's is older, Debian's newer one is unpacked


# For boards that no emulator has a model of.
NOWHERE = Qemu(emulator="", machine="", cpu="", smp=0, memory=0, nic="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk image of a board: what is flashed, and how the board's own firmware starts what is on it."""

    chain: str  # name of this boot chain, and of the image: disk is build/BOARD/disk.img
    loader: str  # what starts the kernel; a name of board/disk/loaders.py
    table: str  # of partitions: gpt or mbr
    size: int  # MiB, of the whole image; for an SD card in QEMU a power of two
    boot: int  # MiB, of the boot partition; what is left is the data partition
    start: int = 1  # MiB before the boot partition: the table, and what is in `raw`
    packages: tuple[
        str, ...
    ] = ()  # Debian packages with firmware and boot loaders, for the board's architecture
    raw: tuple[str, ...] = ()  # PACKAGE:PATH@KIB, written there outside of all partitions
    files: tuple[str, ...] = ()  # PACKAGE:PATH=NAME, copied to the boot partition
    environment: str = (
        ""  # PACKAGE:PATH of a U-Boot whose environment is kept on the boot partition, without its waits
    )
    modules: tuple[str, ...] = ()  # kernel modules for the disk, loaded behind the board's
    memory: int = 0  # MiB, where this chain needs more than the machine has
    drive: str = "virtio-blk-pci"  # -device of the disk in QEMU; sd: the machine's card slot
    args: tuple[str, ...] = ()  # more arguments of QEMU; {PACKAGE:PATH} stands for that file


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One kind of machine and the image made for it."""

    name: str  # the file's name without .toml
    description: str  # one line for `inv boards`
    architecture: str  # Debian's name: arm64
    suite: str  # Debian's: trixie
    kernel: str  # package, usually the meta package: linux-image-arm64
    modules: tuple[str, ...]  # kernel modules in load order, as the files are named: virtio_net
    console: str  # the terminal for people: ttyAMA0
    baud: int
    cmdline: str  # kernel arguments beside console=
    profile: str  # the services it runs unless told otherwise
    packages: tuple[str, ...] = ()  # Debian packages beside those every image has
    python: tuple[str, ...] = ()  # modules of the standard library beside those our code imports
    requirements: tuple[str, ...] = ()  # Python packages, as for pip, built by the board's cross environment
    ports: bool = False  # has the virtio ports of docs/image.md, and so the services agent and events-port
    chain: str = "direct"  # boot chain; direct: kernel and initramfs are handed over by the emulator, else one of disks
    device_tree: str = (
        ""  # in the kernel's package, below its folder of device trees; empty: the firmware has one
    )
    disks: tuple[Disk, ...] = ()
    qemu: Qemu = NOWHERE

    @property
    def disk(self) -> Disk | None:
        """The disk image of the board's chain; None for direct."""
        return next((disk for disk in self.disks if disk.chain == self.chain), None)

    @property
    def arguments(self) -> str:
        """The kernel's arguments. The last console= is /dev/console: there must be no other behind ours."""
        return f"console={self.console},{self.baud} {self.cmdline}".rstrip()

    @property
    def chains(self) -> tuple[str, ...]:
        """The names of its boot chains."""
        return ("direct", *(disk.chain for disk in self.disks))

    @property
    def load_order(self) -> tuple[str, ...]:
        """All kernel modules to load at boot, in order."""
        return (*self.modules, *(self.disk.modules if self.disk else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an image is for: its services, and what they need. `{console}` in a name is the board's."""

    name: str
    description: str
    early: tuple[str, ...]  # services stage 1 starts with
    services: tuple[str, ...]  # services stage 2 adds
    templates: tuple[str, ...] = ()  # what instances are made from at run time (docs/networking.md)
    packages: tuple[str, ...] = ()
    programs: tuple[
        str, ...
    ] = ()  # PACKAGE:PATH, single files; the libraries they are linked with come along
    modules: tuple[str, ...] = ()  # kernel modules that are loaded when something asks for them
    python: tuple[str, ...] = ()

    @property
    def files(self) -> Path:
        """The folder whose files go into the image as they lie there, in place of those of the same path."""
        return PROFILES / self.name


def names() -> list[str]:
    """Return the names of all boards, sorted."""
    return sorted(path.stem for path in BOARDS.glob("*.toml"))


def load(name: str) -> Board:
    """Read a board's file. Raises Failure: there is no such board (lists those there are), or a bad field."""
    where = f"board/boards/{name}.toml"
    board = decode(Board, read("board", name, BOARDS), where)
    if board.chain not in board.chains:
        raise Failure(f"read {where}", f"field 'chain' is {board.chain!r}, and no [[disks]] is", usage=True)
    return board


def virtual() -> list[str]:
    """Return the names of the boards that are virtual machines with ports: what `all` means to those who boot."""
    return [name for name in names() if load(name).ports]


def chained(board: Board, chain: str) -> Board:
    """Return the board with that boot chain; empty is its own. Raises Failure: it has none of that name."""
    if chain and chain not in board.chains:
        raise Failure(
            f"boot {board.name} by {chain!r}",
            "it has no such chain",
            f"known: {' '.join(board.chains)}",
            usage=True,
        )
    return dataclasses.replace(board, chain=chain or board.chain)


def profile(name: str) -> Profile:
    """Read a profile's file. Raises Failure as `load` does."""
    return decode(Profile, read("profile", name, PROFILES), f"board/profiles/{name}.toml")


def read(kind: str, name: str, folder: Path) -> dict[str, object]:
    """Return the raw table of a file, with the name it has by its file name added."""
    path = folder / f"{name}.toml"
    if "/" in name or not path.is_file():
        known = " ".join(sorted(other.stem for other in folder.glob("*.toml")))
        raise Failure(f"find {kind} {name!r}", "there is no such file", f"known: {known}", usage=True)
    try:
        table: dict[str, object] = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise Failure(f"read board/{folder.name}/{name}.toml", str(problem), usage=True) from None
    if "name" in table:
        raise Failure(
            f"read board/{folder.name}/{name}.toml",
            "field 'name' is the file's name: leave it out",
            usage=True,
        )
    return {"name": name, **table}


def decode(kind: type[T], table: object, where: str) -> T:
    """Make the dataclass `kind` of a TOML table, strictly. `where` names the file (and table) in messages."""
    if not isinstance(table, dict):
        raise Failure(f"read {where}", "this is not a table", usage=True)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in table:
        if name not in fields:
            raise Failure(
                f"read {where}", f"unknown field {name!r}", f"known: {' '.join(fields)}", usage=True
            )
    for name, field in fields.items():
        if name not in table and field.default is dataclasses.MISSING:
            raise Failure(f"read {where}", f"field {name!r} is missing", usage=True)
    return kind(**{name: value(str(fields[name].type), raw, f"{where}", name) for name, raw in table.items()})


def value(kind: str, raw: object, where: str, name: str) -> object:
    """Check one value against its field's annotation and return it in the form the dataclass keeps."""
    wanted, is_one, convert = KINDS[kind]
    if not is_one(raw):
        raise Failure(f"read {where}", f"field {name!r} must be {wanted}, not {raw!r}", usage=True)
    return convert(raw, where)


def is_text(raw: object) -> bool:
    """Say whether it is text."""
    return isinstance(raw, str)


def is_number(raw: object) -> bool:
    """Say whether it is a whole number; a bool is an int for Python, not for us."""
    return isinstance(raw, int) and not isinstance(raw, bool)


def is_list(raw: object) -> bool:
    """Say whether it is a list of texts."""
    return isinstance(raw, list) and all(isinstance(item, str) for item in raw)


# By annotation: what people are told it must be, the check, and the form it is kept in.
KINDS: dict[str, tuple[str, Callable[[object], bool], Callable[..., object]]] = {
    "str": ("text", is_text, lambda raw, _: raw),
    "int": ("a whole number", is_number, lambda raw, _: raw),
    "bool": ("true or false", lambda raw: isinstance(raw, bool), lambda raw, _: raw),
    "tuple[str, ...]": ("a list of texts", is_list, lambda raw, _: tuple(raw)),
    "Qemu": (
        "a table",
        lambda raw: isinstance(raw, dict),
        lambda raw, where: decode(Qemu, raw, f"{where} [qemu]"),
    ),
    "tuple[Disk, ...]": (
        "a list of tables",
        lambda raw: isinstance(raw, list),
        lambda raw, where: tuple(decode(Disk, each, f"{where} [[disks]]") for each in raw),
    ),
}
