"""Access rules without a file: which keys are tried, which one decides, and the compiled form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initfs.local import access, compiled
from initfs.local.access import Rule
from initfs.local.admission import Admission
from initfs.local.fdholder.answers import Incoming, answer
from initfs.local.fdholder.holding import NEVER, Held, Holding
from initfs.local.fdholder.protocol import Delete, Entry, GetDump, List, Part, Retrieve, SetDump, Store
from initfs.local.ipcserver import line
from initfs.local.wire import Malformed

quick = settings(max_examples=60, deadline=None)
NUL_FREE = st.binary(max_size=30).filter(lambda text: b"\0" not in text)
VARIABLES = st.dictionaries(
    st.binary(min_size=1, max_size=9).filter(lambda text: not set(text) & set(b"\0=")),
    st.none() | NUL_FREE,
    max_size=4,
)
RULES = st.builds(
    Rule, st.just(True), VARIABLES.map(lambda found: tuple(sorted(found.items()))), st.binary(max_size=40)
)
KEYS = st.from_regex(r"(uid|gid)/[0-9]{1,6}", fullmatch=True) | st.sampled_from(["uid/self", "uid/default"])


def test_keys_are_tried_in_the_order_of_the_specification() -> None:
    # LOC-155 (partly)
    assert list(access.account_keys(5, 6, 1, 1)) == ["uid/5", "gid/6", "uid/default"]
    assert list(access.account_keys(1, 2, 1, 2)) == ["uid/self", "uid/1", "gid/self", "gid/2", "uid/default"]


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ({}, ""),
        ({"uid/default": True}, "uid/default"),
        ({"uid/default": True, "gid/6": False}, "gid/6"),
        ({"uid/5": True, "gid/6": False}, "uid/5"),
        ({"uid/self": True, "uid/5": False}, "uid/5"),
    ],
)
def test_the_first_rule_decides_and_none_is_no(rules: dict[str, bool], key: str) -> None:
    look_up = {name: Rule(allowed) for name, allowed in rules.items()}.get
    found, rule = access.decide(access.account_keys(5, 6, 1, 1), look_up)
    assert (found, rule.allowed) == (key, rules.get(key, False))


@quick
@given(st.dictionaries(KEYS, RULES | st.just(Rule(allowed=False)), max_size=9))
def test_compiled_rules_are_found_and_come_back(rules: dict[str, Rule]) -> None:
    # LOC-156 (partly)
    database = compiled.encode(rules.items())
    assert dict(compiled.items(database)) == rules
    for key, rule in rules.items():
        assert compiled.look_up(database, key) == rule
    assert compiled.look_up(database, "uid/nobody") is None


@quick
@given(st.binary(max_size=30), st.integers(0, 2300), st.integers(0, 2300))
def test_a_damaged_database_says_so_or_nobody_new_gets_in(noise: bytes, at: int, cut: int) -> None:
    """It never crashes or loops, whatever the damage."""
    database = compiled.encode([("uid/1", Rule(True, ((b"A", b"b"),), b"x")), ("uid/2", Rule(allowed=False))])
    broken = (database[:at] + noise + database[at + len(noise) :])[: cut + 1000]
    for look in (lambda: compiled.look_up(broken, "uid/1"), lambda: list(compiled.items(broken))):
        try:
            look()
        except (compiled.Corrupt, ValueError):
            continue


def test_what_is_too_large_for_a_rule_is_refused() -> None:
    with pytest.raises(compiled.TooLarge):
        compiled.encode_rule(Rule(True, ((b"A", b"x" * 4096),)))
    assert compiled.decode_rule(compiled.encode_rule(Rule(True, (), b"x" * 5000))).exec == b"x" * 4096


def test_connections_are_counted_for_each_user_and_in_all() -> None:
    door = Admission(3, 2)
    assert [door.enter(user) for user in (1, 1, 1, 2)] == [1, 2, 0, 1]
    assert not door.room()
    assert door.leave(1) == 1
    assert door.room()
    assert [door.enter(None), door.count] == [1, 3]


def test_ipcserver_is_a_command_line() -> None:
    # LOC-153 (partly)
    found = [("1", ""), ("v", ""), ("a", "0700"), ("c", "9"), ("U", "")]
    assert " ".join(line(found, ["s", "prog", "-x"])) == (
        "ipcserver-socketbinder -a 0700 -- s applyuidgid -z -U -- ipcserverd -v 2 -1 -c 9 -- prog -x"
    )


# The table of a descriptor holder -------------------------------------------------------------


def ask(
    holding: Holding, request: object, fds: tuple[int, ...] = (), incoming: Incoming | None = None
) -> tuple[int, tuple[int, ...]]:
    found = answer(holding, incoming or Incoming(), request, fds, True, 100.0, 10**18)  # type: ignore[arg-type]
    return (found.messages[0].body[0] if found.messages else -1), found.close


def test_a_descriptor_that_is_refused_is_closed_and_one_that_is_deleted_too() -> None:
    # LOC-161 (partly)
    holding = Holding(2)
    assert ask(holding, Store(Entry(b"a")), (7,)) == (0, ())
    assert ask(holding, Store(Entry(b"a")), (8,)) == (16, (8,))
    assert ask(holding, Store(Entry(b"b", 10**18 + 5 * 10**9)), (9,)) == (0, ())
    assert ask(holding, Store(Entry(b"c")), (10,)) == (23, (10,))
    assert ask(holding, Delete(b"zzz")) == (2, ())
    assert ask(holding, Retrieve(b"b")) == (0, ())
    assert holding.next_expiry() == 105.0
    assert holding.expire(104.9) == []
    assert holding.expire(105.0) == [(b"b", Held(9, 105.0))]
    assert ask(holding, Retrieve(b"a", True)) == (0, (7,))
    assert holding.next_expiry() == NEVER
    assert len(holding) == 0
    denied = answer(holding, Incoming(), Store(Entry(b"a")), (5,), False, 0.0, 0)
    assert (denied.messages[0].body, denied.close) == (b"\x01", (5,))


def test_a_dump_is_taken_as_a_whole_or_not_at_all() -> None:
    # LOC-162 (partly)
    holding, incoming = Holding(2), Incoming()
    ask(holding, Store(Entry(b"a")), (7,))
    assert ask(holding, SetDump(3), (), incoming)[0] == 23
    assert ask(holding, SetDump(2), (), incoming)[0] == 0
    with pytest.raises(Malformed):
        ask(holding, List(), (), incoming)
    with pytest.raises(Malformed):
        ask(holding, Part((Entry(b"x"),)), (8,), incoming)
    assert ask(holding, Part((Entry(b"x"), Entry(b"y"))), (8, 9), incoming) == (
        23,
        (8, 9),
    )  # a, x and y are three
    assert ask(holding, SetDump(2), (), incoming)[0] == 0
    assert ask(holding, Part((Entry(b"a"), Entry(b"x"))), (8, 9), incoming) == (0, (7,))
    assert holding.names() == [b"a", b"x"]
    assert ask(holding, GetDump())[0] == 0
