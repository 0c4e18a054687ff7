"""What a scan changes, for every set of known services and found directories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from initfs.supervise.control import LETTERS, letters
from initfs.supervise.scan import Add, Drop, Known, Refuse, Rename, Restore, accept, plan

identities = some.tuples(some.integers(0, 2), some.integers(0, 9))
names = some.text("abc", min_size=1, max_size=3)
knowns = some.dictionaries(identities, some.builds(Known, names, some.booleans()), max_size=8)
founds = some.dictionaries(identities, names, max_size=8)


def apply(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], str], most: int
) -> dict[tuple[int, int], Known]:
    """The services after a scan."""
    after = dict(known)
    by_name = {name: identity for identity, name in found.items()}
    for operation in plan(known, found, most):
        match operation:
            case Add(name):
                after[by_name[name]] = Known(name, present=True)
            case Rename(identity, name):
                after[identity] = Known(name, after[identity].present)
            case Restore(identity):
                after[identity] = Known(after[identity].name, present=True)
            case Drop(identity):
                after[identity] = Known(after[identity].name, present=False)
            case Refuse():
                pass
    return after


unique = founds.filter(lambda found: len(set(found.values())) == len(found))


@given(knowns, unique)
def test_after_a_scan_what_is_present_is_what_was_found_and_nothing_is_forgotten(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], str]
) -> None:
    # SUP-007 (partly) SUP-009 (partly)
    after = apply(known, found, 1000)
    assert {identity: service.name for identity, service in after.items() if service.present} == found
    assert set(known) <= set(after)
    assert all(after[identity].name == known[identity].name for identity in set(known) - set(found))


@given(knowns, unique)
def test_a_second_scan_changes_nothing(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], str]
) -> None:
    assert plan(apply(known, found, 1000), found, 1000) == []


@given(knowns, unique, some.integers(0, 12))
def test_what_there_is_no_room_for_is_refused_and_nothing_else(
    known: dict[tuple[int, int], Known], found: dict[tuple[int, int], str], most: int
) -> None:
    # SUP-004 (partly)
    operations = plan(known, found, most)
    added = sum(isinstance(operation, Add) for operation in operations)
    refused = sum(isinstance(operation, Refuse) for operation in operations)
    new = len(set(found) - set(known))
    assert added == min(new, max(0, most - len(known)))
    assert added + refused == new


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
