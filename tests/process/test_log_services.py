"""The example services syslogd and klogd, from their socket to their sorted directories."""

from __future__ import annotations

import os
import shutil
import socket
import sys

import pytest

from tests.process.log_world import content, until
from tests.process.tree import ROOT, Tree
from tests.process.waiting import wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICES = ROOT / "services"
# The account `logger` is a board's, and is left out here: what a service does as itself is what is shown.
INITFS = f"""#!/bin/sh
if [ "$1" = setuidgid ]; then shift 3; fi
if [ "$1" = envuidgid ]; then export UID=$(id -u) GID=$(id -g) GIDLIST=$(id -g); shift 2; fi
PYTHONPATH={ROOT} exec {sys.executable} -S -m initfs.main "$@"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        (tmp_path / "bin").mkdir()
        for name, text in (("initfs", INITFS), ("chown", "#!/bin/sh\n")):
            (tmp_path / "bin" / name).write_text(text)
            (tmp_path / "bin" / name).chmod(0o755)
        tree.environment |= {
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "SYSLOG_SOCKET": str(tmp_path / "socket"),
            "SYSLOG_DIRECTORY": str(tmp_path / "syslogd"),
            "KERNEL_MESSAGES": str(tmp_path / "kmsg"),
            "KLOG_DIRECTORY": str(tmp_path / "klogd"),
        }
        yield tree


def test_syslogd_sorts_what_programs_say(tree: Tree) -> None:
    # LOG-118 (partly)
    shutil.copytree(SERVICES / "syslogd", tree.scandir / "syslogd")
    tree.start()
    tree.wait_for("ready", "syslogd")
    wait_exists(tree.base / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        for number, text in (
            (22, "a letter"),
            (86, "a login"),
            (11, "an error"),
            (15, "a detail"),
            (14, "a word"),
        ):
            mouth.sendto(f"<{number}>{text}".encode(), str(tree.base / "socket"))
    until(lambda: content(tree.base / "syslogd/everything").endswith(b"user.info: a word\n"))
    until(lambda: content(tree.base / "syslogd/messages").endswith(b"user.info: a word\n"))
    sorted_ = {path.name: content(path).count(b"\n") for path in (tree.base / "syslogd").iterdir()}
    assert sorted_ == {
        "everything": 5, "secure": 1, "cron": 0, "daemon": 0, "kernel": 0, "mail": 1, "user": 3, "debug": 1, "errors": 1, "messages": 1,
    }  # fmt: skip
    assert content(tree.base / "syslogd/mail").endswith(b"  mail.info: a letter\n")
    assert tree.stop() == 0


def test_klogd_names_what_the_kernel_says(tree: Tree) -> None:
    # LOG-118 (partly)
    shutil.copytree(SERVICES / "klogd", tree.scandir / "klogd")
    os.mkfifo(tree.base / "kmsg")
    tree.start()
    (tree.base / "kmsg").write_text("<6>[    0.000000] Linux version\n")
    until(lambda: content(tree.base / "klogd").endswith(b" kern.info: [    0.000000] Linux version\n"))
    assert tree.stop() == 0
