from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.process.chain_tools import PATH, code, ours, out, run, theirs

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = {
    "EMPTY": (b"", None),
    "NEWLINE": (b"\n", b""),
    "BLANKS": (b" \t \n", b""),
    "PLAIN": (b"value", b"value"),
    "LINES": (b"first\nsecond\n", b"first"),
    "TRAILING": (b"value \t \n", b"value"),
    "LEADING": (b"  value\n", b"  value"),
    "NUL": (b"a\0b\n", b"a\nb"),
    "BYTES": (b"\xff\xfe\n", b"\xff\xfe"),
    "UTF8": ("grün\n".encode(), "grün".encode()),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "e"
    found.mkdir()
    for name, (content, _) in GOLDEN.items():
        (found / name).write_bytes(content)
    (found / ".hidden").write_text("x")
    (found / "a=b").write_text("x")
    return found


def variables(output: bytes) -> dict[bytes, bytes]:
    """What `env -0` has written."""
    return dict(pair.split(b"=", 1) for pair in output.split(b"\0")[:-1])


def test_each_file_becomes_the_variable_that_the_rules_say(directory: Path) -> None:  # CHA-123
    old = {"PATH": PATH, "EMPTY": "is removed", "PLAIN": "is replaced", "OTHER": "stays"}
    found = variables(run("envdir", str(directory), "env", "-0", env=old).stdout)
    wanted = {name.encode(): value for name, (_, value) in GOLDEN.items() if value is not None}
    assert found == {b"PATH": PATH.encode(), b"OTHER": b"stays", **wanted}


@pytest.mark.parametrize("name", ["envdir", "s6-envdir"])
def test_without_options_it_agrees_with_the_real_ones(directory: Path, name: str) -> None:  # CHA-123
    wanted, got = (
        variables(each[1])
        for each in (theirs(name, str(directory), "env", "-0"), ours("envdir", str(directory), "env", "-0"))
    )
    wanted.pop(b"a", None)  # what daemontools makes of the file `a=b`
    assert got == wanted


@pytest.mark.parametrize(
    "options", [["-n"], ["-f"], ["-f", "-n"], ["-L"], ["-c", ":"], ["-fnL", "-c", "xyz"], ["-I"], ["-i"]]
)
def test_with_options_it_agrees_with_s6(directory: Path, options: list[str]) -> None:  # CHA-124
    (directory / "LONG").write_bytes(b"x" * 5000)
    theirs_found, ours_found = (
        variables(each[1])
        for each in (
            theirs("s6-envdir", *options, str(directory), "env", "-0"),
            ours("envdir", *options, str(directory), "env", "-0"),
        )
    )
    assert len(ours_found.pop(b"LONG")) == (5000 if "L" in "".join(options) else 4095)
    theirs_found.pop(b"LONG")
    for name in (b"PLAIN", b"BYTES", b"UTF8") if "L" in "".join(options) else ():
        assert theirs_found[name] in (
            b"",
            ours_found[name],
        )  # s6 2.11 with -L loses a value without a newline
        theirs_found[name] = ours_found[name]
    assert ours_found == theirs_found


def test_whole_files_keep_lines_and_with_n_the_last_newline(tmp_path: Path) -> None:  # CHA-124
    (tmp_path / "A").write_bytes(b"one \ntwo\0three\n")
    assert variables(run("envdir", "-f", str(tmp_path), "env", "-0").stdout)[b"A"] == b"one \ntwo\nthree"
    options = ("-f", "-n", "-c", ":")
    assert variables(run("envdir", *options, str(tmp_path), "env", "-0").stdout)[b"A"] == b"one \ntwo:three\n"


def test_a_missing_directory_is_an_error_unless_that_is_allowed(tmp_path: Path) -> None:  # CHA-124
    assert code("envdir", str(tmp_path / "no"), "true") == 111
    assert code("envdir", "-I", str(tmp_path / "no"), "true") == 0
    assert code("envdir", "-I", "-i", str(tmp_path / "no"), "true") == 111
    (tmp_path / "file").touch()
    assert code("envdir", "-I", str(tmp_path / "file"), "true") == 111


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:  # CHA-123
    (tmp_path / "D").mkdir()
    done = run("envdir", str(tmp_path), "true")
    assert done.returncode == 111
    assert done.stderr == f"envdir: fatal: unable to read {tmp_path}/D: Is a directory\n".encode()
    (tmp_path / "D").rmdir()
    (tmp_path / "L").symlink_to("nowhere")
    assert code("envdir", "-I", str(tmp_path), "true") == 111


def test_an_empty_replacement_for_nul_is_wrong_usage(tmp_path: Path) -> None:  # CHA-124
    assert code("envdir", "-c", "", str(tmp_path), "true") == 100


def test_a_giant_file_is_read_as_far_as_the_clamp_and_a_fifo_does_not_hang(tmp_path: Path) -> None:  # CHA-123
    with (tmp_path / "BIG").open("wb") as file:
        file.truncate(1 << 30)
    os.mkfifo(tmp_path / "FIFO")
    assert variables(run("envdir", str(tmp_path), "env", "-0").stdout)[b"BIG"] == b"\n" * 4095


def test_a_value_too_long_for_the_kernel_is_said_to_be(tmp_path: Path) -> None:  # CHA-124
    (tmp_path / "BIG").write_bytes(b"x" * (1 << 20))
    done = run("envdir", "-L", str(tmp_path), "true")
    assert (done.returncode, done.stderr) == (
        126,
        b"envdir: fatal: unable to run true: Argument list too long\n",
    )


def test_a_changed_path_is_for_those_that_come_later(tmp_path: Path) -> None:  # CHA-139
    (tmp_path / "PATH").write_text("/nowhere")
    assert ours("envdir", str(tmp_path), "true") == theirs("s6-envdir", str(tmp_path), "true") == (0, b"")
    assert code("envdir", str(tmp_path), "fdclose", "77", "true") == 127


def test_the_small_companions_change_the_environment() -> None:  # CHA-140
    env = {"PATH": PATH, "A": "old", "B": "b"}
    assert out("export", "A", "new=x", "printenv", "A", env=env) == "new=x\n"
    assert out("unexport", "A", "env", env=env) == f"PATH={PATH}\nB=b\n"
    assert out("emptyenv", "env", env=env) == ""
    assert out("emptyenv", "-p", "env", env=env) == f"PATH={PATH}\n"
    assert out("exec", "-c", "env", env=env) == ""


def test_nothing_is_added_to_the_environment_in_the_c_locale() -> None:  # CHA-139
    for locale in ({}, {"LC_ALL": "C"}, {"LANG": "C"}, {"LC_CTYPE": "C.UTF-8"}):
        env = {"PATH": PATH, **locale}
        assert variables(run("fdclose", "77", "env", "-0", env=env).stdout) == {
            os.fsencode(name): os.fsencode(value) for name, value in env.items()
        }


def test_without_a_path_programs_are_still_found() -> None:  # CHA-139
    assert run("fdclose", "77", "true", env={}).returncode == 0
