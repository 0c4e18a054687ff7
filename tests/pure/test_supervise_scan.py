"""What a scan changes, for every set of known services and found directories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from initfs.supervise.control import LETTERS, letters
from initfs.supervise.scan import Add, Drop, Found, Known, Refuse, Rename, Restore, accept, plan, shared
from initfs.value import replace

identities = some.tuples(some.integers(0, 2), some.integers(0, 9))
names = some.text("abc", min_size=1, max_size=3)
knowns = some.dictionaries(
    identities, some.builds(Known, names, some.booleans(), some.booleans()), max_size=8
)
logs = some.none() | identities
founds = some.dictionaries(identities, some.builds(Found, names, logs), max_size=8)


def apply(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], Found], most: int
) -> dict[tuple[int, int], Known]:
    """The services after a scan."""
    after = dict(known)
    for operation in plan(known, found, most):
        match operation:
            case Add(identity, name):
                after[identity] = Known(name, logged=found[identity].log is not None)
            case Rename(identity, name):
                after[identity] = replace(after[identity], name=name)
            case Restore(identity):
                after[identity] = replace(after[identity], present=True)
            case Drop(identity):
                after[identity] = replace(after[identity], present=False)
            case Refuse():
                pass
    return after


unique = founds.filter(lambda found: len({seen.name for seen in found.values()}) == len(found))


@given(knowns, unique)
def test_after_a_scan_what_is_present_is_what_was_found_and_nothing_is_forgotten(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], Found]
) -> None:
    # SUP-007 (partly) SUP-009 (partly)
    after = apply(known, found, 1000)
    assert {identity: service.name for identity, service in after.items() if service.present} == {
        identity: seen.name for identity, seen in found.items()
    }
    assert set(known) <= set(after)
    assert all(after[identity].name == known[identity].name for identity in set(known) - set(found))


@given(knowns, unique)
def test_a_second_scan_changes_nothing(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], Found]
) -> None:
    assert plan(apply(known, found, 1000), found, 1000) == []


@given(knowns, unique, some.integers(0, 12))
def test_what_there_is_no_room_for_is_refused_and_nothing_else(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], Found], most: int
) -> None:
    # SUP-004 (partly)
    operations = plan(known, found, most)
    added = sum(isinstance(operation, Add) for operation in operations)
    refused = sum(isinstance(operation, Refuse) for operation in operations)
    new = set(found) - set(known)
    assert added + refused == len(new)
    used = sum(1 + service.logged for service in known.values())
    cost = sum(
        1 + (found[operation.identity].log is not None)
        for operation in operations
        if isinstance(operation, Add)
    )
    assert not added or used + cost <= most
    assert not refused or used + cost + 2 > most, "what is refused would not have fitted"


@given(some.text(), some.integers(11, 1019))
def test_names_are_accepted_by_their_first_character_and_their_bytes(name: str, longest: int) -> None:
    # SUP-008 (partly)
    try:
        size = len(name.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return  # no directory has such a name
    assert accept(name, longest) == (not name.startswith(".") and size <= longest)


@given(some.binary(max_size=300), some.booleans())
def test_of_any_bytes_only_the_letters_that_mean_something_are_left_in_order(
    data: bytes, runit: bool
) -> None:
    # SUP-055 (partly)
    found = letters(data, runit=runit)
    assert set(found) <= set(LETTERS)
    plain = "".join(chr(byte) for byte in data if byte < 128 and chr(byte) in LETTERS)
    assert found == (plain.replace("x", "dx") if runit else plain)


def test_every_letter_of_every_suite_is_known() -> None:
    # SUP-055 (partly)
    s6 = "abqhkti12pcyrlPCKoduDUxOQ"
    runit, daemontools = "duoxtkpcahiq12", "duoxtkpcahi"
    assert set(LETTERS) == set(s6) | set(runit) | set(daemontools)
    assert len(LETTERS) == len(set(LETTERS)) == 25


def test_a_file_log_counts_only_where_a_shared_logger_is() -> None:
    found = {(1, 1): Found("a", None, b"t"), (1, 2): Found("b", (1, 3)), (1, 4): Found("c")}
    assert shared(found, "logger") == {**found, (1, 1): Found("a")}
    with_logger = {**found, (1, 5): Found("logger")}
    assert shared(with_logger, "logger") == with_logger
