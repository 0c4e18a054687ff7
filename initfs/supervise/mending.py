"""After an error in the middle of a turn: what it interrupted is found, and brought to its end.

The automaton's value is whole at any time, for it is replaced, never changed. But between a system call and the value that tells of it anything may
fail, memory first of all: a death that was fetched and not delivered, a start that was queued and not made. So after an error, every service
is compared with what the kernel knows.
"""

from __future__ import annotations

import os

from initfs import process
from initfs.supervise.model import NEVER, Expired, NotSpawned, Phase, Spawned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.scandir import Entry, Scandir
    from initfs.supervise.tree import Tree
    from initfs.supervise.unit import Unit


def mend(tree: Tree, scandir: Scandir) -> None:
    """Compare everything with the kernel, and ask for a scan."""
    process.end_unclaimed()
    for entry in list(scandir._entries.values()):
        _mend_entry(tree, scandir, entry)
    tree.died()
    if not scandir._ending:
        scandir.request(soon=True)


def _mend_entry(tree: Tree, scandir: Scandir, entry: Entry) -> None:
    if entry.queued and not tree.starting:
        entry.queued = False
    for unit in (entry.logger, entry.unit):
        if unit is None:
            continue
        if unit.closed:  # gone, and not yet told
            scandir._owners.setdefault(unit, entry)
            scandir.gone(unit)
        else:
            mend_unit(tree, unit)


def mend_unit(tree: Tree, unit: Unit) -> None:
    """Have the value agree with the kernel, and the tree know its deadline and that its files may be old."""
    if unit.service.pid:
        _mend_process(tree, unit, unit.service.pid)
    else:
        _mend_answer(tree, unit)
    tree.settled(unit)
    tree.changed(unit)


def _mend_process(tree: Tree, unit: Unit, pid: int) -> None:
    """A death that was fetched may not have been delivered; then how it ended, nobody knows any more."""
    if unit._pidfd >= 0:
        return
    if is_ours(pid):
        tree.own(pid, unit)
    else:
        tree.disown(pid)
        unit.died(0)


def _mend_answer(tree: Tree, unit: Unit) -> None:
    """A start may not have been made, or its answer not delivered."""
    started = next((pid for pid, owner in tree._owners.items() if owner is unit), 0)
    if started:
        unit.feed(Spawned(started))
    elif unit.service.phase == Phase.FINISH:
        unit.feed(NotSpawned("", NEVER))
    elif unit.service.phase == Phase.DOWN and unit.service.wanted and unit.service.deadline == NEVER:
        unit.feed(Expired())


def is_ours(pid: int) -> bool:
    """Whether the process is a child of ours, alive or not yet fetched."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
