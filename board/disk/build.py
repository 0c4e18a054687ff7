"""Build a disk image: the board's kernel and initramfs, its boot chain, a data partition. The steps, and nothing else.

    made = build(chained(load("qemu-arm64"), "disk"))
    made.path, made.image

Beside CHAIN.img there are CHAIN.img.bmap (what of it must be written), CHAIN.img.sha256 and CHAIN.json (what is in it).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from board import build as initramfs
from board import host, store
from board.disk import equipment, firmware, history, layout, loaders, uboot
from board.host import Failure
from board.report import Report, mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from board.build import Image
    from board.disk.firmware import Firmware
    from board.model import Board, Disk
    from board.ours import Sources


class System(Protocol):
    """A kernel and its initramfs."""

    @property
    def kernel(self) -> Path: ...
    @property
    def initramfs(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Made:
    """A disk image that was built."""

    path: Path  # build/BOARD/CHAIN.img
    image: Image  # kernel, initramfs and manifest that are in it
    firmware: Firmware
    fresh: bool  # built now, and not found up to date

    @property
    def record(self) -> Path:
        """What is in it, as JSON."""
        return self.path.with_suffix(".json")


def build(
    board: Board, *, profile: str | None = None, reporter: Report | None = None, refresh: bool = False,
    output: Path | None = None, sources: Sources | None = None,
) -> Made:  # fmt: skip
    """Return the disk image of the board's chain, built now unless it is up to date. Raises Failure."""
    if reporter is None:
        with Report(mode()) as report:
            return build(
                board, profile=profile, reporter=report, refresh=refresh, output=output, sources=sources
            )
    disk = chosen(board)
    layout.check(board, disk)
    host.need(layout.packages([disk]))
    folder = output or host.ROOT / "build" / (f"{board.name}+{profile}" if profile else board.name)
    image = initramfs.build(
        board,
        profile=profile,
        reporter=reporter,
        refresh=refresh,
        output=folder / board.chain,
        sources=sources,
    )
    with reporter.step(f"firmware of {board.name}"):
        parts = firmware.firmware(board, disk, refresh=refresh)
    path = folder / f"{board.chain}.img"
    key = key_of(image, disk, parts)
    with store.lock(f"disk-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"):
        if current(path, key):
            return Made(path, image, parts, fresh=False)
        with reporter.step(f"{path.name} of {board.name}"), host.failing("make the disk image"):
            produce(board, disk, image, parts, path, key)
    return Made(path, image, parts, fresh=True)


def chosen(board: Board) -> Disk:
    """Return the disk of the board's chain. Raises Failure: it has none."""
    if board.disk is None:
        known = " ".join(disk.chain for disk in board.disks) or "none"
        raise Failure(
            f"make a disk image of {board.name}", f"no chain is chosen (it has: {known})", usage=True
        )
    return board.disk


