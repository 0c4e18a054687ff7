from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.manager import codec, graph, query
from initfs.manager.model import BUNDLE, LONGRUN, ONESHOT, Definition, Fault, Script
from initfs.manager.query import Index, Unknown, WrongType
from initfs.manager.resolve import resolve
from initfs.value import replace

if TYPE_CHECKING:
    from initfs.manager.model import Database


def oneshot(name: str, *needs: str, flags: int = 0) -> Definition:
    scripts = (Script(), Script(("true",)), Script())
    return Definition(name, ONESHOT, f"src/{name}", flags, depends=needs, scripts=scripts)


def longrun(
    name: str, *needs: str, consumer: str = "", producers: tuple[str, ...] = (), pipeline: str = ""
) -> Definition:
    return Definition(
        name, LONGRUN, f"src/{name}", depends=needs, consumer=consumer, producers=producers, pipeline=pipeline
    )


def bundle(name: str, *contents: str, flags: int = 0) -> Definition:
    return Definition(name, BUNDLE, f"src/{name}", flags, contents=contents)


def made(*definitions: Definition) -> Index:
    database, faults = resolve(definitions)
    assert [str(fault) for fault in faults] == []
    return Index(database)


def wrong(*definitions: Definition) -> list[Fault]:
    return resolve(definitions)[1]


def names(index: Index, numbers: set[int] | tuple[int, ...]) -> list[str]:
    return [index.database.names[number] for number in sorted(numbers)]


def test_longruns_come_before_oneshots_and_the_managers_own_before_all() -> None:
    index = made(oneshot("a"), longrun("b"), oneshot("c"), longrun("d"))
    assert index.database.names == ("s6rc-oneshot-runner", "s6rc-fdholder", "b", "d", "a", "c")
    assert index.database.flags[:2] == (1, 1)


def test_a_oneshot_needs_the_runner_a_pipeline_the_holder_and_a_producer_its_consumer() -> None:
    # SM-171 (partly)
    index = made(oneshot("a"), longrun("l"), longrun("log", producers=("p",)), longrun("p", consumer="log"))
    needs = {
        name: names(index, index.database.depends[number]) for number, name in enumerate(index.database.names)
    }
    assert needs["a"] == ["s6rc-oneshot-runner"]
    assert needs["l"] == []
    assert needs["log"] == ["s6rc-fdholder"]
    assert needs["p"] == ["s6rc-fdholder", "log"]


def test_bundles_contain_bundles_and_stand_for_their_members() -> None:
    # SM-167 (partly) SM-168 (partly)
    index = made(
        bundle("outer", "inner", "c"),
        bundle("inner", "a", "b"),
        oneshot("a"),
        oneshot("b"),
        oneshot("c", "inner"),
    )
    assert names(index, index.contents("outer")) == ["a", "b", "c"]
    assert names(index, index.database.depends[index.number["c"]]) == ["s6rc-oneshot-runner", "a", "b"]
    with pytest.raises(WrongType):
        index.contents("a")
    with pytest.raises(Unknown):
        index.kind("nobody")


def test_a_bundles_flags_are_those_of_its_members_however_deep() -> None:
    # SM-172 (partly)
    index = made(bundle("outer", "inner", flags=1), bundle("inner", "a", flags=2), oneshot("a"), oneshot("b"))
    assert index.database.flags[index.number["a"]] == 3
    assert index.database.flags[index.number["b"]] == 0


def test_a_pipeline_is_a_bundle_of_all_its_stages() -> None:
    # SM-171 (partly)
    index = made(
        longrun("end", producers=("middle", "other"), pipeline="line"),
        longrun("middle", consumer="end", producers=("start",)),
        longrun("start", consumer="middle"),
        longrun("other", consumer="end"),
    )
    assert names(index, index.contents("line")) == ["end", "middle", "start", "other"]
    pairs = [(index.database.names[one], index.database.names[two]) for one, two in index.pipeline("start")]
    assert sorted(pairs) == [("middle", "end"), ("other", "end"), ("start", "middle")]
    assert pairs.index(("start", "middle")) < pairs.index(("middle", "end"))
    assert index.pipeline("end") == index.pipeline("other")


