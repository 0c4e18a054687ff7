"""The house rules that a machine can check: who imports whom, how large a thing may be, what process 1 loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("initfs", "board", "qemu", "bench")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
GROUND = {
    "say",
    "value",
    "options",
    "signals",
    "files",
    "process",
    "loop",
    "kernel",
    "rtnetlink",
    "tai",
    "programs",
    "main",
}
# Who may import whom, below initfs: a package may use those it names, and the ground.
ALLOWED: dict[str, set[str]] = {
    "chain": set(),
    "notify": {"chain"},
    "supervise": {"chain", "notify"},
    "log": {"chain", "notify"},
    "local": {"chain", "notify"},
    "manager": {"chain", "notify", "supervise", "local"},
    "pid1": {"chain", "supervise"},
    "network": {"supervise"},
    "devices": {"chain", "network", "supervise"},
    "disk": {"network", "pid1"},
}
PURE = (
    "initfs/tai.py",
    "initfs/value.py",
    "initfs/supervise/automaton.py",
    "initfs/supervise/model.py",
    "initfs/supervise/scan.py",
    "initfs/supervise/control.py",
    "initfs/disk/bundle.py",
    "initfs/disk/identity.py",
    "initfs/disk/offered.py",
    "initfs/disk/slots.py",
    "initfs/disk/table.py",
    "initfs/supervise/status.py",
    "initfs/supervise/luggage.py",
    "initfs/supervise/waiting.py",
    "initfs/manager/model.py",
    "initfs/manager/definition.py",
    "initfs/manager/resolve.py",
    "initfs/manager/graph.py",
    "initfs/manager/codec.py",
    "initfs/manager/query.py",
    "initfs/manager/plan.py",
    "initfs/manager/conversion.py",
    "initfs/manager/orders.py",
    "initfs/manager/script.py",
    "initfs/manager/repo/sets.py",
    "initfs/log/configuration.py",
    "initfs/log/facility.py",
    "initfs/log/limits.py",
    "initfs/log/lines.py",
    "initfs/log/moments.py",
    "initfs/log/record.py",
    "initfs/log/rotate.py",
    "initfs/log/route.py",
    "initfs/log/script.py",
    "initfs/log/stamp.py",
    "initfs/pid1/shutdown.py",
    "initfs/pid1/orders.py",
    "initfs/pid1/moments.py",
    "initfs/pid1/parameters.py",
    "initfs/pid1/logins.py",
    "initfs/pid1/skeleton.py",
    "initfs/pid1/lights.py",
    "initfs/pid1/watchdog.py",
    "initfs/pid1/failures.py",
    "initfs/pid1/boots.py",
    "initfs/pid1/stages/plan.py",
    "initfs/supervise/scripts.py",
    "initfs/devices/rules.py",
    "initfs/devices/templates.py",
    "initfs/network/desired.py",
    "initfs/network/link.py",
    "initfs/network/model.py",
    "initfs/network/names.py",
    "initfs/network/netfiles.py",
    "initfs/network/plan.py",
    "initfs/local/access.py",
    "initfs/local/admission.py",
    "initfs/local/rewriting.py",
    "initfs/local/compiled.py",
    "initfs/local/jobs.py",
    "initfs/local/wire.py",
    "initfs/local/fdholder/protocol.py",
    "initfs/local/fdholder/holding.py",
    "initfs/local/fdholder/answers.py",
    "initfs/local/fdholder/records.py",
    "initfs/local/sudo/protocol.py",
    "initfs/network/ruleset.py",
    "initfs/network/wanted.py",
    "initfs/network/zones.py",
)
EFFECTFUL = {"os", "time", "select", "fcntl", "subprocess", "_socket", "socket", "ctypes"}
# What process 1 must not load (`design.md`): each costs milliseconds at boot and memory for ever.
FORBIDDEN = {
    "argparse", "asyncio", "collections", "ctypes", "dataclasses", "enum", "functools", "inspect", "json", "logging",
    "pyroute2", "pyudev", "re", "selectors", "signal", "socket", "subprocess", "threading", "typing", "warnings",
}  # fmt: skip
MODULE_LINES, FUNCTION_LINES = 330, 45
# Modules of process 1 with those it imports; a new import is a decision, not an accident.
PROCESS1_MODULES = 96


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Every module that a file imports at run time, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def test_package_roots_are_empty() -> None:
    roots = [path for path in MODULES if path.name == "__init__.py"]
    assert roots
    assert [name_of(path) for path in roots if path.read_text().strip()] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_small_and_its_functions_too(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, node.name


def test_the_target_package_imports_only_itself_and_the_standard_library() -> None:
    third_party = {
        "pyroute2": "initfs/network/netlink.py",
        "pyudev": "initfs/devices/monitor.py",
    }
    for path in (ROOT / "initfs").rglob("*.py"):
        for module in imports(path):
            top = module.partition(".")[0]
            known = top in sys.stdlib_module_names or top == "initfs" or third_party.get(top) == name_of(path)
            assert known, f"{name_of(path)} imports {module}"


def test_imports_point_down() -> None:
    for path in (ROOT / "initfs").rglob("*.py"):
        parts = path.relative_to(ROOT / "initfs").parts
        allowed = GROUND if len(parts) == 1 else GROUND | {parts[0]} | ALLOWED[parts[0]]
        if parts == ("main.py",):
            continue  # it imports the program that is asked for, by name
        used = {module.split(".")[1] for module in imports(path) if module.startswith("initfs.")}
        assert used <= allowed, f"{name_of(path)} imports {used - allowed}"


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_have_no_way_to_the_world(name: str) -> None:
    assert not {module.partition(".")[0] for module in imports(ROOT / name)} & EFFECTFUL


def test_process_1_loads_little() -> None:
    code = "import sys, initfs.pid1.init; print(*sys.modules)"
    command = [sys.executable, "-S", "-P", "-c", code]
    loaded = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not FORBIDDEN & set(loaded)
    assert len(loaded) <= PROCESS1_MODULES


def test_every_program_has_a_main_and_a_usage_line() -> None:
    from initfs.programs import PROGRAMS

    for name, module in PROGRAMS.items():
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assigned = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert "main" in defined, name
        assert "USAGE" in assigned, name


def test_the_feature_list_says_what_the_tests_show() -> None:
    from tests import features

    assert len(features.ROWS) == 247
    assert features.FILE.read_text() == features.text(), "run `inv table`"
