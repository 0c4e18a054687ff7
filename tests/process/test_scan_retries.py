"""What a scan could not do is done later: each failure after its own delay. The clock is the test's, all else is real."""

from __future__ import annotations

import os

import pytest

from initfs import say
from initfs.supervise import scandir
from initfs.supervise.scandir import Limits, Scandir
from initfs.supervise.tree import Tree
from initfs.value import replace
from tests.process.service import make_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from initfs.supervise.unit import Unit

EARLY = 0.1  # seconds before a retry is due


class Scan:
    """A scan directory with a clock that goes as told."""

    def __init__(self, path: Path, most: int = 10) -> None:
        self.path = path
        self.tree = Tree()
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.scandir = Scandir(self.tree, fd, Limits(most, 251, 0.0, False, "svscan-log", -1))
        self.tree.on_gone = self.scandir.gone
        self.now = 1000.0
        self.said: list[str] = []

    def supervised(self, name: str, *, after: float = 0.0) -> bool:
        """Let time pass, scan if that is due, start what it found; whether NAME is supervised then."""
        self.now += after
        self.scandir.scan_if_due()
        while self.tree.starting:
            self.tree.turn(0.0)
        unit = self.find(name)
        return unit is not None and unit.service.pid > 0

    def find(self, name: str) -> Unit | None:
        service, _, log = name.partition("/")
        if not log:
            return self.scandir.find(service)
        entries = self.scandir._entries.values()
        return next((entry.logger for entry in entries if entry.name == service), None)

    def end(self) -> None:
        self.scandir.dismiss_all(kill_loggers=True)
        while not self.scandir.empty:
            self.tree.died()
            self.tree.turn(0.0)
        self.tree.loop.close()


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scan]:
    scan = Scan(tmp_path)
    monkeypatch.setattr(scandir, "now", lambda: scan.now)
    monkeypatch.setattr(say, "warning", scan.said.append)
    scan.scandir.request()
    yield scan
    scan.end()


def refused(_path: object) -> list[str]:
    raise OSError(24, "Too many open files")


def unreadable(scan: Scan, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    make_service(scan.path / "a")
    patch.setattr(os, "listdir", refused)
    return patch.undo


def loop(scan: Scan, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    link = scan.path / "a"
    link.symlink_to("a")

    def mend() -> None:
        link.unlink()
        make_service(link)

    return mend


def no_pipe(scan: Scan, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    make_service(scan.path / "a")
    assert scan.supervised("a")
    make_service(scan.path / "a/log")
    scan.scandir.request()
    patch.setattr(os, "pipe2", refused)
    return patch.undo


def too_many(scan: Scan, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    for name in "abcdefghijk":  # the last is one too many
        make_service(scan.path / name)

    def mend() -> None:
        scan.scandir._limits = replace(scan.scandir._limits, services_max=11)

    return mend


def old_logger(scan: Scan, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    make_service(scan.path / "a")
    make_service(scan.path / "a/log")
    assert scan.supervised("a/log")
    (scan.path / "a/log").rename(scan.path / "a/old")
    make_service(scan.path / "a/log")
    scan.scandir.request()
    old = scan.find("a/log")

    def mend() -> None:
        assert old is not None
        old.ask("xd")
        while scan.find("a/log") is old:
            scan.tree.died()
            scan.tree.turn(0.0)

    return mend


def not_startable(scan: Scan, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    make_service(scan.path / "a")
    (scan.path / "a/supervise").write_text("somebody's")
    return (scan.path / "a/supervise").unlink


@pytest.mark.parametrize(
    ("seconds", "trouble", "service"),
    [
        (5.0, unreadable, "a"),
        (4.0, loop, "a"),
        (3.0, no_pipe, "a/log"),
        (60.0, too_many, "k"),
        (10.0, old_logger, "a/log"),
        (10.0, not_startable, "a"),
    ],
)
def test_what_failed_is_tried_again_after_its_own_delay_and_not_before(
    scan: Scan,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    trouble: Callable[..., Callable[[], object]],
    service: str,
) -> None:
    # SUP-030
    with monkeypatch.context() as patch:
        mend = trouble(scan, patch)
        scan.supervised(service)
        assert [text.rpartition("; ")[2] for text in scan.said] == [f"trying again in {seconds:g} seconds"]
        due = scan.scandir.due
        scan.supervised(service, after=seconds - EARLY)
        assert scan.scandir.due == due, "nothing was looked at before"
        mend()
        assert scan.supervised(service, after=2 * EARLY)
    assert len(scan.said) == 1
