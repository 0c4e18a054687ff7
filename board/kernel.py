"""The kernel and its modules, out of a Debian kernel package's tree."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

from board.elf import Elf
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path


def image(root: Path) -> Path:
    """Return the kernel itself: vmlinuz, or vmlinux where the architecture has no compressed form."""
    found = sorted((root / "boot").glob("vmlinu[xz]-*"))
    if not found:
        raise Failure("find the kernel", "its package has no boot/vmlinuz-*")
    return found[0]


def device_tree(root: Path, name: str) -> bytes:
    """Return one of the device trees that come with the kernel. Raises Failure: the package has none of that name."""
    package = f"linux-image-{version(root)}"
    for path in (root / "usr/lib" / package / name, root / "boot/dtbs" / version(root) / name):
        if path.is_file():
            return path.read_bytes()
    raise Failure(f"find device tree {name!r}", f"package {package} has none of that name")


def version(root: Path) -> str:
    """Return the kernel's release, as uname -r says it."""
    return image(root).name.partition("-")[2]


def folder(root: Path) -> Path:
    """Return the modules' folder, in /usr/lib since trixie and in /lib before."""
    release = version(root)
    found = [root / top / "modules" / release for top in ("usr/lib", "lib")]
    return next((path for path in found if path.is_dir()), found[0])


def plain(name: str) -> str:
    """Return a module's name as the kernel has it: without folder and ending, - as _."""
    return name.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def listed(path: Path) -> dict[str, str]:
    """Return what modules.order or modules.builtin lists: path by plain name."""
    return {plain(line): line for line in path.read_text().split()}


def unpack(path: Path) -> bytes:
    """Return a module's bytes, decompressed: the kernel then needs no decompressor and the image packs better."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def depends(module: bytes) -> list[str]:
    """Return the names a module says it depends on, in its .modinfo."""
    for line in Elf(module).section(".modinfo").split(b"\0"):
        if line.startswith(b"depends="):
            return [plain(name) for name in line[8:].decode().split(",") if name]
    return []


def check(wanted: Sequence[str], needs: Mapping[str, Iterable[str]], builtin: Iterable[str]) -> None:
    """Check a load order: what each module needs is built in or comes before it. Raises Failure naming both."""
    there = set(builtin)
    for name in wanted:
        for need in needs[name]:
            if need not in there:
                where = "comes later" if need in wanted else "is not"
                raise Failure(
                    f"load module {name!r}",
                    f"it needs {need!r}, which {where} in the board's list of modules",
                )
        there.add(name)


def modules(root: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the modules to load, in order: path on the target to content. Built-in ones may be named: they are left out.

    Raises Failure: no such module, or an order that cannot work.
    """
    base = folder(root)
    builtin, order = listed(base / "modules.builtin"), listed(base / "modules.order")
    wanted = [name for name in map(plain, names) if name not in builtin]
    found = {name: locate(base, order, name) for name in wanted}
    content = {name: unpack(path) for name, path in found.items()}
    check(wanted, {name: depends(data) for name, data in content.items()}, builtin)
    release = version(root)
    return {target(base, found[name], release): content[name] for name in wanted}


def locate(base: Path, order: Mapping[str, str], name: str) -> Path:
    """Return a module's file. Compressed or not, the list names it without the compression's ending."""
    if name in order:
        for ending in ("", ".xz"):
            path = base / (order[name].removesuffix(".xz") + ending)
            if path.exists():
                return path
    raise Failure(f"find kernel module {name!r}", "the kernel's package has none, and it is not built in")


def target(base: Path, path: Path, release: str) -> str:
    """Return a module's path in the image."""
    inside = str(path.relative_to(base)).removesuffix(".xz")
    return f"/usr/lib/modules/{release}/{inside}"


def on_demand(root: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the modules to have beside those that are loaded at boot, with all they need: path on the target to content.

    With them come modules.dep and modules.alias for modprobe(8), which the kernel calls for what it misses (a table of
    nftables, a device by its modalias). Module names that are built in may be given. Raises Failure: no such module.
    """
    base, release = folder(root), version(root)
    builtin, order = listed(base / "modules.builtin"), listed(base / "modules.order")
    content: dict[str, bytes] = {}
    unread = [plain(name) for name in names]
    while unread:
        name = unread.pop()
        if name not in content and name not in builtin:
            content[name] = unpack(locate(base, order, name))
            unread += [*depends(content[name]), *preferred(content[name], order)]
    found = {name: target(base, locate(base, order, name), release) for name in sorted(content)}
    return {found[name]: content[name] for name in found}


def preferred(module: bytes, known: Collection[str]) -> list[str]:
    """Return the modules among those known that one wants loaded before it without naming their symbols (softdep):
    libcrc32c wants crc32c, an algorithm, which is crc32c_generic.
    """
    words = [word for text in information(module, b"softdep=pre:") for word in text.split()]
    found = [(plain(word), f"{plain(word)}_generic") for word in words if word != "post:"]
    return [next(name for name in names if name in known) for names in found if set(names) & set(known)]


def tables(modules: Mapping[str, bytes], release: str) -> dict[str, bytes]:
    """Return modules.dep and modules.alias for these modules (path on the target to content), as depmod(8) would."""
    home = f"/usr/lib/modules/{release}"
    paths = {plain(path): path.removeprefix(f"{home}/") for path in modules}
    needs, aliases = [], []
    for path, data in modules.items():
        closure = [paths[name] for name in ordered(plain(path), modules, paths, home) if name in paths]
        needs.append(f"{path.removeprefix(f'{home}/')}: {' '.join(closure)}".rstrip() + "\n")
        aliases += [f"alias {alias} {plain(path)}\n" for alias in information(data, b"alias=")]
    return {
        f"{home}/modules.dep": "".join(needs).encode(),
        f"{home}/modules.alias": "".join(aliases).encode(),
    }


def ordered(name: str, modules: Mapping[str, bytes], paths: Mapping[str, str], home: str) -> list[str]:
    """Return what a module needs, the nearest first, so that loading from the end works."""
    found: list[str] = []
    unread = [name]
    while unread:
        module = modules[f"{home}/{paths[unread.pop(0)]}"]
        for need in (*depends(module), *preferred(module, paths)):
            if need in paths and need != name:
                if need in found:
                    found.remove(need)
                found.append(need)
                unread.append(need)
    return found


def information(module: bytes, start: bytes) -> list[str]:
    """Return the values of a module's .modinfo that begin so."""
    parts = Elf(module).section(".modinfo").split(b"\0")
    return [part.removeprefix(start).decode() for part in parts if part.startswith(start)]
