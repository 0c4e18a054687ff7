"""instance-maker, usertree-maker and svscanboot: what they write is run."""

from __future__ import annotations

import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from initfs.supervise import scripts
from tests.process.notify_world import ENVIRONMENT, PATIENCE, ROOT, end, ours, real, run, start
from tests.process.small_tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = "-t9000"
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def place() -> Iterator[pathlib.Path]:
    """A directory that every user may look into, which tmp_path is not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="suite"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tree(place: pathlib.Path) -> Iterator[Tree]:
    """A tree whose services find an `initfs` that every user may run."""
    found = Tree(place / "scan")
    (place / "bin").mkdir()
    program = place / "bin/initfs"
    shutil.copytree(ROOT / "initfs", place / "lib/initfs")  # the checkout may lie where others may not look
    program.write_text(f'#!/bin/sh\nPYTHONPATH={place}/lib exec {SYSTEM_PYTHON} -S -m initfs.main "$@"\n')
    program.chmod(0o755)
    found.directory.mkdir()
    yield found
    found.end()


def environment(place: pathlib.Path) -> dict[str, str]:
    return {**ENVIRONMENT, "PATH": f"{place}/bin:{os.environ['PATH']}"}


def until(condition: Callable[[], bool]) -> None:
    """Wait for a logger's file, which nobody announces."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


def template(place: pathlib.Path, *, log: bool = False) -> pathlib.Path:
    """A template whose run says its name and who it is."""
    for path, script in (("run", 'echo "$1" "$(id -un)" >&2; exec sleep 999'), ("log/run", "exec cat")):
        if log or "/" not in path:
            (place / "template" / path).parent.mkdir(parents=True, exist_ok=True)
            (place / "template" / path).write_text(f"#!/bin/sh\n{script}\n")
            (place / "template" / path).chmod(0o755)
    return place / "template"


def log_directory(place: pathlib.Path, user: str) -> pathlib.Path:
    path = place / "it's a log"
    path.mkdir()
    known = pwd.getpwnam(user)
    os.chown(path, known.pw_uid, known.pw_gid)
    return path


def text(path: pathlib.Path) -> str:
    return path.read_text() if path.exists() else ""


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")


@needs_root
def test_an_instanced_service_runs_as_it_was_asked_for(tree: Tree, place: pathlib.Path) -> None:
    # SUP-073 SUP-074 (partly)
    service, logdir = tree.directory / "many", log_directory(place, "nobody")
    options = ["-c5", "-u", "nobody", "-l", "nobody", "-L", logdir, "-n3", "-s4096", "-P", "it's:"]
    assert run(ours("instance-maker", *options, template(place), service)) == (0, "", "")
    (service / "event").mkdir(mode=0o700)
    tree.begin(env=environment(place))
    assert run(ours("svwait", "-U", WAIT, service, service / "log"))[0] == 0
    assert run(ours("instance-create", WAIT, service, "one")) == (0, "", "")
    until(lambda: "it's: one nobody" in text(logdir / "current"))
    assert text(logdir / "current").startswith("@4")
    assert (logdir / "current").owner() == "nobody"
    assert run(ours("instance-delete", WAIT, service, "one")) == (0, "", "")


def test_what_instance_maker_writes_is_complete(place: pathlib.Path) -> None:
    # SUP-073 (partly)
    made = template(place, log=True)
    assert run(ours("instance-maker", "-c5", made, place / "plain")) == (0, "", "")
    found = sorted(str(path.relative_to(place / "plain")) for path in (place / "plain").rglob("*"))
    assert found == ["instance", "instances", "notification-fd", "run", "template", "template/log", "template/log/run", "template/run"]  # fmt: skip
    assert "svscan -d3 -C10 '--' instance\n" in (place / "plain/run").read_text()
    assert os.access(place / "plain/run", os.X_OK)
    assert run(ours("instance-maker", "-r", "s/l/p", "-L", "/log", "-t3", "-S9", made, place / "src"))[0] == 0
    theirs = [real("s6-instance-maker"), "-r", "s/l/p", "-L", "/log", str(made), str(place / "src6")]
    assert run(theirs)[0] == 0
    for name in (
        "s/type",
        "s/producer-for",
        "s/notification-fd",
        "l/type",
        "l/consumer-for",
        "l/pipeline-name",
        "l/notification-fd",
    ):
        assert (place / "src" / name).read_text() == (place / "src6" / name).read_text()
    assert (place / "src/s/template/run").read_text() == (place / "src6/s/template/run").read_text()
    assert run(ours("instance-maker", made, place / "plain"))[0] == 111
    assert run(ours("instance-maker", place / "nosuch", place / "other"))[0] == 111


