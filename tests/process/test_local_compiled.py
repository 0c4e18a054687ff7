"""Access rules in one file: they come back as they were, s6 reads and writes the same, and no bad one is believed or makes anything."""

from __future__ import annotations

import os
import subprocess

import pytest

from initfs.local import compiled
from initfs.local.access import Rule
from tests.process.local_world import (
    REMOTE,
    needs_root,
    nobody,
    ours,
    real,
    rule,
    run,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def test_a_compiled_file_that_others_can_write_to_lets_nobody_in(place: Path) -> None:
    rule(place / "rules", "uid/1000")
    for mode, code in ("0644", 0), ("0664", 111), ("0646", 111):
        assert run(ours("accessrules-cdb-from-fs", "-m", mode, place / "r.cdb", place / "rules"))[0] == 0
        assert run(ours("ipcserver-access", "-x", place / "r.cdb", "true"), env=REMOTE)[0] == code


def test_compiled_rules_come_back_as_they_were_and_s6_reads_and_writes_the_same_file(place: Path) -> None:
    # LOC-156
    rules = place / "rules"
    rule(rules, "uid/0", "deny")
    at = rule(rules, "uid/1000", A="one\n", B="", C="x y\n")
    (at / "exec").write_text('echo "a b"\n')
    rule(rules, "gid/self")
    (rules / "gid/5").symlink_to(rules / "uid/1000")
    assert run(ours("accessrules-cdb-from-fs", "-m", "0640", place / "r.cdb", rules))[0] == 0
    assert (place / "r.cdb").stat().st_mode & 0o777 == 0o640
    assert run(ours("accessrules-fs-from-cdb", place / "back", place / "r.cdb"))[0] == 0
    assert subprocess.run(["diff", "-r", rules, place / "back"], check=False).returncode == 0
    assert run(ours("accessrules-fs-from-cdb", place / "back", place / "r.cdb"))[0] == 111  # it is there
    assert run([real("s6-accessrules-fs-from-cdb"), str(place / "theirs"), str(place / "r.cdb")])[0] == 0
    assert subprocess.run(["diff", "-r", rules, place / "theirs"], check=False).returncode == 0
    assert run([real("s6-accessrules-cdb-from-fs"), str(place / "s6.cdb"), str(rules)])[0] == 0
    for database in ("r.cdb", "s6.cdb"):
        line = ours("ipcserver-access", "-l", "", "-x", place / database, "echo", "not me")
        assert run(line, env=REMOTE)[:2] == (0, "a b\n")
        assert run(line, env={**REMOTE, "IPCREMOTEEUID": "0", "IPCREMOTEEGID": "9"})[0] == 1


def test_bad_rules_compile_to_nothing_and_bad_files_restore_nothing(place: Path) -> None:
    # LOC-156 (partly)
    rules = place / "rules"
    rule(rules, "uid/1", BIG="x" * 4000, OTHER="y" * 100)
    (place / "r.cdb").write_text("old")
    assert run(ours("accessrules-cdb-from-fs", place / "r.cdb", rules))[0] == 100
    assert (place / "r.cdb").read_text() == "old"
    assert run(ours("accessrules-fs-from-cdb", place / "back", place / "r.cdb"))[0] == 111
    assert sorted(os.listdir(place)) == ["r.cdb", "rules"]


@pytest.mark.parametrize(
    ("key", "variable"),
    [("../out", b"A"), ("/out", b"A"), ("uid//1", b"A"), ("uid/1", b"../../../out"), ("uid/1", b"..")],
)
def test_a_compiled_file_makes_no_file_elsewhere(place: Path, key: str, variable: bytes) -> None:
    rules = [("uid/0", Rule(allowed=True)), (key, Rule(True, ((variable, b"x"),)))]
    (place / "r.cdb").write_bytes(compiled.encode(rules))
    code, _, err = run(ours("accessrules-fs-from-cdb", place / "back", place / "r.cdb"))
    assert (code, "not the name of a file" in err) == (111, True)
    assert os.listdir(place) == ["r.cdb"]


@needs_root
def test_no_rule_is_read_for_a_file_that_cannot_be_written(place: Path) -> None:
    """What is said is the target's trouble, not that of a rule that does not fit either."""
    rule(place / "rules", "uid/1", BIG="x" * 4000, OTHER="y" * 100)
    code, _, err = run(nobody("accessrules-cdb-from-fs", place / "r.cdb", place / "rules"))
    assert (code, err) == (
        111,
        f"accessrules-cdb-from-fs: fatal: unable to write {place}/r.cdb: Permission denied\n",
    )
    assert os.listdir(place) == ["rules"]
