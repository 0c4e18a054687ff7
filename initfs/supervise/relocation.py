"""A whole tree as luggage, and back: the one friend of the tree's classes, so that what goes along is listed in one place.

Nothing is asked of the system here but descriptors that are there already: no file is read, no process looked for. What may have
changed in the directory meanwhile is the business of the scan that follows.
"""

from __future__ import annotations

import _socket

from initfs import process
from initfs.loop import HUNG_UP, READ
from initfs.supervise import moving
from initfs.supervise.directory import Directory
from initfs.supervise.model import Policy, Service
from initfs.supervise.parking import Held
from initfs.supervise.pipes import Pipe, Stdio
from initfs.supervise.protocol import Protocol
from initfs.supervise.scandir import Entry
from initfs.supervise.unit import Unit
from initfs.value import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initfs.supervise.journal import Journal
    from initfs.supervise.moving import Carrier
    from initfs.supervise.scandir import Scandir
    from initfs.supervise.sharing import Sharing
    from initfs.supervise.tree import Tree

PROTOCOL = ("_fresh", "_furnished", "_letters", "_not_before", "_written")
STAMPS = ("_changed", "_since", "_spawning", "_readied", "_deaths")


def carry(tree: Tree, scandir: Scandir, carrier: Carrier) -> dict[str, Any]:
    """All that a tree knows, in plain values; its descriptors are handed to the CARRIER."""
    return {
        "limits": process._limits,
        "journal": _journal(tree.journal, carrier),
        "scanned": scandir.scanned,
        "ending": scandir._ending,
        "entries": [_entry(tree, entry, carrier) for entry in scandir._entries.values()],
        "sharing": scandir._sharing and _sharing(scandir._sharing, carrier),
    }


def resume(tree: Tree, scandir: Scandir, values: dict[str, Any]) -> None:
    """Have it all again. Raises what a wrong value raises: KeyError, TypeError, Unreadable, OSError."""
    process._limits = values["limits"]
    _resume_journal(tree, values["journal"])
    scandir.scanned, scandir._ending = values["scanned"], values["ending"]
    for entry in values["entries"]:
        _resume_entry(tree, scandir, entry)
    if values["sharing"]:
        scandir._sharing = _resume_sharing(tree, values["sharing"], ending=scandir._ending)
    tree.died()  # SIGCHLD may have come while nobody was there to hear it


# Events -------------------------------------------------------------------------------------------


def _journal(journal: Journal, carrier: Carrier) -> dict[str, Any]:
    listener = journal._listener
    journal.release()
    return {
        "seq": journal.seq,
        "events": journal._events,
        "listener": carrier.keep(listener.fileno()) if listener is not None else -1,
        "subscribers": [carrier.keep(fd) for fd in journal._subscribers],
        "last": carrier.keep(journal._last),
    }


def _resume_journal(tree: Tree, values: dict[str, Any]) -> None:
    journal = tree.journal
    journal.seq, journal._events = values["seq"], values["events"]
    journal._handed_out = journal.seq
    journal._last = moving.take(values["last"])
    if values["listener"] >= 0:
        journal.serve(tree.loop, _socket.socket(fileno=moving.take(values["listener"])))
    for fd in values["subscribers"]:
        journal._subscribers[fd] = _socket.socket(fileno=moving.take(fd))
        tree.loop.watch(fd, lambda fd=fd: journal._drop(fd), READ | HUNG_UP)  # type: ignore[misc]


# The shared logger -------------------------------------------------------------------------------


def _sharing(sharing: Sharing, carrier: Carrier) -> dict[str, Any] | None:
    """Its pipes are those of the entries: the numbers stay. None when its end is over."""
    if sharing._listener.fileno() < 0:
        return None
    return {
        "listener": carrier.keep(sharing._listener.fileno()),
        "logger": carrier.keep(sharing._logger.fileno()) if sharing._logger is not None else -1,
        "pipes": sharing._pipes,
        "waiting": sharing._waiting,
        "left": [(name, script, carrier.keep(fd)) for name, script, fd in sharing._left],
    }


def _resume_sharing(tree: Tree, values: dict[str, Any], *, ending: bool) -> Sharing:
    from initfs.supervise.sharing import Sharing

    sharing = Sharing.__new__(Sharing)
    sharing._loop, sharing._logger, sharing._ending = tree.loop, None, ending
    sharing._pipes, sharing._waiting = values["pipes"], values["waiting"]
    sharing._left = [(name, script, moving.take(fd)) for name, script, fd in values["left"]]
    sharing._listener = _socket.socket(fileno=moving.take(values["listener"]))
    tree.loop.watch(sharing._listener.fileno(), sharing._accept)
    if values["logger"] >= 0:
        sharing._logger = _socket.socket(fileno=moving.take(values["logger"]))
        tree.loop.watch(values["logger"], sharing._served, READ | HUNG_UP)
    return sharing


# Services -----------------------------------------------------------------------------------------


