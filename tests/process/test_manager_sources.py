"""Source directories as they come: several, broken, with links and with what is no file."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

from tests.process.manager_world import ask, compiled, write_service

if TYPE_CHECKING:
    from pathlib import Path


def test_several_sources_are_one_and_a_name_is_defined_once(tmp_path: Path) -> None:
    # SM-169 (partly)
    write_service(tmp_path / "one", "a", "oneshot", {"up": ""}, ["b"])
    write_service(tmp_path / "two", "b", "oneshot", {"up": ""})
    db, _ = compiled(tmp_path, tmp_path / "one", tmp_path / "two")
    assert ask(db, "list", "oneshots").split() == ["a", "b"]
    shutil.rmtree(db)
    write_service(tmp_path / "two", "a", "bundle", {"contents": ""})
    _, said = compiled(tmp_path, tmp_path / "one", tmp_path / "two", code=1)
    assert f"{tmp_path}/two/a: the name is taken" in said


def test_every_error_is_told_in_one_run_with_its_place(tmp_path: Path) -> None:
    # SM-169 SM-173
    source = tmp_path / "src"
    write_service(source, "good", "oneshot", {"up": ""})
    write_service(source, "strange", "daemon")
    (source / "untyped").mkdir()
    (source / "dangling").mkdir()
    (source / "dangling/type").symlink_to("nowhere")
    write_service(source, "lexed", "oneshot", {"up": "{ true", "timeout-up": "soon\n"})
    write_service(source, "upless", "oneshot")
    write_service(source, "runless", "longrun")
    write_service(source, "lost", "oneshot", {"up": ""}, ["nobody", "strange"])
    write_service(source, "s6rc-mine", "bundle", {"contents": ""})
    write_service(source, "signalled", "longrun", {"run": "", "down-signal": "SIGNONE\n"})
    write_service(source, "one", "oneshot", {"up": ""}, ["two"])
    write_service(source, "two", "oneshot", {"up": ""}, ["three"])
    write_service(source, "three", "oneshot", {"up": ""}, ["one"])
    write_service(source, "producer", "longrun", {"run": "", "producer-for": "good\n"})
    _, said = compiled(tmp_path, code=1)
    places = ["strange/type", "untyped/type", "dangling/type", "lexed/up", "lexed/timeout-up", "upless/up", "runless/run", "s6rc-mine",
              "lost/dependencies", "signalled/down-signal", "producer/producer-for", "one"]  # fmt: skip
    for place in places:
        assert f"rc-compile: error: {source}/{place}: " in said, place
    assert "one -> two -> three -> one" in said
    assert "undefined: strange" not in said, "that is told already"
    assert f"{len(places)} errors" in said


def test_what_is_no_file_is_told_and_nothing_hangs(tmp_path: Path) -> None:
    # SM-169 (partly)
    source = tmp_path / "src"
    write_service(source, "fifo", "oneshot")
    os.mkfifo(source / "fifo/up")
    write_service(source, "socket", "oneshot")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.open(source / "socket", os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/up")
        os.close(here)
    write_service(source, "directory", "longrun")
    (source / "directory/run").mkdir()
    write_service(source, "file", "longrun", {"run": "", "dependencies.d": "", "data": ""})
    write_service(source, "newline\nname", "oneshot", {"up": ""})
    (source / "loop").symlink_to("loop")
    (source / "pipe-type").mkdir()
    os.mkfifo(source / "pipe-type/type")
    write_service(source, "huge", "oneshot", {"up": "x" * (1 << 20)})
    _, said = compiled(tmp_path, code=1)
    for place in (
        "fifo/up",
        "socket/up",
        "directory/run",
        "file/dependencies.d",
        "file/data",
        "loop",
        "pipe-type/type",
        "huge/up",
    ):
        assert f"{source}/{place}: " in said, place
    assert "a newline in a name" in said


def test_loops_of_links_sockets_in_trees_and_odd_names_are_errors_of_the_source(tmp_path: Path) -> None:
    # SM-169 (partly)
    source = tmp_path / "src"
    source.mkdir()
    loops = [source / "service"]
    loops[0].symlink_to("service")
    for name, file in (("a", "type"), ("b", "run"), ("c", "dependencies.d"), ("d", "timeout-kill")):
        loops.append(write_service(source, name, "longrun", {"run": ""}) / file)
        loops[-1].unlink(missing_ok=True)
        loops[-1].symlink_to(file)
    tree = write_service(source, "tree", "longrun", {"run": "", "data/below/file": ""})
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.open(tree / "data/below", os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    write_service(source, "needy", "oneshot", {"up": ""}, ["new\nline", "\x1b[2J"])
    _, said = compiled(tmp_path, code=1)
    lines = said.splitlines()
    for place in loops:
        assert any(line.startswith(f"rc-compile: error: {place}: ") for line in lines), place
    assert f"rc-compile: error: {source}/tree/data/below/socket: a socket; a file, a FIFO or a link" in lines
    assert any(r"undefined: new\nline" in line for line in lines), said
    assert r"\x1b[2J" in said
    assert "\x1b" not in said
    assert all(line.startswith("rc-compile: ") for line in lines), "each error is one line"


def test_what_is_in_a_tree_of_data_is_copied_as_it_is(tmp_path: Path) -> None:
    # SM-171 (partly)
    web = write_service(tmp_path / "src", "web", "longrun", {"run": "", "data/file": "x", "data/empty/": ""})
    (web / "data/loop").symlink_to("loop")
    (web / "data/upwards").symlink_to("../..")
    (web / "data/new\nline").touch()
    os.mkfifo(web / "data/fifo")
    db, _ = compiled(tmp_path)
    copied = db / "servicedirs/web/data"
    assert {path.name for path in copied.iterdir()} == {path.name for path in (web / "data").iterdir()}
    assert os.readlink(copied / "loop") == "loop"
    assert os.readlink(copied / "upwards") == "../.."
    assert (copied / "fifo").is_fifo()


def test_links_are_followed_and_what_is_hidden_or_a_file_is_ignored(tmp_path: Path) -> None:
    # SM-167 (partly)
    source = tmp_path / "src"
    write_service(tmp_path / "store", "real", "oneshot", {"up": ""})
    source.mkdir()
    (source / "linked").symlink_to("../store/real")
    (source / ".hidden").mkdir()
    (source / "README").write_text("not a service")
    (tmp_path / "store/real/down").symlink_to("/dev/null")
    (tmp_path / "store/real/dependencies.d").mkdir()
    (tmp_path / "store/real/dependencies").mkdir()  # the old form counts only without the new one
    db, _ = compiled(tmp_path)
    assert ask(db, "list", "oneshots") == "linked\n"
