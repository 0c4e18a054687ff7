"""initfs-update: puts a new system into the slot that is not running, and has it tried at the next start.

The order makes a power cut harmless at any moment: the other slot is taken out of the loader's choice, then written, synced and
read back, and only then offered. Until that last step, one sector or one rename, the machine starts what runs now.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.disk import bundle, command, place, slots
from initfs.disk.chooser import CHOOSERS
from initfs.pid1 import request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.disk.chooser import Chooser

USAGE = "initfs-update [-r] file | url | -"
KEY = "/etc/initfs/update.pub"
WORK = "/run/initfs/update"
RECORD = "/data/initfs-{}/boots"  # how the slot's last boots went: not this system's
VERIFIER = "signify-openbsd"
PIECE = 1 << 18
SLACK = 1 << 20  # bytes that a FAT may need beside the files' own


def main(argv: list[str]) -> int:
    """0 it will be tried at the next start (-r: which is now); 100 it is no good update for this machine; 111 it could not be written."""
    given, rest = options.parse(argv[1:], "r", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    found = place.board()
    running = slots.slot_of((files.read("/proc/cmdline") or b"").decode())
    if not running or found.get("LOADER") not in CHOOSERS:
        raise say.Fatal(say.USAGE, "unable to update: this machine has no slots")
    if not os.path.exists(KEY):
        raise say.Fatal(say.USAGE, "unable to update: this image has no key to verify updates with")
    source, pid = _open(rest[0])
    try:
        _install(source, found["BOARD"], found["CHAIN"], found["LOADER"], found["DISK"], running)
    except bundle.Invalid as error:
        os.close(source)
        if pid and command.ended(pid) and isinstance(error, bundle.CutShort):
            raise say.Fatal(say.TEMPORARY, f"unable to fetch {rest[0]}") from error
        raise say.Fatal(say.USAGE, f"unable to update from {rest[0]}: {error}") from error
    new = slots.other(running)
    say.info(f"slot {new} is tried at the next start" + ("" if given else "; reboot when it suits you"))
    return request.main(["reboot"]) if given else say.OK


def _open(name: str) -> tuple[int, int]:
    """A descriptor of the update, and the pid of who writes it, if it comes from elsewhere."""
    if name == "-":
        return os.dup(0), 0
    if not name.startswith(("http://", "https://", "ftp://")):
        try:
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC), 0
        except OSError as error:
            raise say.unable(f"read {name}", error) from error
    source, target = os.pipe()
    try:
        return source, command.start(["wget", "-q", "-O", "-", name], target)
    finally:
        os.close(target)


def _install(source: int, board: str, chain: str, loader: str, disk: str, running: str) -> None:
    header = verified(source)
    devices = place.partitions(disk)
    if place.BOOT not in devices:
        raise say.Fatal(say.TEMPORARY, "unable to find the boot partition")
    with place.boot(devices[place.BOOT], writable=True) as mounted:
        chooser = CHOOSERS[loader](mounted.where)
        bundle.check(header, board, chain, set(chooser.parts))
        if not chooser.good(running):
            raise bundle.Invalid(
                f"the running system, slot {running}, is not marked good yet: the other may be needed"
            )
        put(source, header, chooser, mounted.where, slots.other(running))


def verified(source: int) -> bundle.Header:
    """Read the header and its signature. Raises bundle.Invalid: it is cut short, or nobody we know has signed it."""
    line = b""
    while not line.endswith(b"\n") and len(line) < bundle.LINE:
        line += _exactly(source, 1)
    size, signature = bundle.lengths(line)
    text, signed = _exactly(source, size), _exactly(source, signature)
    os.makedirs(WORK, mode=0o700, exist_ok=True)
    files.write(f"{WORK}/header", text)
    files.write(f"{WORK}/header.sig", signed)
    words = [VERIFIER, "-V", "-q", "-p", KEY, "-m", f"{WORK}/header", "-x", f"{WORK}/header.sig"]
    if command.run(words):
        raise bundle.Invalid("its signature is not of the key in this image")
    return bundle.header(text)


def _exactly(source: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = os.read(source, size - len(found))
        if not piece:
            raise bundle.CutShort
        found += piece
    return found


def put(source: int, header: bundle.Header, chooser: Chooser, boot: str, slot: str) -> None:
    """Write the parts into SLOT and offer it. Raises bundle.Invalid, say.Fatal: then the slot is not offered, and cleared."""
    targets = {part.name: f"{boot}/{chooser.parts[part.name].format(slot)}" for part in header.parts}
    chooser.withdraw(slot)
    for path in targets.values():
        files.remove(path)
    os.sync()
    room = os.statvfs(boot)
    if room.f_bavail * room.f_frsize < bundle.needed(header) + SLACK:
        raise bundle.Invalid(f"it has {bundle.needed(header)} bytes, the boot partition has no room for them")
    try:
        for part in header.parts:
            _write(source, part, targets[part.name])
        _ended(source)
        for part in header.parts:
            _compare(part, targets[part.name])
    except BaseException:
        for path in targets.values():
            files.remove(path)
        raise
    files.remove(RECORD.format(slot))
    chooser.offer(slot, header.arguments)


def _ended(source: int) -> None:
    if os.read(source, 1):
        raise bundle.Invalid("there is something behind its end")


def _write(source: int, part: bundle.Part, path: str) -> None:
    """Write one part as it comes; its checksum is known at its end."""
    from hashlib import sha256

    digest, left = sha256(), part.bytes
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while left:
            piece = os.read(source, min(left, PIECE))
            if not piece:
                raise bundle.CutShort
            digest.update(piece)
            left -= _all(fd, piece)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # what is compared then comes from the disk
    except OSError as error:
        raise say.unable(f"write {path}", error) from error
    finally:
        os.close(fd)
    if digest.hexdigest() != part.sha256:
        raise bundle.Invalid(f"{part.name} is damaged")


def _all(fd: int, data: bytes) -> int:
    """Write all of it; a nearly full disk takes a part and then says no."""
    done = 0
    while done < len(data):
        done += os.write(fd, data[done:])
    return done


def _compare(part: bundle.Part, path: str) -> None:
    """Read a part back."""
    from hashlib import sha256

    digest = sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(fd, PIECE):
            digest.update(piece)
    finally:
        os.close(fd)
    if digest.hexdigest() != part.sha256:
        raise say.Fatal(say.TEMPORARY, f"unable to write {path}: what is read back is something else")
