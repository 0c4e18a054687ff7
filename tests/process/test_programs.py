"""What every program has in common: its usage, its exit code for wrong usage, its place in the documents, its name."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initfs import main
from initfs.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "services").glob("*/README.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)")
WRONG = "-%"
LIMIT = 20  # seconds for what takes a few milliseconds
# Those that other suites' scripts call have their codes; and what has no options takes the word for a name.
OTHERS = {
    "p_log": 1,
    "sview": 1,
    "svlogd": 111,
    "svpage": 1,
    "utmpset": 1,
    "w_log": 1,
    "multilog": 0,  # what begins with - is a pattern
    "init": 111,  # with an argument it is telinit, which hands all words on
    "telinit": 111,
    "runsv": 111,
    "supervise": 111,
    "svok": 111,
}


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Run a program of ours in a child, without a new interpreter; its exit code, and what it said."""
    said = folder / "said"
    child = os.fork()
    if not child:
        code = 99
        try:
            os.setsid()
            os.chdir(folder)
            for fd, path in enumerate(("/dev/null", "said", "said")):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), fd)
            os.closerange(3, 256)
            signal.alarm(LIMIT)
            with open(1, "w", closefd=False) as sys.stdout:
                code = main.main(["initfs", *words])
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_tells_its_usage_and_refuses_what_it_does_not_know(name: str, tmp_path: Path) -> None:
    # QUA-241 QUA-242
    for folder in ("help", "wrong"):
        (tmp_path / folder).mkdir()

    code, said = run(tmp_path / "help", name, "--help")
    assert code == 0
    assert said.startswith("usage: ")

    code, said = run(tmp_path / "wrong", name, WRONG)
    assert code == OTHERS.get(name, 100), said
    assert re.match(r"[\w-]+: (fatal|warning): ", said) or not code, said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_is_in_the_documents(name: str) -> None:
    # QUA-242
    told = re.compile(rf"(^ {{4}}(.* )?|`([^`]* )?){re.escape(name)}[ `\n,]", re.MULTILINE)
    assert any(told.search(path.read_text()) for path in DOCUMENTS), name


def links() -> Iterator[tuple[Path, str]]:
    for path in DOCUMENTS:
        for target in LINK.findall(path.read_text()):
            if "://" not in target:
                yield path, target


def test_every_link_of_the_documents_leads_somewhere() -> None:
    # QUA-242
    found = list(links())
    assert len(found) > 10
    assert [
        f"{path.relative_to(ROOT)}: {target}" for path, target in found if not (path.parent / target).exists()
    ] == []


def test_no_program_has_the_prefix_of_another_suite() -> None:
    # QUA-246
    assert [name for name in PROGRAMS if re.match(r"s6|66|execline", name)] == []


def test_the_names_that_scripts_of_other_suites_call_are_there() -> None:
    # QUA-246
    daemontools = "envdir envuidgid fghack multilog pgrphack setlock setuidgid softlimit supervise svc svok svscan svscanboot svstat tai64n tai64nlocal"
    runit = "chpst runsv runsvchdir runsvdir sv svlogd utmpset"
    assert [name for name in f"{daemontools} {runit}".split() if name not in PROGRAMS] == []
