"""Other suites' loggers in our tree: s6-log, svlogd, multilog."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree

COUNT = 20_000
LOGGERS = {
    "s6-log": "exec s6-log -b s99999999 n5 ../../../log",
    "svlogd": "exec svlogd ../../../log",
    "multilog": "exec multilog s16777215 ../../../log",
}


@pytest.mark.parametrize("logger", LOGGERS)
def test_a_logger_of_another_suite_gets_every_line(logger: str, tree: Tree) -> None:
    # SUP-014 (partly) SUP-017 (partly)
    if shutil.which(logger) is None:
        pytest.skip(f"{logger} is not installed")
    (tree.base / "log").mkdir()
    tree.add(
        "a",
        f"seq 1 {COUNT // 2}; echo half >$EAR; read -r go <../../go; seq {COUNT // 2 + 1} {COUNT}; echo done >$EAR; exec sleep 999",
    )
    os.mkfifo(tree.base / "go")
    tree.add("a/log", LOGGERS[logger])
    tree.start()
    pid = tree.wait_for("up", "a/log")["pid"]
    assert tree.ear.line() == "half"
    if logger != "svlogd":  # which loses the line that it has half read, with any supervisor
        os.kill(pid, signal.SIGTERM)
        tree.wait_for("down", "a/log")
    (tree.base / "go").write_text("go\n")
    assert tree.ear.line() == "done"
    assert tree.stop() == 0
    content = b"".join(
        path.read_bytes() for path in sorted((tree.base / "log").iterdir()) if path.name[0] in "@c_"
    )
    assert sorted(map(int, content.split())) == list(range(1, COUNT + 1))
