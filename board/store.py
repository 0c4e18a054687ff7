"""What the cache keeps: package files by checksum, packages unpacked by checksum, and resolutions.

    deb/SHA256.deb   source/SHA256      as they came from the archive
    unpacked/SHA256/                    the tree of a .deb
    resolved/NAME.json                  which files a list of package names stands for

Names are made of content, so nothing here is ever changed, only added; a second run needs no apt and no
network. A file's checksum is compared when it arrives and again each time it is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from board import apt, host
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from board.apt import File, Root


def digest(path: Path) -> str:
    """Return a file's SHA256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(file: File) -> Path:
    """Return where a file of the archive is kept."""
    if file.architecture == "source":
        return host.cache() / "source" / file.sha256
    return host.cache() / "deb" / f"{file.sha256}.deb"


def sound(file: File) -> bool:
    """Say whether the file is here and is what it should be; a damaged one is removed."""
    path = place(file)
    if not path.exists():
        return False
    if path.stat().st_size == file.size and digest(path) == file.sha256:
        return True
    path.unlink()
    return False


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock of the cache: two builds at once must not both update the same index or build the same busybox."""
    path = host.cache() / "lock" / name
    with host.failing("use the cache"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("inv: waiting for another build that does the same", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def resolve(root: Root, names: Sequence[str], *, refresh: bool = False) -> list[File]:
    """Return the files that binary package names stand for: as recorded, or from a fresh index."""
    key = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
    return resolved(root, f"{root.suite}-{root.architecture}-{key}", sorted(names), refresh=refresh)


def resolve_source(root: Root, name: str, *, refresh: bool = False) -> list[File]:
    """Return the files of a source package, as `resolve` does."""
    return resolved(root, f"{root.suite}-source-{name}", [name], refresh=refresh)


def resolved(root: Root, record: str, names: Sequence[str], *, refresh: bool) -> list[File]:
    """Read the record, or make it."""
    path = host.cache() / "resolved" / f"{record}.json"
    if path.exists() and not refresh:
        with suppress(ValueError, TypeError):  # a damaged record is none
            return [apt.File(**fields) for fields in json.loads(path.read_text())]
    with lock(f"apt-{root.suite}-{root.architecture}"):
        apt.update(root)
        files = apt.source(root, names[0]) if root.architecture == "source" else apt.lookup(root, names)
    with host.failing("record the packages' versions"):
        host.replace(path, json.dumps([file.record() for file in files], indent=1).encode())
    return files


def silently(_: int) -> None:
    """Show no progress."""


def fetch(root: Root, files: Sequence[File], advance: Callable[[int], None] = silently) -> None:
    """Have the files in the store; `advance` is told of bytes as they come.

    One that arrives damaged is fetched anew once, then it is a Failure.
    """
    for _ in range(2):
        absent = [file for file in files if not sound(file)]
        if not absent:
            return
        with lock(f"apt-{root.suite}-{root.architecture}"):
            download(root, absent, advance)
    wrong = [file for file in files if not sound(file)]
    if wrong:
        reason = "the checksum is not the one the signed index has, twice"
        raise Failure(
            f"download {wrong[0].package} {wrong[0].version}", reason, "is the mirror being updated?"
        )


def download(root: Root, files: Sequence[File], advance: Callable[[int], None]) -> None:
    """Fetch files and put them in their places, under their checksum's name."""
    what = f"keep {files[0].package}"
    with host.failing(what):
        host.cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=host.cache(), prefix=".download.") as temporary:
            with watched(Path(temporary), advance):
                apt.fetch(root, files, Path(temporary))
            came = {digest(path): path for path in Path(temporary).iterdir() if path.is_file()}
            for file in files:
                if file.sha256 in came:
                    place(file).parent.mkdir(parents=True, exist_ok=True)
                    came[file.sha256].rename(place(file))


@contextmanager
def watched(folder: Path, advance: Callable[[int], None]) -> Iterator[None]:
    """Tell how the folder's files grow while the block runs: apt has no progress for programs that is simpler."""
    done = threading.Event()

    def watch() -> None:
        seen = 0
        while not done.wait(0.2):
            # a file may be renamed between listing and asking
            with suppress(OSError):
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                advance(size - seen)
                seen = size

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def unpack(root: Root, file: File) -> Path:
    """Return the unpacked tree of a package file; its scripts are not run."""
    path = host.cache() / "unpacked" / file.sha256
    if not path.exists():
        fetch(root, [file])
        with host.failing(f"unpack {file.package}"), host.folder(path) as temporary:
            host.run(["dpkg-deb", "--extract", place(file), temporary], what=f"unpack {file.package}")
            temporary.chmod(0o755)  # dpkg-deb gives the folder the archive's own mode
    return path
