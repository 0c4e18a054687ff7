"""`inv` as it is typed: what is asked for in a wrong way is answered in a line or two, with status 100. Nothing is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board import build, host, model

ROOT = Path(__file__).parents[2]
BOARD = "qemu-arm64"


def inv(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    command = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["image", "--board", "toaster"], "unable to find board 'toaster': there is no such file"),
        (["size", "--board", "toaster"], "unable to find board 'toaster': there is no such file"),
        (["image", "--board", "../boards/qemu-arm64"], "unable to find board '../boards/qemu-arm64'"),
        (["boot", "--board", "toaster", "--run", "true"], "unable to find board 'toaster'"),
        (["boot"], "unable to boot interactively: standard input and output are no terminal"),
        (["boot", "--board", "all"], "unable to boot interactively: several boards have no terminal"),
        (["boot", "--run", "true", "--forward", "8080"], "not HOST:GUEST, two port numbers: '8080'"),
        (["boot", "--run", "true", "--forward", "0:80", "--forward", "1:99999"], "65535: '1:99999'"),
        (["boot", "--run", "true", "--memory", "lots"], "unable to understand --memory: not a whole number"),
        (["boot", "--run", "true", "--timeout", "0"], "memory and timeout are positive numbers"),
        (["boot", "--run", "true", "--kernel", "/nowhere"], "there is no file /nowhere"),
        (["boot", "--board", "all", "--run", "true", "--forward", "8080:80"], "cannot have the same one"),
    ],
)
def test_a_wrong_request_is_answered_in_a_line(words: list[str], said: str) -> None:
    done = inv(*words)

    first, *rest = done.stderr.splitlines()
    assert done.returncode == 100
    assert first.startswith("inv: fatal: unable to ")
    assert said in first
    assert len(rest) <= 1
    assert done.stdout == ""


def test_an_unknown_board_is_answered_with_those_that_are_known() -> None:
    assert all(name in inv("image", "--board", "toaster").stderr for name in model.names())


@pytest.mark.parametrize("pair", [["nosuch", "0"], ["nosuch,0"]])
def test_two_images_to_compare_are_two_words_or_one(pair: list[str]) -> None:
    words = [str(ROOT / "inv"), "image", "--diff", *pair, "--board", BOARD]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.returncode == 100
    assert f"unable to find image 'nosuch' of {BOARD}" in done.stderr


def test_an_emulator_that_is_installed_but_not_in_path_is_named(tmp_path: Path) -> None:
    if not shutil.which("qemu-system-aarch64") or host.missing(build.needs([model.load(BOARD)])):
        pytest.skip("what `inv boot` installs is not installed")
    for name in ("dpkg-query", "dpkg", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)

    done = inv("boot", "--board", BOARD, "--run", "true", env={"PATH": str(tmp_path)})

    assert done.returncode == 111
    assert "unable to find qemu-system-aarch64: it is not in PATH" in done.stderr
