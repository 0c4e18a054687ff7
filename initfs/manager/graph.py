"""Graphs of services: edges lead from a number to those it depends on. Reverse, closure, cycles, order. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Edges = Sequence[Sequence[int]]


def reverse(edges: Edges) -> tuple[tuple[int, ...], ...]:
    """Who depends on each number, sorted."""
    found: list[list[int]] = [[] for _ in edges]
    for number, targets in enumerate(edges):
        for target in targets:
            found[target].append(number)
    return tuple(map(tuple, found))


def closure(edges: Edges, start: Iterable[int]) -> set[int]:
    """START and all that can be reached from it."""
    found = set(start)
    pending = list(found)
    while pending:
        for target in edges[pending.pop()]:
            if target not in found:
                found.add(target)
                pending.append(target)
    return found


def order(edges: Edges) -> tuple[list[int], list[list[int]]]:
    """All numbers, each after what it depends on; and the cycles, one of each knot, each as a path that ends where it began.

    A number in a cycle has its place somewhere. Depth first, without recursion: a chain may be as long as it likes.
    """
    state = bytearray(len(edges))  # 1: on the path, 2: done
    done: list[int] = []
    cycles: list[list[int]] = []
    for root in range(len(edges)):
        if not state[root]:
            _descend(edges, root, state, done, cycles)
    return done, cycles


def _descend(edges: Edges, root: int, state: bytearray, done: list[int], cycles: list[list[int]]) -> None:
    path = [root]
    pending: list[Iterator[int]] = [iter(edges[root])]
    state[root] = 1
    while path:
        for target in pending[-1]:
            if not state[target]:
                state[target] = 1
                path.append(target)
                pending.append(iter(edges[target]))
                break
            if state[target] == 1:
                cycle = path[path.index(target) :]
                if not any(set(cycle) & set(known) for known in cycles):
                    cycles.append([*cycle, target])
        else:
            pending.pop()
            number = path.pop()
            state[number] = 2
            done.append(number)


def longest(edges: Edges, weights: Sequence[float], among: set[int]) -> list[int]:
    """The path through AMONG whose weights sum to the most: what a change as fast as it can be has to wait for."""
    best: dict[int, tuple[float, int]] = {}
    for number in order(edges)[0]:
        if number not in among:
            continue
        before = max(
            ((best[target][0], target) for target in edges[number] if target in best), default=(0.0, -1)
        )
        best[number] = (before[0] + weights[number], before[1])
    path: list[int] = []
    at = max(best, key=lambda number: (best[number][0], -number), default=-1)
    while at >= 0:
        path.append(at)
        at = best[at][1]
    return path[::-1]