@pytest.mark.parametrize(
    "arguments",
    ["", "a", "-c1 a b", "-c90001 a b", "-c x a b", "-t4 a b", "-L log a b", "-r s/l a b", "-r s -L /l a b", "-r s//p a b", "-r .s a b", "-u a;b a b", "-z a b"],
)  # fmt: skip
def test_instance_maker_refuses_nonsense(tmp_path: pathlib.Path, arguments: str) -> None:
    # SUP-073 (partly)
    assert run(ours("instance-maker", *arguments.split()), cwd=tmp_path)[0] == 100
    assert os.listdir(tmp_path) == []


@needs_root
def test_a_user_has_a_tree_of_his_own(tree: Tree, place: pathlib.Path) -> None:
    # SUP-075
    (place / "env").mkdir()
    (place / "env/WHERE").write_text("a ${HOME} b '${USER}' $(x) ${NO}")
    (place / "env/PLAIN").write_text("${HOME}")
    (place / "nobody's").mkdir()
    Tree(place / "nobody's").add(
        "s", 'echo "$PATH|$WHERE|$PLAIN|$UID|$GIDLIST|$LEFT|$(id -u)" > said; exec sleep 999'
    )
    known = pwd.getpwnam("nobody")
    for path in [place / "nobody's", *(place / "nobody's").rglob("*")]:
        os.chown(path, known.pw_uid, known.pw_gid)
    logdir, service = log_directory(place, "nobody"), tree.directory / "nobody"
    options = [
        "-E",
        place / "env",
        "-e",
        "WHERE",
        "-e",
        "EMPTY",
        "-p",
        "/usr/bin:${HOME}/b in:/bin",
        "-l",
        "nobody",
    ]
    scandir = f"{place}/${{USER}}'s"
    assert run(ours("usertree-maker", *options, "-d", scandir, "nobody", logdir, service)) == (0, "", "")
    (service / "event").mkdir(mode=0o700)
    tree.begin(env={**environment(place), "LEFT": "over"})
    assert run(ours("svwait", "-U", WAIT, service, service / "log"))[0] == 0
    said = place / "nobody's/s/said"
    until(lambda: text(said).endswith("\n"))
    home, uid = known.pw_dir, known.pw_uid
    groups = text(said).split("|")[4]
    assert (
        text(said)
        == f"/usr/bin:{home}/b in:/bin|a {home} b 'nobody' $(x) ${{NO}}|${{HOME}}|{uid}|{groups}||{uid}\n"
    )


def test_usertree_maker_writes_sources_and_refuses_nonsense(tmp_path: pathlib.Path) -> None:
    # SUP-075 (partly)
    assert run(ours("usertree-maker", "-r", "t/l/p", "nobody", "/log", tmp_path / "src"))[0] == 0
    assert (tmp_path / "src/t/producer-for").read_text() == "l\n"
    assert (tmp_path / "src/l/pipeline-name").read_text() == "p\n"
    assert run(["sh", "-n", str(tmp_path / "src/t/run")])[0] == 0
    for wrong in (
        "",
        "u /l",
        "u l d",
        "-e X u /l d",
        "-E /e -e 1X u /l d",
        "-r t u /l d",
        "a$b /l d",
        "-t9 u /l d",
        "-z u /l d",
    ):
        assert run(ours("usertree-maker", *wrong.split()), cwd=tmp_path)[0] == 100
    assert os.listdir(tmp_path) == ["src"]
    assert run(ours("usertree-maker", "u", "/l", tmp_path / "src"))[0] == 111


