"""A program that is started for a client: found through PATH, with the descriptors that it is given and nothing else of ours."""

from __future__ import annotations

import os

from initfs import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def spawn(
    argv: Sequence[str],
    environment: Mapping[str, str] | Mapping[bytes, bytes],
    descriptors: Sequence[tuple[int, int]],
    path: str | None = None,
    *,
    group: bool = False,
) -> int:
    """Start ARGV with DESCRIPTORS, (ours, its) pairs, in our process group or in a GROUP of its own; its pid. OSError: ENOENT when there is
    no such program in PATH.

    A server gives its environment as bytes, encoded once: as strings it is encoded for every child.
    """
    name = argv[0]
    if "/" in name:
        return process.spawn(name, argv, environment, descriptors=descriptors, session=False, group=group)
    failed: OSError | None = None
    for place in process.candidates(name, {} if path is None else {"PATH": path}) if name else ():
        if not os.access(place, os.F_OK):
            continue  # a look costs a hundredth of a child that cannot execute it, and tells without an exception
        try:
            return process.spawn(
                place, argv, environment, descriptors=descriptors, session=False, group=group
            )
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failed = error
    raise failed or FileNotFoundError(2, os.strerror(2))
