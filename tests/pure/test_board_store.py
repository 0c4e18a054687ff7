from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING

import pytest

from board import apt, host, store
from board.apt import File, Root
from board.host import Failure
from board.report import Report, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GOOD = b"what the archive has"
ROOT = Root("trixie", "arm64")
FILE = File(
    package="thing",
    version="1",
    architecture="arm64",
    name="thing_1_arm64.deb",
    sha256=hashlib.sha256(GOOD).hexdigest(),
    size=len(GOOD),
)


class Mirror:
    """Stands for apt: hands out what it is told to, and counts."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    def fetch(self, _: Root, files: Sequence[File], folder: Path) -> None:
        (folder / files[0].name).write_bytes(self.answers.pop(0))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INITFS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_damaged_download_is_fetched_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = Mirror(b"cut sh", GOOD)
    monkeypatch.setattr(apt, "fetch", mirror.fetch)

    store.fetch(ROOT, [FILE])

    assert store.place(FILE).read_bytes() == GOOD
    assert mirror.answers == []


def test_a_download_damaged_twice_is_an_error_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "fetch", Mirror(b"bad", b"worse").fetch)

    with pytest.raises(Failure, match="unable to download thing 1: the checksum"):
        store.fetch(ROOT, [FILE])

    assert not store.place(FILE).exists()
    assert not list(cache.glob(".download*"))


def test_a_file_damaged_in_the_cache_is_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    place = store.place(FILE)
    place.parent.mkdir(parents=True)
    place.write_bytes(GOOD[:-1] + b"X")
    monkeypatch.setattr(apt, "fetch", Mirror(GOOD).fetch)

    store.fetch(ROOT, [FILE])

    assert place.read_bytes() == GOOD


def test_a_sound_file_needs_no_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    store.place(FILE).parent.mkdir(parents=True)
    store.place(FILE).write_bytes(GOOD)
    monkeypatch.setattr(apt, "fetch", Mirror().fetch)

    store.fetch(ROOT, [FILE])


def test_a_recorded_resolution_needs_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Root] = []
    monkeypatch.setattr(apt, "update", asked.append)
    monkeypatch.setattr(apt, "lookup", lambda _, __: [FILE])

    first = store.resolve(ROOT, ["thing"])
    second = store.resolve(ROOT, ["thing"])

    assert first == second == [FILE]
    assert asked == [ROOT]
    store.resolve(ROOT, ["thing"], refresh=True)
    assert asked == [ROOT, ROOT]


@pytest.mark.parametrize("damage", [b"", b"[{", b"[{}]", b"5", b"[5]", b"\xff"])
def test_a_damaged_record_is_made_anew(damage: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "update", lambda _: None)
    monkeypatch.setattr(apt, "lookup", lambda _, __: [FILE])
    store.resolve(ROOT, ["thing"])
    (record,) = (cache / "resolved").iterdir()
    record.write_bytes(damage)

    assert store.resolve(ROOT, ["thing"]) == [FILE]
    assert store.resolve(ROOT, ["thing"]) == [FILE]


def test_a_package_that_is_not_an_archive_leaves_no_tree(cache: Path) -> None:
    store.place(FILE).parent.mkdir(parents=True)
    store.place(FILE).write_bytes(GOOD)

    with pytest.raises(Failure, match="unable to unpack thing: dpkg-deb says"):
        store.unpack(ROOT, FILE)

    assert list((cache / "unpacked").iterdir()) == []


def test_a_full_disk_is_said_in_one_line_with_where_the_cache_is() -> None:
    with pytest.raises(Failure) as caught, host.failing("unpack thing"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x")

    assert str(caught.value).startswith("inv: fatal: unable to unpack thing: No space left on device: /x\n")
    assert "INITFS_CACHE" in caught.value.hint


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    with suppress(KeyError), host.folder(tmp_path / "f") as temporary:
        (temporary / "half").write_text("")
        raise KeyError
    assert list(tmp_path.iterdir()) == []

    with host.folder(tmp_path / "f") as temporary:
        (temporary / "whole").write_text("")
    assert (tmp_path / "f" / "whole").exists()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    with pytest.raises(TypeError):
        host.replace(path, "text")  # type: ignore[arg-type]

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_program_that_is_not_there_or_fails_says_so() -> None:
    with pytest.raises(Failure, match="unable to x: there is no program nosuch-program"):
        host.run(["nosuch-program"], what="x")
    with pytest.raises(Failure, match="unable to x: sh says: E: the reason"):
        host.run(["sh", "-c", "echo noise >&2; echo E: the reason >&2; echo W: more >&2; exit 3"], what="x")
    with pytest.raises(Failure, match="sh ended with status 3"):
        host.run(["sh", "-c", "exit 3"], what="x")


@pytest.mark.parametrize(
    ("depends", "wanted"),
    [
        ("linux-image-6.12.1-arm64 (= 6.12.1-1)", "linux-image-6.12.1-arm64"),
        ("kmod, linux-base", ""),
        ("", ""),
    ],
)
def test_a_kernels_meta_package_stands_for_the_kernel(depends: str, wanted: str) -> None:
    assert apt.kernel({"package": "linux-image-arm64", "depends": depends}) == wanted


def test_steps_are_lines_of_json_for_machines() -> None:
    out = io.StringIO()
    with redirect_stdout(out), suppress(KeyError), Report("json") as report:
        with report.step("one"):
            pass
        with report.step("two"):
            raise KeyError

    events = [(line["event"], line["step"]) for line in map(json.loads, out.getvalue().splitlines())]
    assert events == [("begin", "one"), ("done", "one"), ("begin", "two"), ("failed", "two")]


def test_steps_are_plain_lines_with_a_table_at_the_end_elsewhere() -> None:
    out = io.StringIO()
    with redirect_stderr(out), Report("plain") as report, report.step("one"), report.bar(2) as advance:
        advance(1)

    assert out.getvalue().splitlines() == ["one ...", "one: 0.0 s, done", "one      0.0 s"]
    assert table([("a", 1.0), ("long", 100.25)]) == "a         1.0 s\nlong    100.2 s"
