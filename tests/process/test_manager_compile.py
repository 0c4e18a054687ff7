from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initfs import say
from initfs.manager import codec, database
from initfs.manager import compile as compiling
from initfs.manager import db as asking
from tests.process.manager_world import ours, warm, write_service

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(base: Path, *sources: Path, code: int = 0) -> tuple[Path, str]:
    """Compile; (the database, what was said)."""
    target = base / "db"
    done = warm("rc-compile", target, *(sources or [base / "src"]))
    assert done.returncode == code, done.stderr
    assert target.exists() == (code == 0)
    assert [path.name for path in base.iterdir() if path.name.startswith("db.")] == [], (
        "nothing half-made is left"
    )
    return target, done.stderr


def ask(db: Path, *words: object, code: int = 0) -> str:
    done = warm("rc-db", "-c", db, *words)
    assert done.returncode == code, done.stderr
    return done.stdout


def overlay(source: Path) -> Path:
    """A tree of the shape that container images have: a bundle of bundles, oneshots that call scripts, logged longruns."""
    script = "/etc/s6-overlay/s6-rc.d/init-adduser/run\n"
    write_service(source, "user", "bundle", {"contents.d/": "user2 svc-web init-config"})
    write_service(source, "user2", "bundle", {"contents.d/": "init-services svc-cron"})
    write_service(source, "init-adduser", "oneshot", {"up": script, "run": "id"})
    write_service(
        source,
        "init-config",
        "oneshot",
        {"up": '#!/bin/sh\necho "config"\n', "dependencies.d/": "init-adduser"},
    )
    write_service(
        source, "init-services", "oneshot", {"up": "# nothing to do\n", "timeout-up": "0\n"}, ["init-config"]
    )
    write_service(
        source,
        "svc-web",
        "longrun",
        {"run": "exec httpd", "producer-for": "web-log\n", "notification-fd": "3", "finish": "exit 125"},
        ["init-services"],
    )
    write_service(
        source,
        "web-log",
        "longrun",
        {
            "run": "exec cat",
            "consumer-for": "svc-web\n",
            "pipeline-name": "web-pipeline\n",
            "data/check": "#!/bin/sh\n",
        },
    )
    write_service(
        source,
        "svc-cron",
        "longrun",
        {"run": "exec crond -f", "down": "", "timeout-kill": "5000", "flag-essential": ""},
        ["user-bundle"],
    )
    write_service(source, "user-bundle", "bundle", {"contents": "init-config\n", "flag-recommended": ""})
    return source


def test_sources_become_a_database_that_answers(tmp_path: Path) -> None:
    # SM-166 SM-167 SM-168 SM-174
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    assert ask(db, "list", "longruns").split() == [
        "s6rc-oneshot-runner",
        "s6rc-fdholder",
        "svc-cron",
        "svc-web",
        "web-log",
    ]
    assert ask(db, "list", "oneshots").split() == ["init-adduser", "init-config", "init-services"]
    assert ask(db, "list", "bundles").split() == ["web-pipeline", "user2", "user-bundle", "user"]
    assert len(ask(db, "list", "all").split()) == 12
    assert ask(db, "-e", "list", "longruns").split() == ["svc-web", "web-log"]
    assert ask(db, "type", "user") == "bundle\n"
    assert ask(db, "type", "svc-web") == "longrun\n"
    assert ask(db, "contents", "user").split() == ["svc-cron", "svc-web", "init-config", "init-services"]
    assert ask(db, "dependencies", "svc-web").split() == ["init-services", "web-log", "s6rc-fdholder"]
    assert ask(db, "-d", "dependencies", "init-config").split() == ["init-services", "svc-cron"]
    assert set(ask(db, "all-dependencies", "svc-cron").split()) == {
        "svc-cron",
        "init-config",
        "init-adduser",
        "s6rc-oneshot-runner",
    }
    assert set(ask(db, "-d", "all-dependencies", "init-services").split()) == {"init-services", "svc-web"}
    assert ask(db, "pipeline", "web-log") == "svc-web/web-log\n"
    assert ask(db, "pipeline", "svc-cron") == "svc-cron\n"
    assert ask(db, "script", "init-adduser") == "/etc/s6-overlay/s6-rc.d/init-adduser/run\0"
    assert ask(db, "-d", "script", "init-adduser") == ""
    assert ask(db, "script", "init-config") == "/bin/sh\0scripts/init-config/up\0"
    assert ask(db, "timeout", "init-services") == "0\n"
    assert ask(db, "flags", "svc-cron") == "00000001\n"
    assert ask(db, "flags", "init-config") == "00000002\n"
    assert ask(db, "atomics", "user-bundle", "svc-web").split() == ["init-config", "svc-web"]
    assert ask(db, "check") == ""
    told = json.loads(ask(db, "dump", "--json"))
    assert {one["name"] for one in told["services"]} == set(ask(db, "list", "services").split())
    assert told["bundles"]["user2"] == ["svc-cron", "init-services"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["type", "nobody"], 3), (["contents", "svc-web"], 5), (["script", "svc-web"], 5), (["timeout", "user"], 5),
        (["pipeline", "init-config"], 5), (["flags", "user"], 5), (["all-dependencies", "svc-web", "nobody"], 3),
        (["type"], 100), (["what"], 100), (["list", "some"], 100), ([], 100), (["-x", "check"], 100),
    ],
)  # fmt: skip
def test_a_question_without_an_answer_has_its_own_code(tmp_path: Path, words: list[str], code: int) -> None:
    # SM-174 (partly)
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    assert ask(db, *words, code=code) == ""


