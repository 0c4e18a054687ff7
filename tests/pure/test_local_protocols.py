"""The protocols of local services, without a socket: what goes in comes out, and whatever else comes in is refused and loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initfs import tai
from initfs.local import wire
from initfs.local.fdholder import protocol, records
from initfs.local.fdholder.holding import NEVER, Held
from initfs.local.fdholder.protocol import (
    Delete,
    Entry,
    GetDump,
    List,
    Part,
    Retrieve,
    SetDump,
    Store,
)
from initfs.local.sudo import protocol as sudo
from initfs.local.wire import Malformed, Message, Reassembly, frame

quick = settings(max_examples=60, deadline=None)
names = st.binary(min_size=1, max_size=255).filter(lambda name: b"\0" not in name)
limits = st.none() | st.integers(0, 2**61)
entries = st.builds(Entry, names, limits)
requests = st.one_of(
    st.builds(Store, entries),
    st.builds(Delete, names),
    st.builds(Retrieve, names, st.booleans()),
    st.just(List()),
    st.just(GetDump()),
    st.builds(SetDump, st.integers(0, 2**32 - 1)),
    st.builds(Part, st.lists(entries, max_size=5).map(tuple)),
)
words = st.binary(max_size=40).filter(lambda word: b"\0" not in word)


def claims(request: object) -> int:
    return 1 if isinstance(request, Store) else len(request.entries) if isinstance(request, Part) else 0


@quick
@given(st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 3)), max_size=6), st.data())
def test_messages_come_out_as_they_went_in_however_the_bytes_arrive(
    sent: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    stream, messages, number = b"", [], 100
    pieces: list[tuple[int, list[int]]] = []  # where descriptors travel
    for body, count in sent:
        mine = list(range(number, number + count))
        number += count
        pieces.append((len(stream), mine))
        stream += frame(body, count)
        messages.append(Message(body, tuple(mine)))
    reassembly, found, at = Reassembly(50, 3), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        came = [fd for place, mine in pieces if at <= place < at + size for fd in mine]
        try:
            found += reassembly.feed(stream[at : at + size], came)
        except Malformed:
            assert len(came) > 6  # more than the kernel hands over at once for such messages
            return
        at += size
    assert found == messages
    assert reassembly.idle()
    assert reassembly.abandon() == []


@quick
@given(st.lists(st.tuples(st.binary(max_size=300), st.lists(st.integers(3, 99), max_size=9)), max_size=8))
def test_no_descriptor_is_lost_whatever_bytes_arrive(pieces: list[tuple[bytes, list[int]]]) -> None:
    """Each that came is in a message, or is handed out to be closed: exactly once."""
    reassembly, came, known = Reassembly(100, 4), [], []
    for data, descriptors in pieces:
        came += descriptors
        try:
            found = reassembly.feed(data, descriptors)
        except Malformed:
            break
        known += [fd for message in found for fd in message.descriptors]
    assert sorted(known + reassembly.abandon()) == sorted(came)


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff\0\0", b"\0\0\0\1\xff\xff", b"\0\0\0\0\0\1", b"\0\0\0\x65\0\0"]
)
def test_a_header_that_claims_too_much_is_refused_before_its_body_comes(data: bytes) -> None:
    with pytest.raises(Malformed):
        Reassembly(100, 4).feed(data)


def test_what_is_missing_is_known_as_soon_as_the_header_is_there() -> None:
    reassembly = Reassembly(5000)
    assert reassembly.missing() == wire.HEADER
    reassembly.feed(frame(bytes(4000))[:7])
    assert reassembly.missing() == 3999


@quick
@given(requests)
def test_requests_are_decoded_as_they_were_encoded(request: protocol.Request) -> None:
    assert protocol.decode(protocol.encode(request), claims(request)) == request
    with pytest.raises(Malformed):
        protocol.decode(protocol.encode(request), claims(request) + 1)


@quick
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda head, rest: head + rest, st.sampled_from([b"S", b"D", b"R", b"."]), st.binary(max_size=300)
    ),
    st.integers(0, 3),
)
def test_a_request_is_understood_wholly_or_refused(body: bytes, count: int) -> None:
    try:
        request = protocol.decode(body, count)
    except Malformed:
        return
    again = protocol.encode(request)
    assert protocol.decode(again, count) == request


@pytest.mark.parametrize("name", [b"", b"a\0b", b"x" * 256])
def test_what_is_no_identifier_is_never_sent(name: bytes) -> None:
    for request in (Delete(name), Retrieve(name), Store(Entry(name))):
        with pytest.raises(ValueError, match="identifier"):
            protocol.encode(request)


def test_the_bytes_are_those_of_s6() -> None:
    """As strace(1) showed them between s6 2.11's programs."""
    assert protocol.encode(Delete(b"second")) == b"D\x06second\0"
    assert protocol.encode(Retrieve(b"second")) == b"R\0\x06second\0"
    stamp = bytes.fromhex("400000006b00404e368e0747")
    store = protocol.decode(b"S" + stamp + b"\x09unix:/a/b\0", 1)
    assert store == Store(Entry(b"unix:/a/b", tai.unpack(stamp, tai.LEAP)))
    assert protocol.encode(store) == b"S" + stamp + b"\x09unix:/a/b\0"
    far = bytes.fromhex("600000006b00404949376d2d")
    assert protocol.decode(b"S" + far + b"\x01x\0", 1) == Store(Entry(b"x", None))
    assert protocol.names_of(b"\0\0\0\0\x02unix:/a/b\0second\0") == [b"unix:/a/b", b"second"]
    assert protocol.dump_head(300) == b"\0\0\0\0\x02\0\0\x01\x2c"


