"""rc graph: the dependencies of services as a picture for Graphviz. The text is made by pure functions.

Bundles are frames, a service's colour is its state, and the critical path of the last boot is drawn thick: the chain of services for
which all others waited.
"""

from __future__ import annotations

import os

from initfs import process, say
from initfs.manager import graph, timing
from initfs.manager.db import write
from initfs.manager.model import INTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from initfs.manager.live import Live
    from initfs.manager.query import Index

UP, DOWN, CRITICAL = "palegreen", "lightgray", "firebrick"


def main(live: Live, selection: AbstractSet[int], *, svg: bool) -> int:
    """Print the picture of SELECTION and what it needs, or of all if that is empty: as text, or as SVG made by dot(1)."""
    index = live.index
    shown = graph.closure(index.database.depends, selection) if selection else set(range(len(index.database)))
    shown -= {number for number in range(len(INTERNAL)) if number not in selection}
    text = os.fsencode("".join(f"{line}\n" for line in draw(index, shown, live.up(), timing.read(live))))
    if not svg:
        write(text)
        return say.OK
    return _dot(text)


def _dot(text: bytes) -> int:
    """Have dot(1) make an SVG of it."""
    file = os.memfd_create("graph")
    os.write(file, text)
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, 0)
    raise process.execute(["dot", "-Tsvg"])


def draw(
    index: Index, shown: AbstractSet[int], up: AbstractSet[int], took: Mapping[int, float]
) -> Iterator[str]:
    """The lines of the picture. SHOWN are the services in it, UP those that are up, TOOK the seconds that each needed to come up."""
    database = index.database
    critical = _critical(index, shown, took)
    yield "digraph services {"
    yield '  rankdir=LR; node [shape=box, style="rounded,filled", fontname="sans-serif"]; compound=true;'
    yield from _frames(index, shown)
    for number in sorted(shown):
        yield f"  {node(index, number, up=number in up, took=took.get(number), critical=number in critical)}"
    for number in sorted(shown):
        for other in database.depends[number]:
            if other in shown:
                thick = (other, number) in critical.items()
                attributes = f" [color={CRITICAL}, penwidth=3]" if thick else ""
                yield f"  n{other} -> n{number}{attributes};"
    yield "}"


def node(index: Index, number: int, *, up: bool, took: float | None, critical: bool) -> str:
    """The line of one service."""
    name = index.database.names[number]
    label = quote(name if took is None else f"{name}\n{took * 1000:.0f} ms")
    shape = "ellipse" if index.kind(name) == "oneshot" else "box"
    edge = f", color={CRITICAL}, penwidth=3" if critical else ""
    return f"n{number} [label={label}, shape={shape}, fillcolor={UP if up else DOWN}{edge}];"


def quote(text: str) -> str:
    """A string for dot."""
    plain = os.fsencode(text).decode(errors="replace")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _critical(index: Index, shown: AbstractSet[int], took: Mapping[int, float]) -> dict[int, int]:
    """{each service on the critical path: the next one, the last: -1}."""
    weights = [took.get(number, 0.0) for number in range(len(index.database))]
    path = graph.longest(index.database.depends, weights, set(shown) & took.keys())
    return {number: (path[at + 1] if at + 1 < len(path) else -1) for at, number in enumerate(path)}


def _frames(index: Index, shown: AbstractSet[int]) -> Iterator[str]:
    """A frame for each bundle, one for all that have the same members. A service can be drawn in one frame only: the smallest one that it is
    in, the others are told in words.
    """
    titles: dict[frozenset[int], list[str]] = {}
    for name, members in index.database.bundles:
        if inside := frozenset(members) & shown:
            titles.setdefault(inside, []).append(name)
    placed: set[int] = set()
    for count, (group, names) in enumerate(sorted(titles.items(), key=lambda title: len(title[0]))):
        free = sorted(group - placed)
        more = [index.database.names[number] for number in sorted(group & placed)]
        placed |= group
        title = ", ".join(names)
        label = f"{title}\nalso {' '.join(more[:8])}{' ...' if len(more) > 8 else ''}" if more else title
        nodes = "".join(f" n{number};" for number in free) or f' empty{count} [style=invis, label=""];'
        yield f"  subgraph cluster_{count} {{ label={quote(label)}; style=dashed;{nodes} }}"
