"""Files that are only held: parked in messages, their locks hold, and what is let go is free."""

from __future__ import annotations

import fcntl
import itertools
import os
import resource

import pytest

from initfs.supervise import client, parking
from initfs.supervise.parking import ROW, Held
from tests.process.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 2 * ROW + 7


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def limit(free: int) -> int:
    """The limit of descriptors that leaves FREE: one counts by its number, so those that are open beyond it take no room."""
    used = set(map(int, os.listdir("/proc/self/fd")))
    return next(itertools.islice((number for number in itertools.count() if number not in used), free, None))


def locked(path: Path) -> bool:
    """Whether somebody holds the lock of flock(2)."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [tmp_path / f"lock{number}" for number in range(COUNT)]


@pytest.fixture
def held(paths: list[Path]) -> Iterator[list[Held]]:
    found = hold(paths)
    yield found
    for one in found:
        one.close()


def hold(paths: list[Path]) -> list[Held]:
    """Lock the files, and hold them."""
    found = []
    for path in paths:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        found.append(Held(fd))
    return found


def test_what_is_held_is_locked_and_each_row_is_one_descriptor(paths: list[Path]) -> None:
    before = opened()
    found = hold(paths)
    assert opened() - before == 2 + COUNT % ROW
    assert all(map(locked, paths))
    for one in found:
        one.close()
    assert not any(map(locked, paths))
    assert opened() == before


def test_letting_one_go_frees_its_lock_and_no_other(paths: list[Path], held: list[Held]) -> None:
    for number in (3, ROW + 1, 2 * ROW + 2):
        held[number].close()
    assert [number for number, path in enumerate(paths) if not locked(path)] == [3, ROW + 1, 2 * ROW + 2]
    for number in (2 * ROW + 2, ROW + 1, 3):
        del held[number]


def test_a_descriptor_of_a_parked_file_is_the_file_itself(paths: list[Path], held: list[Held]) -> None:
    for one, path in zip(held, paths, strict=True):
        fd = one.descriptor()
        assert os.path.samestat(os.fstat(fd), path.stat())
        assert not os.get_inheritable(fd)
        fcntl.flock(fd, fcntl.LOCK_UN)
        assert not locked(path)


def test_without_room_for_a_row_nothing_is_lost(paths: list[Path], held: list[Held]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit(ROW // 2), hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            held[0].descriptor()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(map(locked, paths))


def test_where_nothing_can_be_parked_files_stay_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_fds: list[int]) -> None:
        raise OSError(109, "Too many references: cannot splice")

    monkeypatch.setattr(parking, "_send", refused)
    found = [Held(os.open(tmp_path, os.O_PATH | os.O_CLOEXEC)) for _ in range(COUNT)]
    assert all(os.path.samestat(os.fstat(one.fd), tmp_path.stat()) for one in found)
    for one in found:
        one.close()


def test_the_services_of_a_large_tree_are_locked_and_a_removed_one_is_free(tmp_path: Path) -> None:
    # SUP-032 (partly)
    with Tree(tmp_path) as tree:
        for number in range(ROW + 5):
            tree.add(f"s{number:02}", down="")
        tree.start()
        tree.wait_for("tree")
        services = sorted(tree.scandir.glob("s*"))
        assert all(client.locked(str(service)) and locked(service / "supervise/lock") for service in services)
        assert tree.ours("supervise", services[0]).returncode == 100
        removed = services[3].rename(tmp_path / "removed")
        tree.control("an")
        tree.wait_for("released", "s03")
        services.remove(services[3])
        assert not client.locked(str(removed))
        assert not locked(removed / "supervise/lock")
        assert all(client.locked(str(service)) and locked(service / "supervise/lock") for service in services)
        assert tree.stop() == 0