@quick
@given(st.binary(max_size=60))
def test_answers_are_understood_or_refused(answer: bytes) -> None:
    for parse in (protocol.names_of, lambda body: protocol.numbers_of(body, 2), protocol.entries_of):
        try:
            parse(answer)
        except Malformed:
            continue


@quick
@given(st.lists(words, max_size=8), st.lists(words, max_size=8))
def test_an_order_is_decoded_as_it_was_encoded(arguments: list[bytes], variables: list[bytes]) -> None:
    order = sudo.decode(sudo.encode(arguments, variables), (5, 6, 7))
    assert (list(order.arguments), list(order.variables)) == (arguments, variables)


@quick
@given(st.binary(max_size=80), st.integers(0, 80))
def test_an_order_is_understood_wholly_or_refused(noise: bytes, at: int) -> None:
    whole = sudo.encode([b"a", b"bc"], [b"X=y"])
    broken = whole[:at] + noise + whole[at + len(noise) :]
    try:
        order = sudo.decode(broken, (0, 1, 2))
    except Malformed:
        return
    assert sudo.encode(order.arguments, order.variables) == broken
    with pytest.raises(Malformed):
        sudo.decode(broken, (0, 1))


def test_the_client_s_order_has_the_bytes_of_s6() -> None:
    assert sudo.encode([b"a"], [b"A=1"]) == (
        b"s6-sudo a v1.0\n" + b"\0\0\0\1" + b"\0\0\0\1" + b"\0\0\0\2" + b"\0\0\0\4" + b"a\0A=1\0"
    )
    assert sudo.ended(7 << 8) == b"\0\0\x07\0"


@quick
@given(st.dictionaries(words, words, max_size=5), st.lists(words, max_size=8))
def test_a_client_fills_only_variables_that_are_there_and_empty(
    own: dict[bytes, bytes], variables: list[bytes]
) -> None:
    result = sudo.filtered(own, variables)
    assert result.keys() == own.keys()
    for name, content in own.items():
        if content:
            assert result[name] == content


def test_the_filter_by_example() -> None:
    own = {b"PATH": b"/bin", b"TERM": b"", b"LANG": b""}
    asked = [b"PATH=/evil", b"TERM=vt100", b"LD_PRELOAD=x", b"=", b"LANG"]
    assert sudo.filtered(own, asked) == {b"PATH": b"/bin", b"TERM": b"vt100", b"LANG": b""}


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7 << 8, 7), (255 << 8, 255), (9, 137), (139, 139)])
def test_a_wait_status_becomes_an_exit_code(status: int, code: int) -> None:
    assert sudo.exit_code(status) == code


changes = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c" * 255]), st.booleans()), max_size=20)


@quick
@given(changes, st.integers(0, 3))
def test_a_journal_tells_what_is_held_and_gives_back_all_else(
    history: list[tuple[bytes, bool]], snapshots: int
) -> None:
    replay, held, given_out, closed, number = records.Replay(), {}, [], [], 10

    def read(record: records.Record) -> None:
        nonlocal number
        fresh = list(range(number, number + len(record.descriptors)))
        number += len(fresh)
        given_out.extend(fresh)
        closed.extend(replay.read(record.body, fresh))

    for index, (name, stored) in enumerate(history):
        if stored and name not in held:
            held[name] = Held(3, float(index))
            read(records.stored([(name, held[name])]))
        elif not stored and name in held:
            del held[name]
            read(records.deleted([name]))
        if snapshots and index % snapshots == 0:
            for record in records.snapshot(list(held.items())):
                read(record)
    closed += replay.unfinished()
    assert {name: one.expiry for name, one in replay.held.items()} == {
        name: one.expiry for name, one in held.items()
    }
    assert sorted(closed + [one.descriptor for one in replay.held.values()]) == given_out


def test_a_snapshot_counts_only_when_it_is_whole() -> None:
    many = [(b"%d" % number, Held(number)) for number in range(300)]
    first, second = records.snapshot(many)
    replay = records.Replay()
    assert replay.read(records.stored([(b"x", Held(1, NEVER))]).body, [1]) == []
    assert replay.read(first.body, list(first.descriptors)) == []
    assert set(replay.held) == {b"x"}
    assert replay.read(second.body, list(second.descriptors)) == [1]
    assert len(replay.held) == 300
    assert records.Replay().read(second.body, list(second.descriptors)) == list(second.descriptors)


@quick
@given(st.binary(max_size=100), st.lists(st.integers(3, 50), max_size=4))
def test_noise_in_a_journal_changes_nothing(body: bytes, descriptors: list[int]) -> None:
    replay = records.Replay()
    try:
        replay.read(body, descriptors)
    except Malformed:
        assert replay.held == {}
