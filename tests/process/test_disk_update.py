"""The power may go at any step of an update: whatever is on the boot partition then, the loader finds a whole system."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from board.disk import loaders
from initfs.disk import bundle, slots, update
from initfs.disk.chooser import CHOOSERS, SystemdBoot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD, NEW = b"the old system", b"the new system, which is longer"
CHANGING = ("open", "write", "rename", "unlink", "fsync")


class PowerCut(BaseException):
    """Nothing after this happens."""


class Power:
    """Counts the calls that may change a file system, and goes at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int) -> None:
        self.calls, self.last = 0, last
        for name in CHANGING:
            patch.setattr(os, name, self.counted(getattr(os, name)))
        patch.setattr(os, "sync", lambda: None)

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            if self.calls >= self.last:
                raise PowerCut
            self.calls += 1
            return call(*arguments, **named)

        return counting


def partition(folder: Path, loader: str) -> Path:
    """A boot partition whose slot a is good and whose slot b has an older system."""
    boot = folder / "boot"
    (boot / "loader/entries").mkdir(parents=True)
    for slot in slots.SLOTS:
        for name in CHOOSERS[loader].parts.values():
            (boot / name.format(slot)).write_bytes(OLD)
    (boot / "slots.env").write_bytes(slots.text(slots.Slots(("a", "b"), slots.GOOD, slots.GOOD)))
    (boot / "loader/entries/a.conf").write_bytes(loaders.entry("a", "2", "quiet"))
    (boot / "loader/entries/b.conf").write_bytes(loaders.entry("b", "1", "quiet"))
    return boot


def started(boot: Path, loader: str) -> tuple[str, bytes]:
    """The slot that the loader tries first, and what it finds there. Its rules are those of docs/flash.md."""
    if loader == "fit":
        state = slots.parse((boot / "slots.env").read_bytes())
        slot = next(each for each in state.order if state.left(each) != "0")
    else:
        names = [path.name for path in (boot / "loader/entries").glob("*.conf")]
        found = [
            (slots.version_of((boot / "loader/entries" / name).read_bytes()), each)
            for each in slots.SLOTS
            for name in slots.entries(names, each)
        ]
        slot = max(found)[1]
    contents = {(boot / name.format(slot)).read_bytes() for name in CHOOSERS[loader].parts.values()}
    assert len(contents) == 1, "all parts of a slot are of one system"
    return slot, contents.pop()


def install(boot: Path, loader: str, data: bytes) -> None:
    """Update slot b, as initfs-update does once the signature was found good."""
    chooser = CHOOSERS[loader](str(boot))
    digest = hashlib.sha256(NEW).hexdigest()
    parts = tuple(bundle.Part(name, len(NEW), digest) for name in chooser.parts)
    source, target = os.pipe()
    os.write(target, data)
    os.close(target)
    try:
        update.put(source, bundle.Header("b", "c", "1", "quiet", parts), chooser, str(boot), "b")
    finally:
        os.close(source)


@pytest.mark.parametrize("loader", sorted(CHOOSERS))
def test_a_power_cut_at_any_step_leaves_a_whole_system_that_is_started(loader: str, tmp_path: Path) -> None:
    data = NEW * len(CHOOSERS[loader].parts)
    seen = set()
    for last in range(1000):
        boot = partition(tmp_path / str(last), loader)
        with pytest.MonkeyPatch.context() as patch:
            source, target = os.pipe()
            os.write(target, data)
            os.close(target)
            chooser = CHOOSERS[loader](str(boot))
            parts = tuple(
                bundle.Part(name, len(NEW), hashlib.sha256(NEW).hexdigest()) for name in chooser.parts
            )
            power = Power(patch, last)
            try:
                update.put(source, bundle.Header("b", "c", "1", "quiet", parts), chooser, str(boot), "b")
                cut = False
            except PowerCut:
                cut = True
        os.close(source)
        slot, system = started(boot, loader)
        assert (slot, system) in {("a", OLD), ("b", NEW)}, f"after {power.calls} calls"
        seen.add((slot, system))
        if not cut:
            break
    assert not cut
    assert seen == {("a", OLD), ("b", NEW)}
    assert last > 5


@pytest.mark.parametrize("loader", sorted(CHOOSERS))
@pytest.mark.parametrize(("data", "said"), [(NEW[:-1], "cut short"), (b"x" * 200, "damaged")])
def test_an_update_that_is_no_good_leaves_the_running_system(
    loader: str, data: bytes, said: str, tmp_path: Path
) -> None:
    boot = partition(tmp_path, loader)

    with pytest.raises(bundle.Invalid, match=said):
        install(boot, loader, data)

    assert started(boot, loader) == ("a", OLD)
    assert not [name for name in CHOOSERS[loader].parts.values() if (boot / name.format("b")).exists()]


def test_a_new_slot_has_three_tries_and_the_higher_version(tmp_path: Path) -> None:
    boot = partition(tmp_path, "systemd-boot")

    install(boot, "systemd-boot", NEW * 2)

    entries = boot / "loader/entries"
    assert sorted(path.name for path in entries.iterdir()) == ["a.conf", "b+3.conf"]
    assert slots.version_of((entries / "b+3.conf").read_bytes()) == 3
    (entries / "b+3.conf").rename(entries / "b+1-2.conf")
    chooser = SystemdBoot(str(boot))
    assert not chooser.good("b")
    chooser.mark("b")
    assert chooser.good("b")
    assert sorted(path.name for path in entries.iterdir()) == ["a.conf", "b.conf"]
