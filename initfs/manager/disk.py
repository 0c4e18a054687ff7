"""Trees of files: removed, copied, written. The manager's door to directories; nothing here follows a link or waits for a FIFO."""

from __future__ import annotations

import os
from binascii import crc32

from initfs import files

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_KIND, _FIFO = 0o170000, 0o010000
_PIECE = 65536
_HERE, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD, linux/fcntl.h; linux/fs.h


def write(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a new file, of just this mode whatever the umask is."""
    fd = os.open(path, _NEW, 0o600)
    try:
        _all(fd, content)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def copy(source: str, target: str, mode: int | None = None) -> None:
    """Copy a file's content; its mode too, if none is given."""
    fd = os.open(source, _READ)
    try:
        given = os.fstat(fd).st_mode & 0o7777 if mode is None else mode
        content = os.read(fd, _PIECE)
        new = os.open(target, _NEW, 0o600)
        try:
            while content:
                _all(new, content)
                content = os.read(fd, _PIECE) if len(content) == _PIECE else b""
            os.fchmod(new, given)
        finally:
            os.close(new)
    finally:
        os.close(fd)


def _all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def move_away(source: str, target: str) -> None:
    """Move a directory, and have a link to it where it was, both in one step: whoever is killed meanwhile leaves it or the link there."""
    os.symlink(target, target)
    try:
        _exchange(source, target)
    except (ImportError, AttributeError, OSError):
        # An old C library, or a file system that cannot: then there is a moment between.
        os.unlink(target)
        os.rename(source, target)
        os.symlink(target, source)


def _exchange(one: str, other: str) -> None:
    """Have two paths change places, by renameat2(2), which Python has no function for. OSError."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), one)


def copy_tree(source: str, target: str) -> None:
    """Copy a directory with all that is in it: files, directories, links as they are, FIFOs. OSError for anything else."""
    os.mkdir(target, 0o700)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in found:
        path = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), path)
        elif entry.is_dir():
            copy_tree(entry.path, path)
        elif entry.stat(follow_symlinks=False).st_mode & _KIND == _FIFO:
            files.make_fifo(path, entry.stat().st_mode & 0o7777)
        elif entry.is_file():
            copy(entry.path, path)
        else:
            raise OSError(f"{entry.path} is neither a file, nor a directory, a link or a FIFO")
    os.chmod(target, os.stat(source).st_mode & 0o7777)


def remove_tree(path: str) -> None:
    """Remove a directory and all below it, or a file; what is gone already is no trouble."""
    try:
        with os.scandir(path) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except NotADirectoryError:
        files.remove(path)
        return
    except FileNotFoundError:
        return
    for child, directory in found:
        if directory:
            remove_tree(child)
        else:
            files.remove(child)
    os.rmdir(path)


def temporary(path: str) -> str:
    """A name beside PATH that nobody else uses: its process's number ends it."""
    return f"{path}.new.{os.getpid()}"


def content(path: str) -> bytes:
    """A whole file. OSError."""
    fd = os.open(path, _READ)
    try:
        found = piece = os.read(fd, _PIECE)
        while piece:
            piece = os.read(fd, _PIECE)
            found += piece
        return found
    finally:
        os.close(fd)


def tree_sum(path: str, total: int = 0) -> int:
    """A check sum of all that a directory holds, added to TOTAL: names, modes, contents. OSError."""
    with os.scandir(path) as entries:
        found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in found:
        mode = entry.stat(follow_symlinks=False).st_mode
        total = crc32(b"%s\0%o\0" % (os.fsencode(entry.name), mode), total)
        if entry.is_symlink():
            total = crc32(os.fsencode(os.readlink(entry.path)), total)
        elif entry.is_dir():
            total = crc32(b"/", tree_sum(entry.path, total))
        elif entry.is_file():
            total = crc32(content(entry.path), total)
    return total
