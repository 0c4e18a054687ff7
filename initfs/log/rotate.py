"""When a log is rotated, what its archives are called, which of them go, and what an interrupted directory needs. Pure.

Source: `spec/logging.md` 2.2. A name of an archive is a TAI64N label and `.s`, finished, or `.u`, interrupted; nothing else is
ever removed, however similar its name.
"""

from __future__ import annotations

from initfs import tai

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

DONE, INTERRUPTED = ".s", ".u"
NAME_SIZE = tai.LABEL_SIZE + 2
DIGITS = frozenset("0123456789abcdef")


def is_archive(name: str) -> bool:
    """Whether NAME is an archive's: 27 characters, a label with its two suffixes."""
    return (
        len(name) == NAME_SIZE
        and name[0] == "@"
        and name[-2:] in (DONE, INTERRUPTED)
        and DIGITS.issuperset(name[1:-2])
    )


def room(size: int, tolerance: int, written: int) -> int:
    """How many bytes may be added to a file of WRITTEN bytes before it is rotated at the next newline."""
    return size - tolerance - written


def piece(text: bytes, at: int, end: int, left: int) -> int:
    """Where the piece of TEXT that begins AT ends: with the line that fills the room LEFT, or with the text, which has END bytes."""
    if end - at < left:
        return end
    return text.find(b"\n", at + max(left, 1) - 1, end) + 1 or end


def due(size: int, tolerance: int, written: int) -> bool:
    """Whether a file that ends in a newline is full."""
    return written > 0 and written + tolerance >= size


def next_label(now: int, newest: str, offset: int = tai.LEAP) -> str:
    """The label of an archive finished NOW: later than that of the NEWEST one ("" for none), even if the clock was set back.

    Names tell the order of archives, and the first in that order are removed first.
    """
    label = tai.label(max(now, 0), offset)
    if label > newest[: tai.LABEL_SIZE]:
        return label
    number = int(newest[1 : tai.LABEL_SIZE], 16)
    seconds, nano = number >> 32, (number & 0xFFFFFFFF) + 1
    return f"@{seconds + nano // tai.NANO:016x}{nano % tai.NANO:08x}"


def surplus(archives: Iterable[tuple[str, int]], count: int, total: int) -> list[str]:
    """Which of the archives (name, bytes) are to go, oldest first, so that COUNT are left, and TOTAL bytes unless that is 0."""
    ordered = sorted(archives)
    sizes = sum(size for _, size in ordered)
    left = len(ordered)
    gone = []
    for name, size in ordered:
        if left <= count and (not total or sizes <= total):
            break
        gone.append(name)
        left -= 1
        sizes -= size
    return gone


def recovery(files: AbstractSet[str], finished: AbstractSet[str]) -> Sequence[tuple[str, str]]:
    """What an interrupted directory with FILES needs, of which FINISHED carry the mark: (operation, file) in order.

    `archive.s`, `archive.u`: make it an archive; `remove`. An empty list: it was ended cleanly and goes on.
    """
    if "current" in finished:
        return ()
    plan = [("remove", name) for name in ("state", "newstate") if name in files]
    if "processed" in finished:
        plan += [("remove", "previous")] if "previous" in files else []
        plan.append(("archive.s", "processed"))
    else:
        plan += [("remove", "processed")] if "processed" in files else []
        plan += [("archive.u", "previous")] if "previous" in files else []
    return (*plan, ("archive.u", "current")) if "current" in files else plan
