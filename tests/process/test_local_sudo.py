"""Privilege without setuid: what a client may choose, what it may not, and what happens when it goes."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading

import pytest

from initfs import loop, say
from initfs.local import sockets
from initfs.local.sudo import client, protocol
from initfs.local.sudo.server import Server, spawn
from initfs.local.sudo.session import Manner
from initfs.local.wire import frame
from tests.process.local_world import (
    PATIENCE,
    connect,
    descriptors,
    everything,
    needs_root,
    nobody,
    ours,
    real,
    rule,
    run,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SHOW = ["sh", "-c", 'echo "$@|$ASKED|$GIVEN|${EXTRA-unset}"; echo err >&2; cat; exit 7', "x", "one"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "ASKED": "", "GIVEN": "ours"}
CLIENT = {"ASKED": "theirs", "GIVEN": "theirs", "EXTRA": "theirs"}


def sudod(path: Path, *words: str) -> list[str]:
    return ours("ipcserver", "-1", path, "sudod", *words)


def test_the_client_gives_arguments_descriptors_and_the_variables_it_is_asked_for(path: Path) -> None:
    # LOC-158
    with server(sudod(path, *SHOW), env=ENVIRONMENT):
        code, out, err = run(ours("svsudo", path, "a b", "c"), env=CLIENT, input=b"stdin")
        assert (code, out, err) == (7, "one a b c|theirs|ours|unset\nstdin", "err\n")
        assert run(ours("svsudo", "-e", path), env=CLIENT, input=b"")[1] == "one||ours|unset\n"


def test_descriptors_can_be_withheld(path: Path, tmp_path: Path) -> None:
    # LOC-158 (partly)
    log = tmp_path / "log"
    with server(sudod(path, "-0", "-1", "-2", *SHOW), log=log, env=ENVIRONMENT):
        assert run(ours("svsudo", path), input=b"stdin") == (7, "", "")
    assert log.read_text() == "err\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_the_client_ends_as_the_program_did(path: Path, script: str, code: int) -> None:
    # LOC-158 (partly)
    with server(sudod(path, "sh", "-c", script)):
        assert run(ours("svsudo", path))[0] == code


def test_what_cannot_be_started_is_said_to_the_client(path: Path) -> None:
    with server(sudod(path, "/nowhere/at/all")):
        code, _, err = run(ours("svsudo", path))
        assert (code, err) == (
            111,
            "sudoc: fatal: unable to have the program started: No such file or directory\n",
        )
    with server(sudod(path)):
        assert run(ours("svsudo", path))[0] == 111  # nothing to run
        assert run(ours("svsudo", path, "echo", "all yours"))[:2] == (0, "all yours\n")


def test_time_limits_of_both_sides(path: Path, tmp_path: Path) -> None:
    # LOC-158 (partly)
    log = tmp_path / "log"
    with server(sudod(path, "-t", "100", "true"), log=log):
        silent = connect(path)
        assert everything(silent) == protocol.HELLO
    with server(sudod(path, "sh", "-c", "echo $$; exec sleep 60")):
        code, out, _ = run(ours("svsudo", "-T", "1500", path))
        assert code == 99
        assert out
        until(lambda: not os.path.exists(f"/proc/{out.strip()}"))  # and the program went with its client
    assert "no whole order in time" in log.read_text()


def test_a_client_that_dies_takes_its_program_along(path: Path, tmp_path: Path) -> None:
    # LOC-159
    note = tmp_path / "note"
    script = f"trap 'echo termed >{note}; exit' TERM; echo started; while :; do sleep 0.05; done"
    with server(sudod(path, "sh", "-c", script)):
        client = subprocess.Popen(ours("svsudo", path), stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert client.stdout.readline() == b"started\n"
        client.kill()
        client.wait()
        until(lambda: note.exists() and note.read_text() == "termed\n")
        client.stdout.close()


def test_a_detached_program_outlives_its_client(path: Path, tmp_path: Path) -> None:
    # LOC-159 (partly)
    started, go, note = (tmp_path / name for name in ("started", "go", "note"))
    os.mkfifo(go)
    script = f"trap 'echo termed >{note}' TERM; >{started}; read -r line <{go}; echo done >{note}"
    with server(sudod(path, "-d", "sh", "-c", script)):
        client = subprocess.Popen(ours("svsudo", path))
        until(started.exists)
        client.kill()
        client.wait()
        go.write_text("go\n")
        until(lambda: note.exists() and note.read_text() == "done\n")


@needs_root
def test_an_unprivileged_client_gets_one_privileged_thing_and_nothing_else(path: Path) -> None:
    # LOC-158 LOC-165 (partly)
    rules = path.parent / "rules"
    rule(rules, "uid/default")
    secret = path.parent / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    line = ["ipcserver-access", "-i", str(rules), "sudod", "cat", "--", str(secret)]
    with server(ours("ipcserver", "-1", path, *line)):
        assert run(nobody("svsudo", path))[:2] == (0, "secret\n")
        code, out, _ = run(nobody("svsudo", path, "/etc/shadow"))
        assert (code, out.startswith("secret\n")) == (
            0,
            True,
        )  # arguments are the client's: a service must say what it takes


def half(count: int) -> bytes:
    whole = frame(protocol.encode([b"a", b"b"], [b"C=d"]), 3)
    return whole[:count]


def test_clients_that_go_at_each_step_leave_nothing_behind(path: Path) -> None:
    with server(sudod(path, "true")) as process:
        with connect(path) as one:
            one.recv(100)
        before = until(lambda: descriptors(process.pid))
        for count in range(0, len(half(10000)), 3):
            with connect(path) as one:
                if count:
                    socket.send_fds(one, [half(count)], [0, 1, 2])
        for attack in (b"\xff" * 300, b"GET / HTTP/1.0\r\n\r\n", bytes(1000), half(10000)):
            with connect(path) as one:
                one.sendall(attack)
                assert everything(one)[:15] == protocol.HELLO
        assert run(ours("svsudo", path))[0] == 0
        until(lambda: descriptors(process.pid) <= before)


def test_s6_s_client_is_served_by_us_and_ours_by_s6(path: Path) -> None:
    # LOC-158 (partly)
    with server(sudod(path, *SHOW), env=ENVIRONMENT):
        found = run([real("s6-sudo"), str(path), "a"], env=CLIENT, input=b"in")
        assert found == (7, "one a|theirs|ours|unset\nin", "err\n")
    line = [real("s6-ipcserver"), "-1", str(path), real("s6-sudod"), *SHOW]
    with server(line, env=ENVIRONMENT):
        assert run(ours("svsudo", path, "a"), env=CLIENT, input=b"in") == found


def test_a_server_of_orders_goes_on_whatever_the_start_of_one_raises(path: Path) -> None:
    """What cannot be foreseen is that client's error, and said; the next order is run."""
    troubles: list[Exception] = [
        ValueError("embedded null byte"),
        say.Fatal(100, "no such thing"),
        KeyError("x"),
    ]

    def start(order: protocol.Order) -> int:
        if troubles:
            raise troubles.pop(0)
        return spawn(list(order.arguments), {b"PATH": b"/usr/bin:/bin"}, order.descriptors)

    answers: list[int] = []
    around, listener = loop.Loop(), sockets.bind(str(path))
    listener.listen(5)
    serving = Server(around, listener, lambda _: True, start, Manner())
    around.on_signals(serving.signalled, signal.SIGCHLD)

    def ask() -> None:  # no process: the server reaps all of ours
        for _ in range(4):
            connection = sockets.connect(str(path))
            try:
                status = client.run(
                    connection, connection, [b"sh", b"-c", b"exit 5"], [], (0, 1, 2), deadline, deadline
                )
            except client.Refused as refused:
                status = refused.errno or 0
            answers.append(status)
            connection.close()

    deadline = loop.now() + PATIENCE
    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive() and loop.now() < deadline:
        serving.turn(loop.now() + 0.1)
    asking.join()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    around.close()
    listener.close()
    assert answers == [errno.EIO, errno.EIO, errno.EIO, 5 << 8]


def test_a_client_of_something_else_says_so(path: Path) -> None:
    with server(ours("ipcserver", "-1", path, "echo", "a server of another kind")):
        code, _, err = run(ours("svsudo", path))
        assert (code, "another language" in err) == (111, True)
    with server(ours("ipcserver", "-1", path, "true")):
        assert run(ours("svsudo", path))[0] == 1  # it hung up: not let in