def test_a_service_directory_is_what_the_supervisor_expects(tmp_path: Path) -> None:
    # SM-171 (partly)
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    cron, web = db / "servicedirs/svc-cron", db / "servicedirs/svc-web"
    assert sorted(path.name for path in cron.iterdir()) == ["run", "timeout-kill"]
    assert (cron / "timeout-kill").read_text() == "5000\n"
    assert sorted(path.name for path in web.iterdir()) == [
        "finish",
        "finish.user",
        "notification-fd",
        "run",
        "run.user",
    ]
    assert (web / "run.user").read_text() == "#!/bin/sh\nexec httpd\n"
    assert "'pipe:s6rc-w-web-log'" in (web / "run").read_text()
    assert "'pipe:s6rc-r-web-log'" in (db / "servicedirs/web-log/run").read_text()
    assert (db / "servicedirs/web-log/data/check").exists()
    assert all(os.access(path, os.X_OK) for path in db.glob("servicedirs/*/run*"))
    assert (db / "servicedirs/s6rc-fdholder/data/autofilled").read_text() == "web-log\n"


def test_the_same_sources_are_the_same_bytes_and_a_database_may_be_moved(tmp_path: Path) -> None:
    # SM-198 (partly)
    first, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    before = summed(first)
    moved = first.rename(tmp_path / "elsewhere")
    second, _ = compiled(tmp_path)
    assert summed(second) == before
    assert ask(moved, "list", "all") == ask(second, "list", "all")
    assert summed(moved) == before, "questions change nothing"


def summed(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        + oct(path.stat().st_mode)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_an_existing_target_and_missing_sources_are_refused(tmp_path: Path) -> None:
    # SM-166 (partly)
    overlay(tmp_path / "src")
    (tmp_path / "there").mkdir()
    assert warm("rc-compile", tmp_path / "there", tmp_path / "src").returncode == 111
    assert list((tmp_path / "there").iterdir()) == []
    assert warm("rc-compile", tmp_path / "db", tmp_path / "none").returncode == 111
    assert warm("rc-compile", tmp_path / "db").returncode == 100
    assert warm("rc-compile", tmp_path / "none/db", tmp_path / "src").returncode == 111
    assert not (tmp_path / "db").exists()


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


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "version", "other"])
def test_a_damaged_database_is_refused_with_4(tmp_path: Path, damage: str) -> None:
    # SM-174 (partly)
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    file = db / "db"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 16
    changed = {
        "cut": data[:-1],
        "empty": b"",
        "version": data.replace(b"initfs-rc 1", b"initfs-rc 7", 1),
        "other": b"x" * 300,
    }
    file.write_bytes(bytes(changed.get(damage, data)))
    assert ask(db, "list", "all", code=4) == ""


def test_a_database_is_read_in_the_memory_of_a_small_board(tmp_path: Path) -> None:
    # SM-174 (partly)
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    kilobytes = 96 << 10  # of address space; the interpreter takes a third of it
    words = ["sh", "-c", f'ulimit -v {kilobytes}; exec "$@"', "-", *ours("rc-db", "-c", db, "list", "all")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "svc-web" in done.stdout.split()


def test_a_database_with_a_right_sum_and_wrong_tables_fails_the_check(tmp_path: Path) -> None:
    # SM-174 (partly)
    db, _ = compiled(tmp_path, overlay(tmp_path / "src"))
    shutil.rmtree(db / "servicedirs/svc-cron")
    done = warm("rc-db", "-c", db, "check")
    assert done.returncode == 4
    assert "svc-cron" in done.stderr
    assert codec.problems(database.load(str(db))) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_compiling_and_asking_need_neither_root_nor_a_live_system() -> None:
    # SM-199
    with tempfile.TemporaryDirectory() as base:  # pytest's own are not for others
        place = Path(base)
        place.chmod(0o755)
        overlay(place / "src")
        (place / "nobodys").mkdir()
        os.chown(place / "nobodys", 65534, 65534)
        db = f"{place}/nobodys/db"
        assert as_nobody(lambda: compiling.main(["rc-compile", db, f"{place}/src"])) == 0
        assert os.stat(f"{db}/db").st_uid == 65534
        assert as_nobody(lambda: asking.main(["rc-db", "-c", db, "list", "all"])) == 0
        assert as_nobody(lambda: compiling.main(["rc-compile", f"{place}/db", f"{place}/src"])) == 111


def as_nobody(call: Callable[[], int]) -> int:
    """The exit code of CALL in a copy of this process that is an ordinary user: a new interpreter may not be readable by that."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 99
    try:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        code = call()
    except say.Fatal as fatal:
        code = fatal.code
    finally:
        os._exit(code)