def _entry(tree: Tree, entry: Entry, carrier: Carrier) -> dict[str, Any]:
    pipe = entry.pipe
    return {
        "identity": entry.identity,
        "name": entry.name,
        "present": entry.present,
        "log": entry.log,
        "script": entry.script,
        "pipe": pipe and (carrier.keep(pipe.reading), carrier.keep(pipe.writing)),
        "unit": entry.unit and _unit(tree, entry.unit, carrier),
        "logger": entry.logger and _unit(tree, entry.logger, carrier),
    }


def _resume_entry(tree: Tree, scandir: Scandir, values: dict[str, Any]) -> None:
    entry = Entry(values["identity"], values["name"])
    entry.present, entry.log, entry.script = values["present"], values["log"], values["script"]
    if values["pipe"]:
        entry.pipe = Pipe(tuple(map(moving.take, values["pipe"])))  # type: ignore[arg-type]
    scandir._entries[entry.identity] = entry
    if values["logger"]:
        entry.logger = _resume_unit(tree, values["logger"], Stdio(stdin=entry.pipe))
        scandir._owners[entry.logger] = entry
    if values["unit"]:
        stderr = scandir._limits.console_fd if entry.name == scandir._limits.catch_all else -1
        entry.unit = _resume_unit(tree, values["unit"], Stdio(stdout=entry.pipe, stderr=stderr))
        scandir._owners[entry.unit] = entry


def _unit(tree: Tree, unit: Unit, carrier: Carrier) -> dict[str, Any]:
    protocol, custom = unit.protocol, unit._custom
    kept = unit.stdio._kept._ends if unit.stdio._kept is not None else None
    return {
        "name": unit.name,
        "directory": carrier.keep(unit.directory.fd),
        "lock": carrier.keep(protocol._lock.descriptor()),
        "control": carrier.keep(protocol.control),
        "notification": carrier.keep(unit._notification),
        "pidfd": carrier.keep(unit._pidfd),
        "kept": kept and tuple(map(carrier.keep, kept)),
        "service": fields(unit.service),
        "stamps": [getattr(unit, name) for name in STAMPS],
        "protocol": [getattr(protocol, name) for name in PROTOCOL],
        "stale": any(unit in noted for noted in (tree._changed, tree._later, tree._unwritten)),
        "custom": custom and (custom._steps, custom._suppressed, _script(tree, custom)),
    }


def _script(tree: Tree, custom: object) -> int:
    """The pid of the script in control/ that runs, 0: none does."""
    return next((pid for pid, owner in tree._owners.items() if owner is custom), 0)


def _resume_unit(tree: Tree, values: dict[str, Any], stdio: Stdio) -> Unit:
    unit = Unit.__new__(Unit)
    unit.name, unit.stdio, unit.closed = values["name"], stdio, False
    unit._tree, unit._policy, unit._custom = tree, Policy(), None
    unit.directory = Directory(moving.take(values["directory"]), unit.name, tree.turns)
    unit.protocol = _resume_protocol(unit.directory.fd, values)
    unit.service = Service(**values["service"])
    unit._notification = unit._pidfd = -1
    for name, stamp in zip(STAMPS, values["stamps"], strict=True):
        setattr(unit, name, stamp)
    if values["kept"]:
        unit.stdio._keeping()._ends = tuple(map(moving.take, values["kept"]))  # type: ignore[assignment]
    _listen_again(tree, unit, values)
    return unit


def _resume_protocol(directory: int, values: dict[str, Any]) -> Protocol:
    protocol = Protocol.__new__(Protocol)
    protocol._at = directory
    protocol._lock, protocol.control = Held(moving.take(values["lock"])), moving.take(values["control"])
    for name, thing in zip(PROTOCOL, values["protocol"], strict=True):
        setattr(protocol, name, thing)
    return protocol


def _listen_again(tree: Tree, unit: Unit, values: dict[str, Any]) -> None:
    """Hear commands, readiness and the death of a service again, and come to its deadline."""
    pid = unit.service.pid
    if values["pidfd"] >= 0:
        unit._pidfd = moving.take(values["pidfd"])
        tree.loop.watch(unit._pidfd, lambda: unit._adopted_died(pid))
    elif pid:
        tree.own(pid, unit)
    unit._listen(moving.take(values["notification"]))
    if unit.protocol.control >= 0:
        tree.loop.watch(unit.protocol.control, unit._commanded)
    if values["custom"]:
        _resume_custom(unit, *values["custom"])
    if values["stale"]:
        tree.changed(unit)
    tree.settled(unit)


def _resume_custom(unit: Unit, steps: list[tuple[str, str]], suppressed: bool, pid: int) -> None:
    from initfs.supervise.custom import Custom

    unit._custom = custom = Custom(unit)
    custom._steps, custom._suppressed = steps, suppressed
    if pid:
        custom.running = True
        unit.hear_commands(False)
        unit.own(pid, custom)
