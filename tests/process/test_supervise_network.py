"""fw in a network namespace of its own: what the plan promises is what the kernel has afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.process.tree import ROOT, ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

FW = " ".join(ours("fw", "wanted"))
BEGIN = """set -e
mount -t tmpfs none /run
ip link set lo up
ip link add v0 type bridge
ip link set v0 up
"""


def namespace(script: str, directory: Path) -> list[str]:
    """What a script prints that runs in network and mount namespaces of its own."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root makes namespaces, and `ip` is needed")
    found = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", BEGIN + script],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Unknown device type" in found.stderr:
        pytest.skip("this kernel has no bridges")
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.mark.parametrize(
    "address",
    ["10.0.0.3/24", "10.0.0.2/25", "10.0.1.2/24", "10.0.0.1/24"],
    ids=lambda text: text.replace("/", "-"),
)
def test_a_change_of_the_address_is_done_in_one_run_and_the_second_does_nothing(
    address: str, tmp_path: Path
) -> None:
    # VAR-230 (partly)
    gateway = address.rpartition(".")[0] + ".100"
    (tmp_path / "wanted").mkdir()
    old = "interface v0\naddress 10.0.0.2/24\ngateway 10.0.0.100\n"
    (tmp_path / "wanted/v0.ipconf").write_text(old)
    (tmp_path / "later").write_text(f"interface v0\naddress {address}\ngateway {gateway}\n")
    script = f"{FW} && cp later wanted/v0.ipconf && {FW} && ip -o -4 address show dev v0 && ip route && {FW} -n && echo end\n"
    lines = namespace(script.replace(f"{FW} -n", FW.replace(" fw ", " fw -n ")), tmp_path)
    assert [line.split()[3] for line in lines if " inet " in line] == [address]
    assert sum(line.startswith(f"default via {gateway} dev v0") for line in lines) == 1
    assert sum(line.startswith("default") for line in lines) == 1
    assert lines[-1] == "end"
    assert not any(line.startswith("ip ") for line in lines)
