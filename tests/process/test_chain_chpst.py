from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.process.chain_tools import PATH, code, needs_root, ours, out, programs, real, run, theirs

if TYPE_CHECKING:
    from pathlib import Path

SHOW = ("sh", "-c", "ulimit -S -a; nice; id; echo $0 $A; pwd; ls /proc/$$/fd")


def both(*argv: str, cwd: Path | None = None) -> tuple[int, bytes]:
    """The (exit code, output) in which runit's chpst and ours agree."""
    got, wanted = ours("chpst", *argv, cwd=cwd), theirs("chpst", *argv, cwd=cwd)
    assert got == wanted
    return got


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "e" / "sub").mkdir(parents=True)
    (tmp_path / "e" / "A").write_bytes(b"value \t\r \nmore\n")
    (tmp_path / "e" / "B").write_bytes(b"nul\0nul")
    (tmp_path / "e" / "C").write_bytes(b"x" * 9000)
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        ["-e", "e"], ["-n", "5"], ["-n", "+3"], ["-o", "40"], ["-m", "100000000"], ["-d", "100000000", "-o", "99999999"],
        ["-p", "90000", "-f", "1000000", "-c", "0", "-r", "100000000", "-t", "77"], ["-0"], ["-P"], ["-b", "another"],
        ["-l", "lock"], ["-L", "lock"], ["-v", "-o", "50"], ["-e", "e", "-n", "5", "-o", "40", "-0", "-b", "x"],
        ["-P0ee", "-n5"],
    ],
)  # fmt: skip
def test_each_option_does_what_runits_does(directory: Path, options: list[str]) -> None:  # CHA-137
    status, output = both(*options, *SHOW, cwd=directory)
    assert status == 0
    assert output


@needs_root
@pytest.mark.parametrize(
    "who", ["nobody", "nobody:audio", "nobody:audio:daemon", ":33:12", ":33:12:13", "nosuch", "nobody:nosuch"]
)
def test_ids_are_those_of_runits(who: str) -> None:  # CHA-137
    env = {"PATH": PATH, "GIDLIST": "9"}
    for argv in (["-u", who, "id"], ["-U", who, "printenv", "UID", "GID", "GIDLIST"]):
        assert ours("chpst", *argv, env=env) == theirs("chpst", *argv, env=env)


@needs_root
def test_the_line_of_the_init_scripts_works() -> None:  # RUN-088
    done = both("-u", "nobody", "-m", "20971520", "id")
    assert b"uid=65534(nobody)" in done[1]


@needs_root
def test_the_root_and_then_the_directory_are_changed() -> None:  # CHA-137
    if not os.path.exists("/usr/lib64") or os.path.islink("/usr/lib64"):
        pytest.skip("/usr is no root that programs can run in here")
    assert out("chpst", "-C", "/share", "-/", "/usr", "/bin/pwd") == "/share\n"
    assert code("chpst", "-/", "/nosuch", "true") == 111


def test_the_directory_alone_is_changed(tmp_path: Path) -> None:  # CHA-137
    assert out("chpst", "-C", str(tmp_path), "pwd") == f"{tmp_path}\n"
    assert code("chpst", "-C", str(tmp_path / "no"), "pwd") == 111


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["-x", "true"],
        ["-o", "x", "true"],
        ["-n", "x", "true"],
        ["-l", "a", "-L", "b", "true"],
        ["-u", "nobody"],
        ["-e"],
    ],
)
def test_wrong_usage_is_what_it_is_for_runits(argv: list[str]) -> None:  # CHA-137
    assert both(*argv) == (100, b"")


def test_trouble_is_111_also_when_the_program_does_not_run(tmp_path: Path) -> None:  # CHA-137
    for argv in (["nosuch"], ["/"], ["-e", "/nosuch", "true"], ["-l", "/", "true"], ["-b", "x", "nosuch"]):
        assert both(*argv) == (111, b"")
    assert code("chpst", "softlimit", "nosuch") == 127  # not chpst's own failure


def test_runits_and_ours_respect_each_others_lock(tmp_path: Path) -> None:  # CHA-137
    lock = str(tmp_path / "lock")
    for holder, other in (
        (real("chpst"), str(programs() / "chpst")),
        (str(programs() / "chpst"), real("chpst")),
    ):
        with subprocess.Popen(
            [holder, "-l", lock, "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            process.stdout.readline()
            assert (
                subprocess.run([other, "-L", lock, "true"], capture_output=True, check=False).returncode
                == 111
            )
            process.communicate()


def test_all_closed_descriptors_are_closed() -> None:  # CHA-137
    assert (
        run("chpst", "-012", "sh", "-c", "test ! -e /proc/self/fd/1 -a ! -e /proc/self/fd/2").returncode == 0
    )


def test_the_version_is_said() -> None:  # CHA-137
    assert code("chpst", "-V") == 0


def emulated(tmp_path: Path, name: str) -> str:
    """runit's chpst under another name."""
    link = tmp_path / name
    if not link.exists():
        link.symlink_to(real("chpst"))
    return str(link)


@pytest.mark.parametrize(
    "argv",
    [
        ["denvdir", "e", "printenv", "A", "B"], ["dsoftlimit", "-o", "50", "-l", "4096", "sh", "-c", "ulimit -a"],
        ["dsetlock", "lock", "echo", "got it"], ["dsetlock", "-x", "/no/lock", "true"], ["dsetlock", "-X", "/no/lock", "true"],
        ["dsetlock", "-x", "lock", "nosuch"], ["dpgrphack", "true"], ["denvdir", "nowhere", "true"], ["denvdir", "e", "nosuch"],
        ["denvuidgid", "nobody", "printenv", "UID", "GID"], ["denvuidgid", "nosuch", "true"],
        *([name] for name in ("denvdir", "denvuidgid", "dpgrphack", "dsetlock", "dsetuidgid", "dsoftlimit")),
    ],
)  # fmt: skip
def test_under_another_name_it_is_that_program(directory: Path, argv: list[str]) -> None:  # CHA-138
    wanted = subprocess.run(
        [emulated(directory, argv[0]), *argv[1:]],
        cwd=directory,
        env={"PATH": PATH},
        capture_output=True,
        check=False,
    )
    assert ours(*argv, cwd=directory) == (wanted.returncode, wanted.stdout)


@needs_root
@pytest.mark.parametrize("name", ["setuidgid", "dsetuidgid"])
def test_setuidgid_under_both_names(tmp_path: Path, name: str) -> None:  # CHA-138
    wanted = subprocess.check_output([emulated(tmp_path, name), "nobody", "id"])
    assert out(name, "nobody", "id").encode() == wanted


def test_every_emulated_name_without_d_is_a_program_too(directory: Path) -> None:  # CHA-138
    (directory / "e" / "sub").rmdir()
    assert out("envdir", "e", "printenv", "A", cwd=directory) == "value\n"
    assert out("envuidgid", "nobody", "printenv", "UID") == "65534\n"
    assert out("softlimit", "-o", "50", "sh", "-c", "ulimit -n") == "50\n"
    assert out("setlock", "-n", "lock", "echo", "got it", cwd=directory) == "got it\n"
    pid, session = out("pgrphack", "sh", "-c", "echo $$; ps -o sid= -p $$").split()
    assert pid == session


def test_n_of_setlock_means_do_not_wait(directory: Path) -> None:  # CHA-138
    fd = os.open(directory / "lock", os.O_WRONLY | os.O_CREAT)
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)
    assert code("dsetlock", "-n", "lock", "true", cwd=directory) == 111
    assert code("dsetlock", "-nx", "lock", "true", cwd=directory) == 0
    os.close(fd)
