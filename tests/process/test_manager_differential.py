"""What we say of random definition trees, whole and broken ones, beside what s6-rc says of them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from initfs import say
from initfs.manager import compile as compiling
from initfs.manager import database, db, query
from tests.process import manager_trees as trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(trees.PEER is None, reason="s6-rc is not installed")
ROUNDS = int(os.environ.get("INITFS_ROUNDS", "4"))  # of each kind; a campaign has hundreds

Question = tuple[list[tuple[str, str]], str, list[str]]


def questions(index: query.Index) -> Iterator[Question]:
    """Everything that can be asked of a database."""
    for which in db.LISTS:
        yield [], "list", [which]
    yield [("e", "")], "list", ["services"]
    names = [*index.number, *index.bundles]
    for name in names:
        for command in ("type", "contents", "pipeline", "flags", "atomics"):
            yield [], command, [name]
        for letter in "ud":
            for command in ("timeout", "dependencies", "all-dependencies", "script"):
                yield [(letter, "")], command, [name]
        yield [("d", ""), ("e", "")], "all-dependencies", [name]
    yield [], "atomics", names[:3]
    yield [], "type", ["nobody"]


def our_answer(
    index: query.Index, given: list[tuple[str, str]], command: str, names: list[str]
) -> tuple[int, bytes]:
    try:
        text = db.COMMANDS[command](db.Asked("db", index, given), names)
    except query.Unknown:
        return database.UNKNOWN, b""
    except query.WrongType:
        return database.WRONG_TYPE, b""
    return say.OK, os.fsencode(str(text))


def its_answer(
    compiled: Path, given: list[tuple[str, str]], command: str, names: list[str]
) -> tuple[int, bytes]:
    words = ["s6-rc-db", "-c", str(compiled), *(f"-{letter}" for letter, _ in given), "--", command, *names]
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def quiet() -> Iterator[None]:
    say.stream = os.open("/dev/null", os.O_WRONLY)
    yield
    os.close(say.stream)
    say.stream = 2


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
@pytest.mark.usefixtures("quiet")
def test_we_accept_what_s6_rc_accepts_and_give_the_same_answers(tmp_path: Path, broken: bool) -> None:
    # SM-166 (partly) SM-168 (partly) SM-169 (partly) SM-174 (partly)
    seed = int(os.environ.get("INITFS_SEED", "0"))
    accepted = 0
    for round_ in range(seed, seed + ROUNDS):
        rng = random.Random(round_)
        tree = trees.make(rng, rng.choice([1, 3, 6, 10]))
        what = [trees.spoil(rng, tree) for _ in range(rng.choice([1, 1, 2]))] if broken else []
        base = tmp_path / str(round_)
        try:
            source = trees.write(base / "src", tree)
        except OSError:
            continue  # what was spoilt can't be on a disk
        accepted += compare(base, source, f"seed {round_}, spoilt: {what}")
        shutil.rmtree(base)
    assert accepted or broken


def compare(base: Path, source: Path, what: str) -> bool:
    """Compile with both and ask both; whether they accepted it."""
    theirs = subprocess.run(
        ["s6-rc-compile", "-v0", base / "theirs", source], capture_output=True, check=False
    )
    try:
        code = compiling.compile_(str(base / "ours"), [str(source)], verbosity=0)
    except say.Fatal as fatal:
        code = fatal.code
    assert (code == 0) == (theirs.returncode == 0), (what, code, theirs)
    if code:
        assert sorted(path.name for path in base.iterdir()) in (["src"], ["src", "theirs"]), what
        return False
    index = query.Index(database.load(str(base / "ours")))
    for question in questions(index):
        ours, peers = our_answer(index, *question), its_answer(base / "theirs", *question)
        if question[1] == "pipeline" and peers == (0, b""):
            assert ours == (0, os.fsencode(f"{question[2][0]}\n")), (
                "its documentation says so, its code prints nothing"
            )
        else:
            assert ours == peers, (what, question)
    return True
