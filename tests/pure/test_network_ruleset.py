"""From zones to the rules that the kernel gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from initfs.network.ruleset import merged, render
from initfs.network.zones import Firewall, parse


def test_what_is_not_allowed_is_refused_and_forwarding_is_only_between_named_zones() -> None:
    text = render(
        parse("zone lan\ninterface br0\naccept tcp 22\nforward wan\nzone wan\ninterface *\nmasquerade\n")
    )

    assert text.startswith("table inet initfs\ndelete table inet initfs\ntable inet initfs {\n")
    assert text.count("policy drop;") == 2
    assert '\t\tiifname { "br0" } oifname != { "br0" } accept\n' in text
    assert text.count(" accept\n") == 6
    assert '\t\tmeta nfproto ipv4 oifname != { "br0" } masquerade\n' in text


def test_without_zones_everything_is_closed() -> None:
    text = render(Firewall())

    assert "goto" not in text
    assert "masquerade" not in text
    assert text.count("policy drop;") == 2


@given(some.lists(some.tuples(some.integers(1, 40), some.integers(0, 9)), min_size=1))
def test_ports_that_overlap_are_one_range(pairs: list[tuple[int, int]]) -> None:
    texts = [f"{first}-{first + more}" if more else str(first) for first, more in pairs]
    found = [tuple(map(int, text.split("-"))) for text in merged(texts)]
    numbers = [number for each in found for number in range(each[0], each[-1] + 1)]

    assert numbers == sorted({number for first, more in pairs for number in range(first, first + more + 1)})
