from __future__ import annotations

import pytest

from initfs.programs import PROGRAMS
from tests.process.chain_tools import programs, run

LOADERS = [name for name, module in PROGRAMS.items() if module.startswith("initfs.chain.")]
ALONE = {"ioconnect": 111}  # is no loader: without arguments it finds no descriptors


@pytest.mark.parametrize("name", LOADERS)
def test_no_arguments_and_bad_options_are_wrong_usage(name: str) -> None:  # QUA-241
    bare, bad = run(name), run(name, "-%")
    assert bare.returncode == ALONE.get(name, 100)
    assert bad.returncode == 100
    assert bad.stderr.startswith(f"{name}: fatal: usage: ".encode())
    assert bad.stderr.count(b"\n") == 1


@pytest.mark.parametrize("name", LOADERS)
def test_help_is_the_usage(name: str) -> None:  # QUA-241
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: ")


def test_no_loader_has_the_originals_prefix() -> None:
    assert not [name for name in LOADERS if name.startswith("s6")]
    assert programs().is_dir()
