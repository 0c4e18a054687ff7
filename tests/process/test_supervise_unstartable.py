"""What cannot be started is explained once, in words, and tried again."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.process.service import make_service
from tests.process.tree import Tree
from tests.process.waiting import Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


# What cannot be started ----------------------------------------------------------------------------


def foreign() -> bytes:
    """A program for another machine: this machine's own, with another e_machine."""
    with open("/bin/sleep", "rb") as program:
        head = bytearray(program.read())
    head[18:20] = (243 if head[18] != 243 else 62).to_bytes(2, "little")
    return bytes(head)


def damaged() -> bytes:
    """A program whose table of headers is at the end of the world."""
    with open("/bin/sleep", "rb") as program:
        content = bytearray(program.read(4096))
    content[32:40] = b"\xf0" + b"\xff" * 7
    return bytes(content)


def loaderless() -> bytes:
    """A program whose loader is not there."""
    with open("/bin/sleep", "rb") as program:
        content = program.read()
    at = content.index(b"/ld")
    return content[:at] + b"/no" + content[at + 3 :]


EXEC_FAILURES = {
    "wrong-machine": (foreign, 0o755, "it is a program for"),
    "no-loader": (loaderless, 0o755, "its loader"),
    "damaged": (damaged, 0o755, "unable to run ./run"),
    "not-executable": (lambda: b"#!/bin/sh\n", 0o644, "it is not executable (chmod +x)"),
    "broken-shebang": (lambda: b"#!/nowhere/sh\n", 0o755, "its interpreter '/nowhere/sh' does not exist"),
    "carriage-return": (
        lambda: b"#!/bin/sh\r\necho\r\n",
        0o755,
        "its interpreter '/bin/sh\\r' does not exist",
    ),
    "empty": (lambda: b"", 0o755, "it is empty"),
    "text": (lambda: b"echo no shebang\n", 0o755, "it is neither a program nor a script"),
    "missing": (None, 0, "there is no such file"),
    "directory": (None, 0o755, "it is a directory"),
}


@pytest.mark.parametrize("kind", EXEC_FAILURES)
def test_what_cannot_be_run_is_explained_once_and_tried_again_when_asked(kind: str, tree: Tree) -> None:
    # SUP-031 (partly) SUP-037 (partly)
    content, mode, words = EXEC_FAILURES[kind]
    service = tree.add("a", None)
    if content is not None:
        (service / "run").write_bytes(content())
        (service / "run").chmod(mode)
    elif kind == "directory":
        (service / "run").mkdir()
    tree.start()
    failed = tree.wait_for("failed", "a")
    assert words in failed["reason"]
    assert failed["reason"].startswith("unable to run ./run: ")
    tree.send("a", "u")
    tree.send("a", "u")
    tree.settle()
    assert tree.happened("a").count("failed") == 1, "the same is said once"
    assert tree.said.count("unable to run") == 1
    assert tree.happened("a").count("up") == 0
    assert tree.status("a").wanted
    if kind == "directory":
        (service / "run").rmdir()
    make_service(service)
    tree.send("a", "u")
    tree.wait_for("up", "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_noexec_mount_is_named(tmp_path: Path) -> None:
    # SUP-031 (partly)
    inside = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,noexec {tmp_path} && exec "$@"'
    with Tree(tmp_path) as tree:
        tree.add("a")
        tree.start(prefix=("unshare", "-m", "sh", "-c", inside, "-"))
        assert "mounted noexec" in tree.wait_for("failed", "a")["reason"]


def test_the_status_tells_why_it_could_not_be_started(tree: Tree) -> None:
    service = tree.add("a", None)
    (service / "run").write_text("#!/nowhere/sh\n")
    (service / "run").chmod(0o755)
    tree.start()
    tree.wait_for("failed", "a")
    tree.settle()
    assert "/nowhere/sh" in tree.ours("svstat", "a").stdout


def test_the_log_of_the_service_tells_why_it_could_not_be_started(tree: Tree) -> None:
    service = tree.add("a", None)
    (service / "run").write_text("#!/nowhere/sh\n")
    (service / "run").chmod(0o755)
    tree.add("a/log", 'while read -r line; do echo "$line" >$EAR; done')
    tree.start()
    tree.wait_for("failed", "a")
    assert "/nowhere/sh" in tree.ear.line()


def test_a_run_that_somebody_still_writes_is_waited_for(tree: Tree) -> None:
    # SUP-005 (partly)
    service = tree.add("a", None)
    shutil.copy("/bin/sleep", service / "run")
    with (service / "run").open("r+b"):
        tree.start()
        assert "busy" in tree.wait_for("failed", "a")["reason"]
    tree.wait_for("up", "a", patience=2.0)


def test_a_finish_that_cannot_be_run_counts_as_none_and_is_said(tree: Tree) -> None:
    # SUP-039 (partly)
    service = tree.add("a", "exit 1", finish="true")
    (service / "finish").chmod(0o644)
    tree.start()
    tree.wait_for("finished", "a")
    tree.wait_said("unable to run ./finish: it is not executable")
    tree.wait_for("up", "a")


def test_the_same_descriptor_for_notification_and_lock_is_refused_without_a_loop(tree: Tree) -> None:
    # SUP-047
    tree.add("a", notification_fd="3\n", lock_fd="3\n")
    tree.start()
    failed = tree.wait_for("failed", "a")
    assert "the same" in failed["reason"]
    with pytest.raises(Late):
        tree.wait_for("failed", "a", patience=1.2)
    assert tree.status("a").pid == 0
    assert tree.stop() == 0
