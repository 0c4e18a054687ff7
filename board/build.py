"""Build an image: packages in, kernel and initramfs out. The order of the steps, and nothing else.

    image = build(load("qemu-arm64"))
    image.kernel, image.initramfs, image.manifest

Everything that takes long is kept in the cache by content; what did not change at all is not even read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import busybox, bytecode, host, kernel, model, pieces, pypi, requirements, root, store
from board import manifest as papers
from board.apt import Root
from board.architecture import architecture, suite
from board.disk import equipment, keys
from board.licence import licence
from board.ours import Sources
from board.packages import Packages
from board.report import Report, mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from board.apt import File
    from board.busybox import Busybox
    from board.model import Board, Profile
    from board.tree import Tree

DEVICE_TREE = "board.dtb"  # one more output, of boards that have one
OUTPUTS = ("vmlinuz", "initramfs.cpio.zst", "manifest.json", "sbom.cdx.json")
TOOLS = ["apt", "debian-archive-keyring", "dpkg-dev", "zstd"]  # beside what busybox is compiled with


@dataclass(frozen=True, slots=True)
class Image:
    """A built image."""

    folder: Path
    fresh: bool = True  # built now, and not found up to date

    @property
    def kernel(self) -> Path:
        """The kernel, by this name whatever its form is."""
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """The root file system."""
        return self.folder / "initramfs.cpio.zst"

    @property
    def device_tree(self) -> Path | None:
        """The board's device tree, of those that come with the kernel; None: the firmware has its own."""
        path = self.folder / DEVICE_TREE
        return path if path.exists() else None

    @property
    def manifest(self) -> Path:
        """What is in it."""
        return self.folder / "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything an image is made of, before any of it is opened."""

    board: Board
    profile: Profile
    sources: Sources
    files: tuple[File, ...]  # Debian packages
    busybox: Busybox
    python: bytecode.Python
    others: dict[
        str, pypi.Distribution
    ]  # Python packages that are not Debian's, by the names that are imported
    required: tuple[str, ...] = ()  # names of their modules that are packed in any case

    def key(self) -> str:
        """Return a name for the inputs: another one whenever any byte of the image could differ."""
        parts = [repr((asdict(self.board), asdict(self.profile), os.environ.get("SOURCE_DATE_EPOCH")))]
        parts += [file.sha256 for file in self.files]
        parts += [str(self.busybox.program.parent.name), self.python.key, version()]
        parts += pypi.key(self.others.values())
        parts.append((keys.public() if self.board.disk else b"").decode())
        here = Path(__file__).resolve().parent
        code = sorted(path for path in here.rglob("*") if path.suffix == ".py" or "skeleton" in path.parts)
        parts += [described(str(path.relative_to(here)), path) for path in code]
        own = sorted(self.profile.files.rglob("*"))
        parts += [described(str(path.relative_to(self.profile.files)), path) for path in own]
        parts += [described(*each) for each in self.sources.inputs()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def described(name: str, path: Path) -> str:
    """Return what an image's content may depend on of a file, directory or link: its place counts even if it is empty."""
    if path.is_symlink():
        name = f"{name} -> {path.readlink()}"
    if not path.is_file():
        return f"{name} nothing to read"
    # the mode decides whether a file is a program
    return f"{name} {os.access(path, os.X_OK)} {store.digest(path)}"


def version() -> str:
    """Return this project's version."""
    return str(tomllib.loads((host.ROOT / "pyproject.toml").read_text())["project"]["version"])


def build(
    board: Board, *, profile: str | None = None, reporter: Report | None = None,
    sources: Sources | None = None, refresh: bool = False, output: Path | None = None,
) -> Image:  # fmt: skip
    """Return the board's image, built now unless it is up to date.

    `profile`: another than the board's own. `refresh`: look for newer packages. `output`: the folder, instead of
    build/BOARD (build/BOARD+PROFILE for another profile; of a board with a disk a folder in it, named after its chain).
    Raises Failure; then the folder holds what it held.
    """
    if reporter is None:
        with Report(mode()) as report:
            return build(
                board, profile=profile, reporter=report, sources=sources, refresh=refresh, output=output
            )
    chosen = model.profile(profile or board.profile)
    folder = output or host.ROOT / "build" / (
        board.name if chosen.name == board.profile else f"{board.name}+{chosen.name}"
    )
    if board.disk:
        folder, chosen = output or folder / board.chain, equipment.added(chosen, board.disk)
    plan = prepare(board, chosen, sources or Sources(), reporter, refresh=refresh)
    with store.lock(f"image-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"):
        if current(folder, plan.key()):
            return Image(folder, fresh=False)
        with reporter.step(f"image of {board.name}"), host.failing("make the image"):
            produce(plan, folder, reporter)
    return Image(folder)


def prepare(board: Board, profile: Profile, sources: Sources, report: Report, *, refresh: bool) -> Plan:
    """Resolve the packages, and have busybox and the build's Python."""
    host.need(needs([board]))
    target = Root(board.suite, architecture(board.architecture).name)
    with report.step(f"packages for {board.name}"):
        files = store.resolve(target, names(board, profile), refresh=refresh)
        python = bytecode.python(board.suite, refresh=refresh)
    box = busybox.build(architecture(board.architecture), report, refresh=refresh)
    with report.step(f"Python packages for {board.name}"):
        added = requirements.distributions(board, requirements.wanted(board, profile, sources))
    return Plan(
        board=board, profile=profile, sources=sources, files=tuple(files), busybox=box, python=python,
        others={**pypi.distributions(), **added}, required=tuple(requirements.modules(added)),
    )  # fmt: skip


def needs(boards: Sequence[Board]) -> list[str]:
    """Return all Debian packages that this host needs to build the boards' images: asked for at once, not one by one."""
    compilers = [name for board in boards for name in busybox.packages(architecture(board.architecture))]
    return sorted({*TOOLS, *compilers})


def names(board: Board, profile: Profile) -> list[str]:
    """Return the names of all Debian packages an image may take files from; libgcc is one that few need."""
    base = [*bytecode.names(suite(board.suite).python), "libffi8", "libgcc-s1"]
    programs = (f"+{each.partition(':')[0]}" for each in profile.programs)
    return sorted({*base, board.kernel, *board.packages, *profile.packages, *programs})


def current(folder: Path, key: str) -> bool:
    """Say whether the folder has a whole image of these inputs."""
    record = folder / "key"
    return record.exists() and record.read_text() == key and all((folder / name).exists() for name in OUTPUTS)


def produce(plan: Plan, folder: Path, report: Report) -> None:
    """Make the image and write it: each file whole, the key last."""
    target = Root(plan.board.suite, plan.board.architecture)
    missing = [file for file in plan.files if not (host.cache() / "unpacked" / file.sha256).exists()]
    if missing:
        size = sum(file.size for file in missing)
        with report.step(f"download {len(missing)} packages"), report.bar(size) as advance:
            store.fetch(target, missing, advance)
    with report.step("unpack packages"), report.bar(len(plan.files)) as advance:
        trees = []
        for file in plan.files:
            trees.append((file, store.unpack(target, file)))
            advance(1)
    write(plan, trees, folder, report)


def write(plan: Plan, trees: Sequence[tuple[File, Path]], folder: Path, report: Report) -> None:
    """Assemble, compress, and write the outputs."""
    packages = Packages(trees)
    time = int(os.environ.get("SOURCE_DATE_EPOCH") or packages.newest())
    kernel_file, kernel_tree = kernel_of(trees)
    with report.step("assemble the root file system"):
        tree = root.assemble(
            plan.board, plan.profile, plan.sources, packages, python=plan.python, busybox=plan.busybox,
            kernel_tree=kernel_tree, kernel_package=kernel_file.package, time=time, others=plan.others, required=plan.required,
        )  # fmt: skip
    with report.step("compress"):
        packed = pieces.pack(tree.records(), time)
    image = kernel.image(kernel_tree).read_bytes()
    components = used(plan, packages, tree, kernel_file.package)
    about = {"package": kernel_file.package, "version": kernel_file.version, "release": kernel.version(kernel_tree),
             "size": len(image), "sha256": hashlib.sha256(image).hexdigest()}  # fmt: skip
    contents = {
        "vmlinuz": image,
        "initramfs.cpio.zst": b"".join(piece.data for piece in packed),
        "manifest.json": papers.manifest(
            plan.board, plan.profile, tree.records(), components, packed, kernel=about, time=time
        ),
        "sbom.cdx.json": papers.bill(plan.board, list(components.values())),
        "config.json": json.dumps(asdict(plan.board), indent=1).encode(),
    }
    if plan.board.device_tree:
        contents[DEVICE_TREE] = kernel.device_tree(kernel_tree, plan.board.device_tree)
    with host.failing(f"write the image into {folder}"):
        (folder / "key").unlink(missing_ok=True)  # from here on it is neither the old image nor the new one
        for name, data in contents.items():
            host.replace(folder / name, data)
        host.replace(folder / "key", plan.key().encode())


def kernel_of(trees: Sequence[tuple[File, Path]]) -> tuple[File, Path]:
    """Return the kernel's package among the unpacked ones."""
    for file, tree in trees:
        if file.package.startswith("linux-image-"):
            return file, tree
    raise host.Failure("find the kernel", "the board's kernel is no package linux-image-...", usage=True)


def used(plan: Plan, packages: Packages, tree: Tree, kernel_package: str) -> dict[str, papers.Package]:
    """Return the packages that files of the image are from, by name, with their licences; the kernel's in any case."""
    found = {}
    for name in sorted({record.package for record in tree.records()} | {kernel_package}):
        if name == "initfs":
            found[name] = papers.Package(
                name=name, version=version(), architecture="all", licence=licence(name, ""), pypi=True
            )
        elif name == "busybox":
            text = plan.busybox.copyright.read_text(errors="replace")
            found[name] = papers.Package(
                name=name, version=plan.busybox.version, architecture="source", licence=licence(name, text)
            )
        elif name in plan.others:
            found[name] = papers.other(plan.others[name])
        else:
            file = packages.files[name]
            terms = licence(name, packages.copyright(name))
            found[name] = papers.Package(
                name=name,
                version=file.version,
                architecture=file.architecture,
                licence=terms,
                sha256=file.sha256,
            )
    return found
