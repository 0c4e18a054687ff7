"""Servers and clients on Unix sockets: who is served, with which descriptors and variables, how many at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys

import pytest

from tests.process.local_world import (
    NOBODY,
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

ECHO = ["sh", "-c", 'read -r line; echo "got $line"']
HELD = ["sh", "-c", "echo here; exec cat"]
SHOW = [
    "sh",
    "-c",
    'echo "$PROTO ${IPCREMOTEEUID-unset} ${IPCREMOTEEGID-unset} $IPCCONNNUM ${IPCREMOTEPATH-unset}"',
]


def test_a_client_talks_through_6_and_7_to_a_server_s_0_and_1(path: Path) -> None:
    # LOC-152 LOC-153 (partly)
    with server(ours("ipcserver", "-1", path, *ECHO)):
        script = 'echo "hi $PROTO ${IPCLOCALPATH-unset}" >&7; cat <&6'
        assert run(ours("ipcclient", path, "sh", "-c", script)) == (0, "got hi IPC unset\n", "")
        assert run(ours("ipcclient", "-l", "me", path, "sh", "-c", script))[1] == "got hi IPC me\n"
        bound = str(path) + ".client"
        assert run(ours("ipcclient", "-p", bound, path, "sh", "-c", script))[1] == f"got hi IPC {bound}\n"


def test_a_client_s_name_is_told_to_the_server_and_never_takes_the_place_of_a_file(path: Path) -> None:
    # LOC-152 (partly)
    talk = ["sh", "-c", "cat <&6"]
    with server(ours("ipcserver", "-1", path, *SHOW), cwd=path.parent):
        bound = f"{path}.client"
        for _, code in ("free", 0), ("taken by the one before", 111):
            done = run(ours("ipcclient", "-p", bound, path, *talk))
            assert (done[0], done[1].endswith(f" {bound}\n")) == (code, not code)
        file = path.parent / "precious"
        file.write_text("content")
        code, _, err = run(ours("ipcclient", "-p", file, path, *talk))
        assert (code, err) == (111, f"ipcclient: fatal: unable to bind to {file}: Address already in use\n")
        assert file.read_text() == "content"
        with socket.socket(socket.AF_UNIX) as abstract:  # no path, and not even text
            abstract.bind(b"\0a\0b\xff" + os.urandom(8))
            abstract.connect(str(path))
            assert everything(abstract).endswith(b" 1 \n")


def test_a_client_without_a_server_says_so(path: Path) -> None:
    # LOC-152 (partly)
    code, out, err = run(ours("ipcclient", path, "true"))
    assert (code, out) == (111, "")
    assert err == f"ipcclient: fatal: unable to connect to {path}: No such file or directory\n"


def test_fifty_clients_at_once_are_all_served(path: Path) -> None:
    # LOC-153 (partly)
    with server(ours("ipcserver", "-1", "-c", "50", "-C", "50", path, *ECHO)):
        crowd = [connect(path) for _ in range(50)]
        for number, one in enumerate(crowd):
            one.sendall(b"%d\n" % number)
        assert [everything(one) for one in crowd] == [b"got %d\n" % number for number in range(50)]


def test_beyond_c_clients_wait_and_beyond_those_of_a_user_they_are_refused(
    path: Path, tmp_path: Path
) -> None:
    # LOC-153 (partly)
    log = tmp_path / "log"
    with server(ours("ipcserver", "-1", "-v", "-c", "2", path, *HELD), log=log):
        first, second, third = connect(path), connect(path), connect(path)
        assert first.recv(5) == b"here\n"
        assert second.recv(5) == b"here\n"
        third.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.recv(5)
        first.close()
        third.settimeout(20)
        assert third.recv(5) == b"here\n"
    with server(ours("ipcserver", "-1", "-c", "5", "-C", "2", path, *HELD), log=log):
        held = [connect(path) for _ in range(2)]
        assert [one.recv(5) for one in held] == [b"here\n"] * 2
        assert everything(connect(path)) == b""
    assert "refused uid" in log.read_text()
    assert "allow pid" in log.read_text()


def test_a_user_has_forty_connections_unless_told_otherwise(path: Path, tmp_path: Path) -> None:
    # LOC-153 (partly)
    log = tmp_path / "log"
    with server(ours("ipcserver", "-1", "-q", "-v", "-c", "60", path, *HELD), log=log):
        crowd = [connect(path) for _ in range(42)]
        assert sorted(one.recv(5) for one in crowd) == [b""] * 2 + [b"here\n"] * 40
    assert log.read_text().count("refused uid") == 2  # of -q and -v the last one counts


@pytest.mark.parametrize(
    ("signum", "serves"), [("HUP", True), ("TERM", False), ("QUIT", False), ("ABRT", False)]
)
def test_signals_end_the_children_or_the_server_or_both(path: Path, signum: str, serves: bool) -> None:
    # LOC-153 (partly)
    with server(ours("ipcserver", "-1", path, *HELD)) as process:
        one = connect(path)
        assert one.recv(5) == b"here\n"
        process.send_signal(getattr(signal, f"SIG{signum}"))
        if signum == "TERM":  # children live
            assert process.wait(20) == 0
            one.sendall(b"still\n")
            assert one.recv(6) == b"still\n"
        else:
            assert everything(one) == b""
        if serves:
            again = connect(path)
            assert again.recv(5) == b"here\n"
        else:
            assert process.wait(20) == 0


def test_a_socket_is_made_with_its_mode_at_once_and_replaces_another_only_when_it_may(path: Path) -> None:
    # LOC-153
    with server(ours("ipcserver", "-1", "-a", "0710", path, *ECHO)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o710
        code, _, err = run(ours("ipcserver", "-D", path, "true"))
        assert (code, "Address already in use" in err) == (111, True)
    assert run(ours("ipcserver-socketbinder", "-a", "999", path, "true"))[0] == 100
    assert (
        run(ours("ipcserver-socketbinder", "-m", path, "true"))[0] == 100
    )  # a datagram socket does not listen
    script = "import os, socket; s = socket.socket(fileno=0); print(int(s.type), os.get_blocking(0))"
    binder = ours("ipcserver-socketbinder", "-m", "-b0", "-B", path, sys.executable, "-c", script)
    assert run(binder)[1] == "2 True\n"
    assert run(ours("ipcserverd", "true"), stdin=subprocess.DEVNULL)[0] == 100


@needs_root
def test_the_server_knows_who_connects_unless_it_is_not_to_ask(path: Path) -> None:
    # LOC-154
    with server(ours("ipcserver", "-1", path, *SHOW)):
        client = ours("ipcclient", path, "sh", "-c", "cat <&6")
        assert run(client)[1] == "IPC 0 0 1 \n"
        assert run(nobody("ipcclient", path, "sh", "-c", "cat <&6"))[1] == f"IPC {NOBODY} {NOBODY} 1 \n"
    with server(
        ours("ipcserver", "-1", "-P", path, *SHOW), env={"PATH": os.environ["PATH"], "IPCREMOTEEUID": "0"}
    ):
        assert run(client)[1].startswith("IPC unset unset 1 ")


@needs_root
@pytest.mark.skipif(
    not all(folder.stat().st_mode & stat.S_IXOTH for folder in pathlib.Path(__file__).resolve().parents),
    reason="only root may read this checkout",
)
def test_a_server_takes_on_an_identity_after_it_has_bound(path: Path) -> None:
    ids = {"UID": "65534", "GID": "65534", "GIDLIST": "5", "PATH": os.environ["PATH"]}
    show = ["sh", "-c", 'echo "$(id -u) $(id -g) $(id -G) ${UID-gone} ${GIDLIST-gone}"']
    line = ["-u", str(NOBODY), "-g", str(NOBODY), "-G", "5"]
    for options, told in (line, "65534 5"), (["-U"], "gone gone"):
        with server(ours("ipcserver", "-1", *options, path, *show), env=ids):
            words = everything(connect(path)).decode().split()
            assert words[:2] == ["65534", "65534"]
            assert "5" in words[2:4]
            assert " ".join(words[-2:]) == told


def test_a_server_without_a_standard_error_has_no_file_of_its_own_there_and_a_handler_has_one(
    path: Path,
) -> None:
    script = "readlink /proc/$$/fd/2 /proc/$PPID/fd/2"
    with server(["sh", "-c", 'exec "$@" 2>&-', "sh", *ours("ipcserver", "-1", path, "sh", "-c", script)]):
        assert everything(connect(path)) == b"/dev/null\n" * 2


def test_connections_of_a_user_are_counted(path: Path) -> None:
    with server(ours("ipcserver", "-1", path, "sh", "-c", "echo $IPCCONNNUM; exec cat")):
        crowd = [connect(path) for _ in range(3)]
        assert sorted(one.recv(2) for one in crowd) == [b"1\n", b"2\n", b"3\n"]


def test_a_handler_of_ours_runs_in_the_warm_server(path: Path) -> None:
    """The server's own argv is seen in the handler's /proc entry: nothing was executed in between."""
    with server(
        ours("ipcserver", "-1", path, "foreground", " sh", " -c", " cat /proc/$PPID/cmdline", "", "true")
    ):
        assert b"ipcserver\0-1\0" in everything(connect(path))


def test_what_a_handler_does_to_itself_the_server_and_the_next_do_not_see(path: Path) -> None:
    with server(
        ours("ipcserver", "-1", path, "export", "MARK", "1", "umask", "0", "cd", "/", *SHOW)
    ) as process:
        for _ in range(3):
            assert everything(connect(path)).startswith(b"IPC ")
        assert os.readlink(f"/proc/{process.pid}/cwd") != "/"


def test_a_copy_of_the_server_keeps_neither_its_listener_nor_its_connection(path: Path) -> None:
    """Or a client would wait for the end of an answer, and others at a door behind which nobody is."""
    script = "ls -l /proc/$PPID/fd | grep -c socket"
    with server(ours("ipcserver", "-1", path, "foreground", " sh", " -c", f" {script}", "", "true")):
        assert everything(connect(path)) == b"2\n"  # 0 and 1


def test_a_server_holds_no_more_descriptors_after_a_thousand_clients_of_all_kinds(path: Path) -> None:
    with server(
        ours("ipcserver", "-1", "-c", "100", "-C", "100", path, "connlimit", "chain", "-c", "")
    ) as process:
        everything(connect(path))
        before = descriptors(process.pid)
        for number in range(150):
            one = connect(path)
            if number % 3 == 0:
                one.close()
            elif number % 3 == 1:
                with contextlib.suppress(BrokenPipeError):  # it may have been served already
                    one.send(os.urandom(20))
                one.close()
            else:
                everything(one)
        everything(connect(path))
        until(lambda: descriptors(process.pid) == before)


@needs_root
def test_a_peer_from_another_user_namespace_is_nobody_and_not_root(path: Path, tmp_path: Path) -> None:
    """Root in there is an ordinary account out here, and SO_PEERCRED says so."""
    rules = tmp_path / "rules"
    rule(rules, "uid/0")
    with server(ours("ipcserver", "-1", path, "ipcserver-access", "-i", rules, *SHOW)):
        words = ("ipcclient", path, "sh", "-c", "id -u; cat <&6")
        stranger = run(nobody(*words, kind="namespace"))
        if stranger[0] == 77:
            pytest.skip("no user namespaces for ordinary accounts")
        assert stranger == (0, "0\n", "")  # nothing came from the server
        assert run(ours(*words))[1] == "0\nIPC 0 0 1 \n"


def test_s6_s_client_is_served_by_us_and_ours_by_s6(path: Path, tmp_path: Path) -> None:
    # LOC-152 LOC-153
    script = "echo hi >&7; cat <&6"
    with server(ours("ipcserver", "-1", path, *ECHO)):
        assert run([real("s6-ipcclient"), str(path), "sh", "-c", script]) == (0, "got hi\n", "")
    other = tmp_path / "other"
    with server([real("s6-ipcserver"), "-1", str(other), *ECHO]):
        assert run(ours("ipcclient", other, "sh", "-c", script)) == (0, "got hi\n", "")


def test_s6_s_chain_of_access_and_sudo_works_under_our_server(path: Path, tmp_path: Path) -> None:
    rules = pathlib.Path(tmp_path) / "rules"
    rule(rules, f"uid/{os.geteuid()}")
    line = [
        real("s6-ipcserver-access"),
        "-i",
        str(rules),
        real("s6-sudod"),
        "sh",
        "-c",
        'echo "$1"; exit 3',
        "x",
    ]
    with server(ours("ipcserver", "-1", path, *line)):
        assert run(ours("svsudo", path, "word"))[:2] == (3, "word\n")