@needs_root
def test_a_tree_logs_its_own_errors(tree: Tree, place: pathlib.Path) -> None:
    # SUP-029 LOG-120 LOG-119 (partly)
    tree.add("bad", "echo from bad >&2; exec sleep 999")
    tree.add("worse", "true").joinpath("run").write_text("no program at all")
    logdir, console = place / "uncaught", place / "console"
    console.touch()
    reading, writing = os.pipe()
    options = [
        "-d",
        writing,
        "-D",
        logdir,
        "-l",
        "nobody",
        "-c",
        console,
        "-o",
        "t n5",
        "-m",
        "2755",
        "-C",
        "20",
    ]
    booted = start(
        ours("svscanboot", *options, tree.directory),
        env=environment(place),
        pass_fds=[writing],
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert os.read(reading, 1) == b"\n"
    os.close(reading)
    try:
        until(lambda: "worse: unable to run ./run" in text(logdir / "current"))
        until(lambda: "from bad" in text(logdir / "current"))
        assert " svlog -bpd3 -- t n5 " in text(tree.directory / "svscan-log/run").replace("'", "")
        assert logdir.stat().st_mode & 0o7777 == 0o2755
        assert logdir.owner() == "nobody"
        assert text(console) == ""
        assert run(ours("svscanboot", "-D", logdir, tree.directory))[0] == 100
        assert run(ours("svwait", "-U", WAIT, tree.directory / "svscan-log"))[0] == 0
    finally:
        booted.send_signal(signal.SIGTERM)
        assert end(booted) == (0, "", "")


def test_a_logger_that_does_not_start_does_not_keep_the_tree_from_ending(tmp_path: pathlib.Path) -> None:
    # SUP-029 (partly)
    console = tmp_path / "console"
    console.touch()
    options = ["-D", tmp_path / "log", "-c", console, tmp_path / "scan"]
    booted = start(ours("svscanboot", *options), env={**ENVIRONMENT, "PATH": "/usr/bin:/bin"})
    until(lambda: "not found" in text(console))
    booted.send_signal(signal.SIGTERM)
    assert end(booted) == (0, "", "")


def test_svscanboot_refuses_nonsense(tmp_path: pathlib.Path) -> None:
    # SUP-029 (partly)
    for wrong in ("", "a b", "-m 9 a", "-m 77777 a", "-d x a", "-z a", "-d2 a", "-l no-such-user a"):
        found = run(ours("svscanboot", "-D", tmp_path / "log", *wrong.split()), cwd=tmp_path)
        assert found[0] == 100, wrong
    environment = {name: text for name, text in ENVIRONMENT.items() if name != "XDG_RUNTIME_DIR"}
    assert run(ours("svscanboot", "--user", "a"), cwd=tmp_path, env=environment)[0] == 100
    assert run(ours("svscanboot", "-D", "/dev/null/x", "a"), cwd=tmp_path)[0] == 111


@pytest.mark.parametrize("word", ["", "a", "a b", "it's", '"$x"', "`x`", "a\nb", "\\", "${HOME}", "é*?"])
def test_a_quoted_word_is_one_word_of_the_shell(word: str) -> None:
    # SUP-073 (partly)
    assert (
        run(["sh", "-c", f"printf '%s|' {scripts.quote(word)} {scripts.words(word)}"])[1] == f"{word}|{word}|"
    )


def test_only_the_five_variables_are_special() -> None:
    # SUP-075 (partly)
    command = f"HOME=/h USER=u; printf %s {scripts.expanded('${HOME}/a ${USER}$USER`x`${X}')}"
    assert run(["sh", "-c", command])[1] == "/h/a u$USER`x`${X}"
    assert scripts.expanded("") == "''"