@pytest.mark.parametrize(
    ("definitions", "place", "word"),
    [
        ([oneshot("a"), longrun("a")], "src/a", "taken"),
        ([oneshot("a", "b")], "src/a/dependencies", "undefined: b"),
        ([bundle("a", "b")], "src/a/contents", "undefined: b"),
        ([oneshot("a", "a")], "src/a", "a -> a"),
        ([oneshot("a", "b"), bundle("b", "a")], "src/a", "a -> a"),
        ([bundle("a", "b"), bundle("b", "c"), bundle("c", "a")], "src/a", "a -> b -> c -> a"),
        ([longrun("a", consumer="b"), longrun("b")], "src/a/producer-for", "b does not say so"),
        ([longrun("a", producers=("b",)), longrun("b")], "src/a/consumer-for", "b does not say so"),
        ([longrun("a", producers=("b",)), longrun("b", consumer="c"), longrun("c", producers=("b",))], "src/a/consumer-for", "it has c"),
        ([longrun("a", consumer="b"), oneshot("b")], "src/a/producer-for", "b is a oneshot"),
        ([longrun("a", producers=("b",)), bundle("b")], "src/a/consumer-for", "b is a bundle"),
        ([longrun("a", consumer="b")], "src/a/producer-for", "undefined: b"),
        ([longrun("a", producers=("b",))], "src/a/consumer-for", "undefined: b"),
        ([longrun("a", consumer="a", producers=("a",))], "src/a", "a pipeline is a cycle: a -> a"),
        ([longrun("c", producers=("p",), pipeline="x"), longrun("p", consumer="c"), oneshot("x")], "src/c/pipeline-name", "x is taken"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told_with_its_place(
    definitions: list[Definition], place: str, word: str
) -> None:
    # SM-169 (partly)
    faults = wrong(*definitions)
    assert (place, True) in [(fault.place, word in fault.what) for fault in faults], [
        str(fault) for fault in faults
    ]


def test_a_cycle_is_told_whole_and_every_cycle_is() -> None:
    # SM-169 (partly)
    faults = wrong(
        oneshot("a", "b"),
        oneshot("b", "c"),
        oneshot("c", "a"),
        oneshot("x", "y"),
        oneshot("y", "x"),
        oneshot("z", "none"),
    )
    assert sorted(fault.what for fault in faults) == [
        "services depend on each other: a -> b -> c -> a",
        "services depend on each other: x -> y -> x",
        "undefined: none",
    ]


def test_what_is_broken_itself_is_no_undefined_name_of_others() -> None:
    _, faults = resolve([oneshot("a", "b"), bundle("c", "b")], broken={"b"})
    assert faults == []


LAYERS = st.lists(st.lists(st.integers(0, 40), max_size=4), min_size=1, max_size=25)


def layered(layers: list[list[int]]) -> list[Definition]:
    """Services without a cycle: each needs some before it; some are longruns."""
    return [
        (longrun if number % 3 else oneshot)(
            f"s{number}", *(f"s{other % number}" for other in needs if number)
        )
        for number, needs in enumerate(layers)
    ]


@given(LAYERS)
def test_a_database_survives_its_bytes_and_the_same_sources_give_the_same_bytes(
    layers: list[list[int]],
) -> None:
    # SM-198 (partly)
    first, second = resolve(layered(layers))[0], resolve(layered(layers))[0]
    assert codec.encode(first) == codec.encode(second)
    assert codec.decode(codec.encode(first)) == first
    assert codec.problems(first) == []


def test_another_format_is_told() -> None:
    data = codec.encode(made(oneshot("a")).database).replace(b"initfs-rc 1 ", b"initfs-rc 2 ", 1)
    with pytest.raises(codec.Invalid, match="format 2, not 1"):
        codec.decode(data)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"depends": ((), (), (3,), (2,))}, "cycle"),
        ({"depends": ((), (), (), (9,))}, "number"),
        ({"flags": (0,)}, "length"),
        ({"bundles": (("a", (2,)),)}, "twice"),
        ({"pipes": ((2, (3,)),)}, "no longrun"),
    ],
)
def test_an_inconsistent_database_is_found_out(change: dict[str, object], word: str) -> None:
    # SM-174 (partly)
    database: Database = made(longrun("l"), oneshot("a")).database
    assert word in codec.problems(replace(database, **change))[0]


@given(LAYERS, st.integers(0, 100))
def test_closures_and_orders_agree(layers: list[list[int]], seed: int) -> None:
    index = made(*layered(layers))
    edges = index.database.depends
    rng = random.Random(seed)
    start = set(rng.sample(range(len(edges)), rng.randrange(len(edges))))
    closed = graph.closure(edges, start)
    assert start <= closed
    assert all(other in closed for number in closed for other in edges[number])
    order, cycles = graph.order(edges)
    assert cycles == []
    assert sorted(order) == list(range(len(edges)))
    place = {number: at for at, number in enumerate(order)}
    assert all(place[other] < place[number] for number in order for other in edges[number])
    assert graph.reverse(graph.reverse(edges)) == tuple(map(tuple, edges))


def test_a_chain_as_long_as_one_likes_is_no_recursion() -> None:
    database, faults = resolve([oneshot(f"s{at}", *([f"s{at - 1}"] if at else [])) for at in range(5000)])
    assert not faults
    assert len(graph.closure(database.depends, {len(database) - 1})) == 5001


def test_the_longest_path_is_the_slowest() -> None:
    index = made(oneshot("a"), oneshot("b", "a"), oneshot("c", "a"), oneshot("d", "b", "c"))
    weights = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0}
    path = graph.longest(
        index.database.depends, [weights.get(name, 0.0) for name in index.database.names], {2, 3, 4, 5}
    )
    assert [index.database.names[number] for number in path] == ["a", "b", "d"]


def test_everything_about_a_service_can_be_told_at_once() -> None:
    index = made(oneshot("a"), oneshot("b", "a", flags=1), bundle("all", "b"))
    told = query.described(index, index.number["b"])
    assert told["dependencies"] == ["s6rc-oneshot-runner", "a"]
    assert told["all_dependencies"] == ["s6rc-oneshot-runner", "a"]
    assert (told["essential"], told["bundles"], told["scripts"]["up"]) == (True, ["all"], ("true",))
