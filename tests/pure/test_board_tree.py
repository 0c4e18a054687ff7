from __future__ import annotations

import subprocess

import pytest

from board import cpio, pieces
from board.host import Failure
from board.tree import Directory, File, Link, Node, Tree

FILE = File(path="/a/b/c", data=b"hello", package="one")


def test_two_records_for_one_path_are_an_error_that_names_both() -> None:
    tree = Tree([FILE])

    with pytest.raises(Failure) as caught:
        tree.add(Link(path="/a/b/c", target="x", package="two"))

    assert "link /a/b/c (of two)" in str(caught.value)
    assert "file /a/b/c (of one)" in str(caught.value)


def test_missing_parents_are_made_and_come_first() -> None:
    assert [record.path for record in Tree([FILE]).records()] == ["/a", "/a/b", "/a/b/c"]


def test_a_parent_that_is_given_keeps_its_mode() -> None:
    records = Tree([FILE, Directory(path="/a", mode=0o700)]).records()

    assert [record.mode for record in records] == [0o700, 0o755, 0o644]


def test_nothing_can_lie_below_a_link() -> None:
    with pytest.raises(Failure, match="link /a"):
        Tree([FILE, Link(path="/a", target="b")]).records()


@pytest.mark.parametrize("path", ["a", "/", "/a/", "/a/../b", "//a", "/./a"])
def test_only_absolute_normal_paths_are_taken(path: str) -> None:
    with pytest.raises(Failure):
        Tree([Directory(path=path)])


def test_a_directory_comes_before_its_content_whatever_the_names_are() -> None:
    paths = [
        record.path
        for record in Tree(
            [File(path="/a/x", data=b""), File(path="/a-b", data=b""), File(path="/a.c", data=b"")]
        ).records()
    ]

    assert paths.index("/a") < paths.index("/a/x")


def test_a_file_is_read_back_from_the_archive() -> None:
    data = cpio.archive(Tree([FILE, File(path="/empty", data=b"")]).records(), mtime=7)

    assert cpio.read(data) == {"/a/b/c": b"hello", "/empty": b""}
    assert cpio.read(data + data) == {"/a/b/c": b"hello", "/empty": b""}


def test_the_header_is_that_of_the_kernels_documentation() -> None:
    data = cpio.archive([Node(path="/dev/null", mode=0o666, kind="c", major=1, minor=3)], mtime=255)

    numbers = [data[6 + 8 * i : 14 + 8 * i].decode() for i in range(13)]
    assert data[:6] == b"070701"
    assert numbers == ["00000001", "000021B6", "00000000", "00000000", "00000001", "000000FF", "00000000",
                       "00000000", "00000000", "00000001", "00000003", "00000009", "00000000"]  # fmt: skip
    assert data[110:120] == b"dev/null\0\0"


def test_members_begin_at_multiples_of_four() -> None:
    for length in range(9):
        data = cpio.archive([File(path="/f" * 1, data=b"x" * length), File(path="/gg", data=b"y")], mtime=0)
        assert len(data) % 4 == 0
        assert cpio.read(data)["/f"] == b"x" * length


def test_all_directories_are_in_the_first_piece() -> None:
    records = Tree(
        [
            FILE,
            File(path="/usr/lib/modules/x.ko", data=b"", group="modules"),
            File(path="/usr/bin/p", data=b"", group="interpreter"),
        ]
    ).records()

    parts = pieces.split(records)

    assert list(parts) == ["ours", "base", "modules"]
    assert not any(isinstance(record, Directory) for part in ("base", "modules") for record in parts[part])
    assert sorted(record.path for part in parts.values() for record in part) == sorted(
        record.path for record in records
    )


def test_another_programs_reading_agrees() -> None:
    data = cpio.archive(Tree([FILE, Link(path="/l", target="a/b/c")]).records(), mtime=0)
    try:
        done = subprocess.run(["cpio", "-itv", "--quiet"], input=data, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no cpio on this machine")

    assert b"l -> a/b/c" in done.stdout