def key_of(image: Image, disk: Disk, parts: Firmware) -> str:
    """Return a name for the inputs: another one whenever any byte of the disk could differ."""
    words = [(image.folder / "key").read_text(), repr(asdict(disk)), *(file.sha256 for file in parts.files)]
    words += [store.digest(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def current(path: Path, key: str) -> bool:
    """Say whether there is a whole image of these inputs."""
    try:
        return path.exists() and json.loads(path.with_suffix(".json").read_text())["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return False


def produce(board: Board, disk: Disk, image: Image, parts: Firmware, path: Path, key: str) -> None:
    """Make the image in a temporary folder beside its place, then put it there, its record last."""
    time = int(json.loads(image.manifest.read_text())["time"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".disk.") as temporary:
        work = Path(temporary)
        files = boot_files(board, disk, image, parts, work)
        layout.fits(board, disk, files, 2 if disk.loader in equipment.SLOTS else 1)
        made = compose(board, disk, files, parts, work, time)
        bmap = work / "bmap"
        host.run(["bmaptool", "create", "--output", bmap, made], what="make the block map")
        path.with_suffix(".json").unlink(missing_ok=True)
        checksum = store.digest(made)
        host.replace(path.with_name(f"{path.name}.bmap"), bmap.read_bytes())
        host.replace(path.with_name(f"{path.name}.sha256"), f"{checksum}  {path.name}\n".encode())
        made.rename(path)
    record = {
        "board": board.name,
        "chain": board.chain,
        "key": key,
        "disk": equipment.identity(board),
        "bytes": path.stat().st_size,
        "sha256": checksum,
        "time": time,
        "firmware": [{"package": file.package, "version": file.version} for file in parts.files],
        "files": [
            {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(files.items())
        ],
    }
    host.replace(path.with_suffix(".json"), json.dumps(record, indent=1).encode() + b"\n")
    history.keep(path, image.manifest)


def boot_files(board: Board, disk: Disk, image: Image, parts: Firmware, work: Path) -> Mapping[str, bytes]:
    """Return the boot partition's files."""
    arguments = board.arguments
    tree = image.device_tree
    content = loaders.Content(
        kernel=image.kernel.read_bytes(),
        initramfs=image.initramfs.read_bytes(),
        arguments=arguments,
        device_tree=tree.read_bytes() if tree else b"",
        fit=fit(image, arguments, work) if disk.loader == "fit" else b"",
        script=script(arguments, work) if disk.loader == "fit" else b"",
    )
    files = dict(loaders.files(disk.loader, content))
    for word in disk.files:
        source, _, name = word.rpartition("=")
        files[name] = parts.find(source).read_bytes()
    if disk.environment:
        files["uboot.env"] = uboot.environment(parts.find(disk.environment), work)
    return files


def fit(image: System, arguments: str, work: Path) -> bytes:
    """Return kernel, initramfs and the kernel's arguments as one FIT image."""
    kernel = host.cache() / "gzip" / f"{store.digest(image.kernel)}.gz"
    if not kernel.exists():
        host.replace(kernel, gzip.compress(image.kernel.read_bytes(), 9, mtime=0))
    source, output, setting = work / "slot.its", work / "slot.itb", work / "arguments"
    setting.write_text(f"setenv bootargs {arguments}\n")
    source.write_text(loaders.fit_source(str(kernel), str(image.initramfs), str(setting)))
    host.run(["mkimage", "-f", source, output], what="make the FIT image", env={"SOURCE_DATE_EPOCH": "0"})
    return output.read_bytes()


def script(arguments: str, work: Path) -> bytes:
    """Return boot.scr."""
    source, output = work / "boot.cmd", work / "boot.scr"
    source.write_text(loaders.boot_command(arguments))
    words = ["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", str(source), str(output)]
    host.run(words, what="make boot.scr", env={"SOURCE_DATE_EPOCH": "0"})
    return output.read_bytes()


def compose(
    board: Board, disk: Disk, files: Mapping[str, bytes], parts: Firmware, work: Path, time: int
) -> Path:
    """Run genimage; return the image, of its whole size."""
    stage, inputs, outputs = work / "stage", work / "in", work / "out"
    for name, data in files.items():
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for path in (*stage.rglob("*"), stage):
        os.utime(path, (time, time))
    inputs.mkdir()
    for raw in layout.raws(disk):
        (inputs / raw.name).write_bytes(parts.find(raw.source).read_bytes())
    (work / "genimage.cfg").write_text(layout.genimage(board, disk, "disk.img"))
    words = ["genimage", "--rootpath", str(stage), "--tmppath", str(work / "tmp"), "--inputpath", str(inputs),
             "--outputpath", str(outputs), "--config", str(work / "genimage.cfg")]  # fmt: skip
    # TZ: FAT keeps local times
    host.run(words, what=f"make {board.chain}.img", env={"SOURCE_DATE_EPOCH": str(time), "TZ": "UTC"})
    made = outputs / "disk.img"
    os.truncate(made, disk.size * layout.MIB)
    if disk.loader == "syslinux":
        install_syslinux(made, disk.start)
    return made


def install_syslinux(image: Path, start: int) -> None:
    """Put syslinux into the FAT and its code into the table's sector: it works on files, without loop devices."""
    host.run(["syslinux", "-t", str(start * layout.MIB), "-i", image], what="install syslinux")
    code = Path("/usr/lib/syslinux/mbr/mbr.bin").read_bytes()[:440]
    with image.open("r+b") as file:
        file.write(code)
