"""Databases: compiled, asked, damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initfs import say
from initfs.manager import codec, database
from initfs.manager import compile as compiling
from initfs.manager import db as asking
from tests.process.manager_world import ask, compiled, ours, warm, write_service

if TYPE_CHECKING:
    from collections.abc import Callable


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
