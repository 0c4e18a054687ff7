"""Which archives are copied to a disk that lasts, and which copies go."""

from __future__ import annotations

from initfs.log import keep

NOW = 1_000_000.0


def names(chosen: list[tuple[str, int]]) -> list[str]:
    return [name for name, _ in chosen]


def test_what_is_newer_than_the_newest_copy_is_copied_oldest_first() -> None:
    archives = [("c", 10), ("a", 10), ("b", 10)]
    assert names(keep.plan(archives, [], NOW, 1 << 20)) == ["a", "b", "c"]
    assert names(keep.plan(archives, [("a", 10, 0.0)], NOW, 1 << 20)) == ["b", "c"]
    assert keep.plan(archives, [("c", 10, 0.0)], NOW, 1 << 20) == []


def test_after_a_clock_was_set_back_names_go_on_behind_those_of_the_copies() -> None:
    def name(seconds: int, suffix: str = "s", nano: int = 0) -> str:
        return f"@{(1 << 62) + 3600 + seconds:016x}{nano:08x}.{suffix}"

    later = [(name(900), 1, 0.0), (name(800), 1, 0.0)]
    here = [(name(2), 1), (name(1, "u"), 1), (name(1000), 1)]
    assert keep.renamed(here, []) == []
    assert keep.renamed(here[2:], later) == []
    assert keep.renamed(here, later) == [(name(2), name(900, nano=2)), (name(1, "u"), name(900, "u", 1))]
    copied = [*later, (name(1, "u"), 1, 0.0)]
    assert keep.renamed(here, copied) == [(name(2), name(900, nano=1))], "what has its copy stays"
    assert names(keep.plan(here, copied, NOW, 1 << 20)) == [name(2), name(1000)]
    close = [(name(1), 1), (name(900, nano=1), 1)]
    assert keep.renamed(close, later) == [
        (name(900, nano=1), name(900, nano=2)),
        (name(1), name(900, nano=1)),
    ]


def test_an_hour_has_so_many_bytes_whatever_waits() -> None:
    hourly = 3 * keep.cost(10_000)
    waiting = [(f"{number:03}", 10_000) for number in range(20)]
    kept: list[tuple[str, int, float]] = []
    written: list[float] = []
    for minute in range(300):
        now = NOW + 60 * minute
        for name in names(keep.plan(waiting, kept, now, hourly)):
            kept.append((name, 10_000, now))
            written.append(now)
        for name in keep.surplus(kept, now, 2, 0):
            kept = [one for one in kept if one[0] != name]
        assert sum(1 for moment in written if now - moment < keep.HOUR) <= 3
    assert len(written) == 15
    assert len(kept) == 3


def test_one_that_is_too_large_for_an_hour_has_one_of_its_own() -> None:
    archives = [("a", 9000), ("b", 1)]
    assert names(keep.plan(archives, [], NOW, 4096)) == ["a"]
    assert keep.plan(archives, [("a", 9000, NOW - 10)], NOW, 4096) == []
    assert names(keep.plan(archives, [("a", 9000, NOW - keep.HOUR)], NOW, 4096)) == ["b"]


def test_copies_of_the_last_hour_stay() -> None:
    kept = [("a", 1, 0.0), ("b", 1, NOW - 10), ("c", 1, NOW)]
    assert keep.surplus(kept, NOW, 0, 0) == ["a"]
    assert keep.surplus(kept, NOW, 3, 0) == []


def test_many_logs_together_have_a_bound_of_their_own() -> None:
    """Forty logs, each with more to copy than an hour allows, look one after the other at what all have written."""
    hourly, together = 3 * keep.cost(10_000), 30 * keep.cost(10_000)
    waiting = [(f"{number:03}", 10_000) for number in range(20)]
    kept: list[list[tuple[str, int, float]]] = [[] for _ in range(40)]
    for minute in range(0, 180, 10):
        now = NOW + 60 * minute
        for mine in kept:
            chosen = keep.plan(waiting, mine, now, hourly)
            all_ = [copy for copies in kept for copy in copies]
            mine += [(name, size, now) for name, size in keep.within(chosen, keep.spent(all_, now), together)]
        every = [copy for copies in kept for copy in copies]
        assert keep.spent(every, now) == together
    assert len(every) == 3 * 30
