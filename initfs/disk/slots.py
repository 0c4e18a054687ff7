"""Which slot is tried next, and how often: slots.env of U-Boot's script, and the entries' names of systemd-boot. Pure.

A slot is `a` or `b`. What `docs/flash.md` says of the loaders' part is written in `board/disk/loaders.py`.
Source of the names: the Boot Loader Specification, "Boot counting": NAME+LEFT-DONE.conf.
"""

from __future__ import annotations

from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SLOTS = ("a", "b")
TRIES = 3
GOOD = "good"
SIZE = 512  # of slots.env: one sector, which a disk writes whole or not at all
DIGITS = frozenset("0123456789")


@value
class Slots:
    """What slots.env says: the order in which slots are tried, and what each has left: a number, or `good`."""

    order: tuple[str, ...] = SLOTS
    a: str = str(TRIES)
    b: str = str(TRIES)

    def left(self, slot: str) -> str:
        return self.a if slot == "a" else self.b


def other(slot: str) -> str:
    """The slot that is not this one."""
    return "b" if slot == "a" else "a"


def slot_of(cmdline: str) -> str:
    """The slot that the kernel's arguments name (initfs.slot=); "" for a machine without."""
    for word in cmdline.split():
        if word.startswith("initfs.slot=") and word[12:] in SLOTS:
            return word[12:]
    return ""


def parse(content: bytes) -> Slots:
    """Read slots.env. What is missing or makes no sense is as on a machine that has none: both slots, three tries each."""
    fields = {}
    for line in content.split(b"\0")[0].decode("ascii", "replace").split("\n"):
        name, _, text = line.partition("=")
        fields[name] = text.strip()
    order = tuple(word for word in fields.get("order", "").split() if word in SLOTS)
    return Slots(order or SLOTS, _left(fields.get("a_left", "")), _left(fields.get("b_left", "")))


def _left(text: str) -> str:
    return text if text == GOOD or (text and set(text) <= DIGITS) else str(TRIES)


def text(slots: Slots) -> bytes:
    """slots.env, as long as a sector."""
    lines = f"order={' '.join(slots.order)}\na_left={slots.a}\nb_left={slots.b}\n"
    return lines.encode().ljust(SIZE, b"\n")


def with_left(slots: Slots, slot: str, left: str) -> Slots:
    """The same with a slot's tries changed; a slot that has some is in the order."""
    order = slots.order if slot in slots.order else (*slots.order, slot)
    return replace(slots, order=order, a=left) if slot == "a" else replace(slots, order=order, b=left)


def without(slots: Slots, slot: str) -> Slots:
    """The same without a slot that is about to be overwritten: it is not tried, and nothing else is lost."""
    rest = tuple(each for each in slots.order if each != slot)
    return replace(with_left(slots, slot, "0"), order=rest or (other(slot),))


def first(slots: Slots, slot: str) -> Slots:
    """The same with a new slot tried first, three times."""
    return replace(with_left(slots, slot, str(TRIES)), order=(slot, other(slot)))


def entries(names: Iterable[str], slot: str) -> list[str]:
    """Those of systemd-boot's entries that are the slot's, marked good or not."""
    return sorted(
        name
        for name in names
        if name == f"{slot}.conf" or (name.startswith(f"{slot}+") and name.endswith(".conf"))
    )


def version_of(entry: bytes) -> int:
    """An entry's version, 0 when it has none: of equal sort keys, the highest is tried first."""
    for line in entry.split(b"\n"):
        name, _, rest = line.partition(b" ")
        if name == b"version" and rest.strip().isdigit():
            return int(rest)
    return 0


def entry(slot: str, version: int, arguments: str) -> bytes:
    """A slot's entry."""
    lines = (f"title initfs, slot {slot}", "sort-key initfs", f"version {version}", f"linux /linux-{slot}",
             f"initrd /initrd-{slot}.zst", f"options {arguments} initfs.slot={slot}")  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()
