"""The worked examples of docs/local-services.md, run from docs/examples/local: nobody is refused, nobody gets more than one thing."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import threading

import pytest

from tests.process.local_world import (
    NOBODY,
    ROOT,
    needs_root,
    nobody,
    ours,
    programs,
    public,
    rule,
    run,
    until,
)
from tests.process.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESTARTS = int(os.environ.get("RESTARTS", "2"))  # a thousand is `RESTARTS=1000`
CLIENTS = 4


@pytest.fixture
def tree() -> Iterator[Tree]:
    with public() as place, Tree(place) as tree:
        tree.environment["PATH"] = f"{programs(place)}:{os.environ['PATH']}"
        for name in ("holder", "web", "restart-web"):
            shutil.copytree(ROOT / "docs/examples/local" / name, tree.scandir / name)
        tree.scandir.chmod(0o755)
        (tree.scandir / "web/down").touch()
        rights = {"FDHOLDER_STORE_REGEX": "^unix:\n", "FDHOLDER_RETRIEVE_REGEX": "^unix:\n"}
        rule(tree.scandir / "holder/rules", "uid/self", **rights)
        (tree.scandir / "restart-web/rules").mkdir()
        tree.start().wait_for("ready", "holder")
        yield tree


def serve(tree: Tree) -> Path:
    """Bind the socket of web, have it held, and start web; the socket's path."""
    path = tree.base / "web"
    store = ("fdholder-store", tree.scandir / "holder/s", "unix:web")
    assert run(ours("ipcserver-socketbinder", path, *store))[0] == 0
    return path


def get(path: Path, patience: float = 60.0) -> bytes:
    """The body of an HTTP answer. OSError when the connection is refused or reset."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(patience)
        one.connect(str(path))
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := one.recv(4096):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200"), answer
    return body


def test_what_the_examples_say_must_be_done_first_can_be_pasted(tmp_path: Path) -> None:
    examples = ROOT / "docs/examples/local"
    text = (examples / "README.md").read_text()
    block = text[text.index("Before the first start") : text.index("When `holder` is up")]
    lines = [line.strip() for line in block.splitlines() if line.startswith("    ")]
    script = "\n".join(lines).replace("getent group operators", f"echo operators:x:{NOBODY}:")
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    before = set(tmp_path.rglob("*"))
    assert run(["sh", "-e", "-c", script], cwd=tmp_path) == (0, "", "")
    made = {str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert made == {
        "holder/rules/uid/self/allow",
        "holder/rules/uid/self/env/FDHOLDER_RETRIEVE_REGEX",
        "holder/rules/uid/self/env/FDHOLDER_STORE_REGEX",
        f"restart-web/rules/gid/{NOBODY}/allow",
    }


def test_clients_that_come_before_the_daemon_wait_and_are_served(tree: Tree) -> None:
    # LOC-164 (partly)
    path = serve(tree)
    answers: list[bytes] = []
    early = threading.Thread(target=lambda: answers.append(get(path)))
    early.start()
    name = os.fsencode(path) + b"\n"  # of the listener, and of the connection that waits in its backlog
    until(lambda: pathlib.Path("/proc/net/unix").read_bytes().count(name) == 2)
    tree.send("web", "u")
    early.join(60)
    assert answers[0].startswith(b"served by ")


def test_a_server_is_restarted_under_load_and_no_connection_is_refused_or_reset(tree: Tree) -> None:
    # LOC-164
    path = serve(tree)
    tree.send("web", "u")
    tree.wait_for("ready", "web")
    over, counts, failures = threading.Event(), [0] * CLIENTS, []

    def client(number: int) -> None:
        try:
            while not over.is_set():
                get(path)
                counts[number] += 1
        except (OSError, AssertionError) as error:
            failures.append(repr(error))

    crowd = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in crowd:
        one.start()
    for number in range(RESTARTS):
        if number == RESTARTS // 2:  # and the holder as well
            tree.send("holder", "k")
            tree.wait_for("down", "holder")
            tree.wait_for("ready", "holder")
        before = sum(counts)
        tree.send("web", "t")
        tree.wait_for("down", "web")
        tree.wait_for("ready", "web")
        until(lambda before=before: failures or sum(counts) > before)  # type: ignore[misc]
    over.set()
    for one in crowd:
        one.join(60)
    assert failures == []
    assert tree.happened("web").count("ready") == RESTARTS + 1
    print(f"{RESTARTS} restarts, {sum(counts)} connections, none refused or reset")


@needs_root
def test_one_group_may_restart_one_service_and_nobody_may_do_anything_else(tree: Tree) -> None:
    # LOC-165
    serve(tree)
    tree.wait_for("ready", "restart-web")
    tree.send("web", "u")
    first = tree.wait_for("ready", "web")["pid"]
    path = tree.scandir / "restart-web/s"
    assert run(nobody("svsudo", path))[0] == 1  # no rule yet
    rule(tree.scandir / "restart-web/rules", f"gid/{NOBODY}")
    assert run(nobody("svsudo", path))[0] == 0
    second = tree.wait_for("ready", "web")["pid"]
    assert second != first
    holder = tree.status("holder").pid
    script = "echo oops >&2; exit 9"
    # Few tries, as each is a restart, which takes a second.
    for words in (["-d", "."], ["../holder", str(tree.scandir / "holder"), "sh", "-c", script, ";", script]):
        code, out, err = run(
            nobody("svsudo", path, "--", *words), env={"PATH": "/nowhere", "PYTHONPATH": "/x"}
        )
        assert (code, out, err) == (0, "", "")
    assert tree.status("holder").pid == holder
    assert "web" in os.listdir(tree.scandir)
