"""What a scan of the scan directory changes. A service is its directory's device and inode, not its name."""

from __future__ import annotations

from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Identity: TypeAlias = tuple[int, int]


@value
class Found:
    """A service directory in the scan directory, and the identity of its log directory, or the content of its file `log`."""

    name: str
    log: Identity | None = None
    script: bytes = b""


@value
class Known:
    """A service of the tree."""

    name: str
    present: bool = True  # its entry was there at the last scan
    logged: bool = False  # it has a logger


@value
class Add:
    """Supervise the directory NAME."""

    identity: Identity
    name: str


@value
class Rename:
    """The same directory has another name now."""

    identity: Identity
    name: str


@value
class Drop:
    """The entry is gone: kill nothing, but do not start it again."""

    identity: Identity


@value
class Restore:
    """The entry is back."""

    identity: Identity


@value
class Refuse:
    """There are too many services for this one."""

    name: str


if TYPE_CHECKING:
    Operation: TypeAlias = Add | Rename | Drop | Restore | Refuse


def plan(known: Mapping[Identity, Known], found: Mapping[Identity, Found], most: int) -> list[Operation]:
    """The operations that make the tree follow what was FOUND, when it may have MOST services, loggers counted."""
    operations: list[Operation] = []
    room = most - sum(1 + service.logged for service in known.values())
    for identity, seen in found.items():
        service = known.get(identity)
        if service is None:
            cost = 1 + (seen.log is not None)
            operations.append(Add(identity, seen.name) if room >= cost else Refuse(seen.name))
            room -= cost if room >= cost else 0
            continue
        if service.name != seen.name:
            operations.append(Rename(identity, seen.name))
        if not service.present:
            operations.append(Restore(identity))
    operations += [
        Drop(identity) for identity, service in known.items() if service.present and identity not in found
    ]
    return operations


def shared(found: Mapping[Identity, Found], logger: str) -> dict[Identity, Found]:
    """What was FOUND; without the service LOGGER, which logs for all that have a plain file `log`, without those files."""
    if any(seen.name == logger for seen in found.values()):
        return dict(found)
    return {identity: replace(seen, script=b"") if seen.script else seen for identity, seen in found.items()}


def accept(name: str, longest: int) -> bool:
    """Whether an entry may be a service: no leading dot, and not longer than LONGEST bytes."""
    if name.startswith("."):
        return False
    # A character has at most four bytes: hardly any name needs to be encoded to be counted.
    return 4 * len(name) <= longest or len(name.encode(errors="surrogateescape")) <= longest
