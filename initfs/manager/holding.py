"""The pipes in the descriptor holder after an update: unused ones go, renamed ones move, new ones come."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.fdholder import pipes
from initfs.manager.model import FDHOLDER, READING, WRITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from initfs.local.fdholder.client import Holder


def update(live: str, wanted: AbstractSet[str], renamed: Mapping[str, str], until: float) -> None:
    """Have the holder hold the pipes of just these consumers; RENAMED is {new name: old name}. OSError: it should be restarted."""
    from initfs.local.fdholder import client

    directory = os.open(f"{live}/servicedirs/{FDHOLDER}", os.O_PATH | os.O_CLOEXEC)
    try:
        with client.connect(f"/proc/self/fd/{directory}/s", until) as holder:
            _move(holder, renamed)
            held = {os.fsdecode(name) for name in holder.names()}
            ends = {f"{end}{name}" for name in wanted for end in (READING, WRITING)}
            for identifier in sorted(held - ends):
                if identifier.startswith((READING, WRITING)):
                    holder.delete(os.fsencode(identifier))
            for new, fd in pipes([name for name in sorted(wanted) if f"{READING}{name}" not in held]):
                holder.store(fd, new)
                os.close(fd)
    finally:
        os.close(directory)


def _move(holder: Holder, renamed: Mapping[str, str]) -> None:
    """All are taken out before the first is put back: names may have been exchanged."""
    taken: list[tuple[bytes, int]] = []
    for name, former in [
        (f"{end}{new}", f"{end}{old}") for new, old in renamed.items() for end in (READING, WRITING)
    ]:
        fd = holder.retrieve(os.fsencode(former), delete=True)
        taken.append((os.fsencode(name), fd))
    for identifier, fd in taken:
        holder.store(fd, identifier)
        os.close(fd)


def restart(live: str, until: float) -> None:
    """Have the holder begin anew, which makes all pipes anew. say.Fatal 2 when it does not get ready in time."""
    from initfs.supervise import client, waiters

    directory = f"{live}/servicedirs/{FDHOLDER}"
    say.warning("unable to update the descriptor holder: restarting it")
    with waiters.Services([directory], "R") as services:
        client.send(directory, "r")
        try:
            services.wait(until)
        except say.Fatal as fatal:
            raise say.Fatal(2, "timed out waiting for the descriptor holder") from fatal
