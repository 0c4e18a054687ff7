"""The walk-through for a new board is complete, and the examples for a CI name what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from board import host, model

if TYPE_CHECKING:
    from pathlib import Path

DOCS = host.ROOT / "docs"
CI = DOCS / "examples/ci"


def test_the_blocks_of_the_walk_through_are_the_board_s_file() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "porting.md").read_text(), re.DOTALL)

    walked = tomllib.loads("\n".join(blocks))

    assert walked == tomllib.loads((model.BOARDS / "nanopi-neo2.toml").read_text())


def test_the_workflow_s_boards_have_the_chains_that_it_names() -> None:
    rows = re.findall(r"\{ board: (\S+), chain: (\S+) \}", (CI / "workflow.yml").read_text())

    assert len(rows) >= 2
    for name, chain in rows:
        assert model.chained(model.load(name), chain).qemu.emulator


def tried(folder: Path, inv: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run boot.sh in a checkout that has only it and an `inv`."""
    script = folder / "docs/examples/ci/boot.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(CI / "boot.sh", script)
    (folder / "inv").write_text(f"#!/bin/sh\n{inv}\n")
    (folder / "inv").chmod(0o755)
    return subprocess.run([script, *words], capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize(("status", "failures"), [(0, "0"), (7, "1"), (111, "1")])
def test_the_script_leaves_results_and_the_command_s_status(
    status: int, failures: str, tmp_path: Path
) -> None:
    build = tmp_path / "build/qemu-arm64"
    build.mkdir(parents=True)
    (build / "manifest.json").write_text("{}")

    done = tried(
        tmp_path, f"printf 'a <b> & \\033\\n'; echo \"$@\" >&2; exit {status}", "qemu-arm64", "echo hello"
    )

    assert done.returncode == status
    suite = ET.parse(tmp_path / "results/junit.xml").getroot()
    assert (suite.get("failures"), suite.findtext("testcase/system-out")) == (failures, "a <b> & \n")
    assert "--board qemu-arm64 --chain direct --run echo hello --json" in (
        suite.findtext("testcase/system-err") or ""
    )
    assert (tmp_path / "results/manifest.json").read_text() == "{}"


def test_the_script_says_how_it_is_used(tmp_path: Path) -> None:
    done = tried(tmp_path, "exit 0", "qemu-arm64")

    assert (done.returncode, done.stderr) == (100, "usage: boot.sh board command [chain]\n")
