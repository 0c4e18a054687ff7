"""Descriptors held for others: stored, found again, forgotten; who may; what survives a death; what an attacker achieves."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import socket
import subprocess
import time

import pytest

from initfs.local.fdholder import client, protocol
from initfs.local.wire import frame
from initfs.loop import now
from tests.process.local_world import (
    ALL_RIGHTS,
    PATIENCE,
    attack,
    connect,
    descriptors,
    everything,
    needs_root,
    nobody,
    ours,
    own_key,
    public,
    real,
    rule,
    run,
    server,
    until,
)
from tests.process.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture
def place() -> Iterator[Path]:
    with public() as found:
        rule(found / "rules", own_key(), **ALL_RIGHTS)
        yield found


def holder(path: Path) -> client.Holder:
    return client.connect(str(path), now() + PATIENCE)


def daemon(place: Path, *options: str, name: str = "s") -> list[str]:
    return ours("fdholder-daemon", "-1", *options, "-i", place / "rules", place / name)


def test_a_descriptor_is_stored_listed_retrieved_and_deleted(place: Path) -> None:
    # LOC-161
    path = place / "s"
    with server(daemon(place)):
        assert run(ours("fdholder-store", path, "file:x"), stdin=subprocess.DEVNULL)[0] == 0
        (place / "file").write_text("content\n")
        with (place / "file").open() as file:
            assert run(ours("fdholder-store", path, "a b\n"), stdin=file)[0] == 0
            assert run(ours("fdholder-store", path, "a b\n"), stdin=file)[0] == 1  # in use
        assert run(ours("fdholder-list", path))[1] == "file:x\na b\\x0a\n"
        assert run(ours("fdholder-retrieve", path, "a b\n", "cat")) == (0, "content\n", "")
        assert run(ours("fdholder-delete", path, "file:x"))[0] == 0
        code, _, err = run(ours("fdholder-delete", path, "file:x"))
        assert (code, err) == (
            1,
            "fdholder-delete: fatal: unable to delete file:x: No such file or directory\n",
        )
        assert run(ours("fdholder-retrieve", "-D", path, "a b\n", "true"))[0] == 0
        assert run(ours("fdholder-list", path))[1] == ""
        assert run(ours("fdholder-retrieve", path, "gone", "true"))[0] == 1
    assert run(ours("fdholder-list", path))[0] == 111  # nobody listens
    for number in range(3, 10):  # the number that a connection would have
        assert run(ours("fdholder-store", "-d", number, path, "x"))[2].endswith(": Bad file descriptor\n")
    dump = {"FD#": "1", "FD_0": "3", "FDID_0": "x"}
    assert run(ours("fdholder-setdump", path), env=dump)[2].endswith(": Bad file descriptor\n")
    for bad in ("", "x" * 256):
        assert run(ours("fdholder-store", path, bad))[0] == 100


def test_what_expires_is_closed(place: Path) -> None:
    # LOC-161 (partly)
    reading, writing = os.pipe()
    with server(daemon(place)), holder(place / "s") as held:
        held.store(writing, b"pipe:x", time.time_ns() + 50_000_000)
        os.close(writing)
        assert os.read(reading, 1) == b""  # the end: the last writer is gone
        assert held.names() == []
        assert run(ours("fdholder-store", "-T", "60000", place / "s", "y"))[0] == 0
        (one,) = held.get_dump()
        assert one.limit is not None
        assert 50 < (one.limit - time.time_ns()) / 1e9 < 61
        os.close(one.descriptor)
    os.close(reading)


def test_limits_and_missing_rules(place: Path) -> None:
    # LOC-160
    assert run(ours("fdholder-daemon", place / "s"))[0] == 100
    assert run(ours("fdholder-daemon", "-i", place / "rules", "-x", "both", place / "s"))[0] == 100
    assert run(ours("fdholderd", "-1"))[0] == 100
    assert run(ours("fdholderd", "-i", place / "rules", "-c", "257"), stdin=subprocess.DEVNULL)[0] == 100
    with server(daemon(place, "-n", "2", "-c", "1")) as process:
        with holder(place / "s") as held:
            held.store(0, b"1")
            held.store(0, b"2")
            with pytest.raises(OSError, match=os.strerror(errno.ENFILE)) as caught:
                held.store(0, b"3")
            assert caught.value.errno == errno.ENFILE
            waiting = connect(place / "s")
            waiting.sendall(frame(b"L"))
            waiting.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
        waiting.settimeout(PATIENCE)
        assert waiting.recv(100) == frame(protocol.listing([b"1", b"2"]))
        waiting.close()
        process.terminate()
        assert process.wait(PATIENCE) == 1  # it held something, and that is lost


def test_a_holder_with_few_descriptors_says_how_many_it_can_hold(place: Path, tmp_path: Path) -> None:
    # LOC-160 (partly)
    log = tmp_path / "log"
    line = ["sh", "-c", 'ulimit -n 60; exec "$@"', "sh", *daemon(place, "-c", "4")]
    with server(line, log=log), holder(place / "s") as held:
        for number in range(36):
            held.store(0, b"%d" % number)
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.ENFILE)):
                held.store(0, b"one more")
        crowd = [connect(place / "s") for _ in range(6)]  # and there is room for clients
        assert len(held.names()) == 36
        for one in crowd:
            one.close()
    assert log.read_text() == "fdholderd: warning: room for 36 descriptors only: RLIMIT_NOFILE is 60\n"


def test_term_lets_what_was_begun_be_done_and_hup_reads_compiled_rules_anew(place: Path) -> None:
    # LOC-160 (partly)
    path, database = place / "s", place / "r.cdb"
    run(ours("accessrules-cdb-from-fs", database, place / "rules"))
    with server(ours("fdholder-daemon", "-1", "-T", "60000", "-x", database, path)) as process:
        assert run(ours("fdholder-list", path))[0] == 0
        (place / "rules" / own_key() / "env/FDHOLDER_LIST").unlink()
        run(ours("accessrules-cdb-from-fs", database, place / "rules"))
        process.send_signal(signal.SIGHUP)
        until(lambda: run(ours("fdholder-list", path))[0] == 1)
        late, idle = connect(path), connect(path)
        request = frame(protocol.encode(protocol.Delete(b"x")))
        late.sendall(request[:4])
        with holder(path) as held:
            held.store(0, b"seen")  # by now the server has accepted the two before
        process.terminate()
        assert everything(idle) == b""
        late.sendall(request[4:])
        assert everything(late) == frame(bytes([errno.ENOENT]))
        assert process.wait(PATIENCE) == 1


def test_a_client_that_says_nothing_is_disconnected_in_time(place: Path) -> None:
    with server(daemon(place, "-t", "50")):
        assert everything(connect(place / "s")) == b""
        half = connect(place / "s")
        half.sendall(b"\0\0")
        assert everything(half) == b""


def test_rights_are_granted_one_by_one_by_pattern(place: Path) -> None:
    # LOC-161 (partly)
    rules = place / "few"
    rule(rules, own_key(), FDHOLDER_STORE_REGEX="^pipe:\n", S6_FDHOLDER_RETRIEVE_REGEX="x$\n")
    line = ours("fdholder-daemon", "-1", "-i", rules, place / "s")
    with server(line):
        for name, code in ("pipe:x", 0), ("pipe:y", 0), ("unix:/pipe:", 1):
            assert run(ours("fdholder-store", place / "s", name), stdin=subprocess.DEVNULL)[0] == code, name
        for name, code in ("pipe:x", 0), ("pipe:y", 1):
            assert run(ours("fdholder-retrieve", place / "s", name, "true"))[0] == code, name
        assert run(ours("fdholder-list", place / "s"))[0] == 1
        assert run(ours("fdholder-getdump", place / "s", "true"))[0] == 1
        assert run(ours("fdholder-setdump", place / "s"), env={"FD#": "0"})[0] == 1
        assert run(ours("fdholder-delete", place / "s", "pipe:y"))[0] == 0


def test_nobody_connects_without_a_rule_not_even_root(place: Path) -> None:
    # LOC-163
    (place / "empty").mkdir()
    with server(ours("fdholder-daemon", "-1", "-i", place / "empty", place / "s")):
        assert run(ours("fdholder-list", place / "s"))[0] == 1
        rule(place / "empty", own_key())
        code, _, err = run(ours("fdholder-list", place / "s"))  # in, and without a right
        assert (code, err) == (1, "fdholder-list: fatal: unable to list: Operation not permitted\n")


@needs_root
def test_another_account_has_only_what_its_rule_grants(place: Path) -> None:
    with server(daemon(place)):
        assert run(nobody("fdholder-list", place / "s"))[0] == 1
        rule(place / "rules", "uid/65534", FDHOLDER_LIST="\n")
        assert run(nobody("fdholder-list", place / "s"))[0] == 0
        assert run(nobody("fdholder-store", place / "s", "x"), stdin=subprocess.DEVNULL)[0] == 1


def test_a_dump_goes_from_holder_to_holder(place: Path) -> None:
    # LOC-162
    with server(daemon(place, name="a")), server(daemon(place, name="b")):
        pipes = [os.pipe() for _ in range(300)]  # more than one message takes
        with holder(place / "a") as first:
            for number, (_, writing) in enumerate(pipes):
                first.store(writing, b"pipe:%d" % number, None if number else time.time_ns() + 10**12)
        assert run(ours("fdholder-transferdump", place / "a", place / "b"))[0] == 0
        with holder(place / "b") as second:
            assert second.names() == [b"pipe:%d" % number for number in range(300)]
            os.write(second.retrieve(b"pipe:299"), b"through b")
            assert os.read(pipes[299][0], 20) == b"through b"
            assert second.get_dump()[0].limit is not None
            second.delete(b"pipe:7")
        line = ours("fdholder-getdump", place / "a", "fdholder-setdump", place / "b")
        assert run(line)[0] == 0  # same names are overwritten
        assert run(ours("fdholder-list", place / "b"))[1].count("\n") == 300
        shown = run(ours("fdholder-getdump", place / "a", "env"))[1]
        assert "FD#=300" in shown
        assert "FDID_0=pipe:0\n" in shown
        assert "FDLIMIT_0=@4000" in shown
        (place / "empty").mkdir()
        with server(ours("fdholder-daemon", "-1", "-i", place / "empty", place / "c")):
            assert run(ours("fdholder-transferdump", place / "c", place / "b"))[0] == 1
            assert run(ours("fdholder-transferdump", place / "a", place / "c"))[0] == 2
        assert run(ours("fdholder-setdump", place / "a"), env={"FD#": "1", "FD_0": "0"})[0] == 100
        for pair in pipes:
            os.close(pair[0])
            os.close(pair[1])


def test_s6_s_clients_are_served_by_us_and_ours_by_s6(place: Path) -> None:
    # LOC-161 (partly) LOC-162 (partly)
    rules = place / "rules" / own_key() / "env"
    for name in list(os.listdir(rules)):
        (rules / f"S6_{name}").write_text((rules / name).read_text())
    (place / "file").write_text("content\n")
    theirs = [real("s6-fdholder-daemon"), "-1", "-i", str(place / "rules"), str(place / "s6")]
    with server(daemon(place)), server(theirs):
        for prefix, path in (
            ([real("s6-fdholder-list")[:-4]], place / "s"),
            (ours("fdholder-")[:-1], place / "s6"),
        ):

            def command(name: str, *words: str, start: list[str] = prefix) -> list[str]:
                if len(start) == 1:
                    return [start[0] + name, *words]
                return [*start, "fdholder-" + name, *words]

            with (place / "file").open() as file:
                store = command("store", "-T", "60000", str(path), "x")
                assert run(store, stdin=file)[0] == 0
                assert run(store, stdin=file)[0] == 1
            assert run(command("list", str(path)))[1] == "x\n"
            assert run(command("retrieve", str(path), "x", "cat"))[1] == "content\n"
            assert run(command("getdump", str(path), *command("setdump", str(path))))[0] == 0
            assert run(command("delete", str(path), "x"))[0] == 0
            assert run(command("delete", str(path), "x"))[0] == 1
        with holder(place / "s") as held:
            held.store(0, b"both")
        assert run([real("s6-fdholder-transferdump"), str(place / "s"), str(place / "s6")])[0] == 0
        with holder(place / "s6") as held:
            assert held.names() == [b"both"]


# Abuse ------------------------------------------------------------------------------------------


def test_no_attack_stops_the_server_or_leaves_a_descriptor_in_it(place: Path) -> None:
    path = place / "s"
    entry = protocol.encode(protocol.Store(protocol.Entry(b"n" * 255)))
    attacks: list[tuple[bytes, list[int]]] = [
        (b"", []),
        (b"\0", [0]),
        (frame(entry, 1)[:-1], [0]),  # half a message with its descriptor
        (frame(entry, 1), []),  # without
        (frame(b"L"), [0, 0]),  # with some that nobody asked for
        (frame(entry, 0), []),
        (frame(b"S" + bytes(13), 1), [0]),  # an empty name
        (frame(entry[:13] + b"\3a\0b\0", 1), [0]),  # NUL in it
        (frame(b"D\xff" + b"x" * 4096), []),
        (b"\xff\xff\xff\xff\0\0", []),  # 4 GB
        (b"\0\0\0\1\xff\xff", [0] * 250),
        (frame(b"?") * 100, []),
        (frame(b"!" + b"\xff" * 4), []),
        (frame(b"!\0\0\0\1") + frame(b".", 0), []),
        (frame(b"!\0\0\0\2") + frame(protocol.encode(protocol.Part((protocol.Entry(b"a"),))), 1), [0]),
        (frame(b"!\0\0\0\1") + frame(b"L"), []),
        (frame(protocol.encode(protocol.Part((protocol.Entry(b"a"),))), 1), [0]),
        (os.urandom(5000), [0, 1, 2]),
        (b"GET / HTTP/1.0\r\n\r\n", []),
    ]
    with server(daemon(place, "-c", "4")) as process, holder(path) as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for data, fds in attacks:
            attack(path, data, fds)
            assert held.names() == [b"safe"], data[:20]
        for name in (b"/etc/passwd", b"../x", b"x" * 255, b"\xff\xfe"):
            held.store(0, name)
            held.delete(name)
        until(lambda: descriptors(process.pid) == before)  # closed after the answer


def test_ten_thousand_descriptors_are_not_taken(place: Path) -> None:
    """Unclaimed ones above what a message can have end the connection; claimed ones above -n are refused."""
    with server(daemon(place, "-n", "100")) as process, holder(place / "s") as held:
        assert held.names() == []
        before = descriptors(process.pid)
        with connect(place / "s") as one:
            one.sendall(b"\0\0\0")  # and no message will ever be whole
            try:
                for _ in range(40):
                    socket.send_fds(one, [b"\1"], [0] * 250)
            except OSError:
                pass
            everything(one)
        refused = 0
        for number in range(150):
            try:
                held.store(0, b"%d" % number)
            except OSError as error:
                refused += error.errno == errno.ENFILE
        assert refused == 50
        for number in range(100):
            held.delete(b"%d" % number)
        until(lambda: descriptors(process.pid) == before)


def test_a_client_that_does_not_read_keeps_nobody_waiting_and_nothing_open(place: Path) -> None:
    with server(daemon(place)) as process, holder(place / "s") as held:
        for number in range(200):
            held.store(0, b"%03d" % number + b"n" * 250)
        before = descriptors(process.pid)
        deaf = connect(place / "s")
        for _ in range(50):
            deaf.sendall(frame(b"?"))
        assert len(held.names()) == 200
        held.delete(b"000" + b"n" * 250)  # while copies of it wait to be sent
        deaf.close()
        until(lambda: descriptors(process.pid) == before - 1)


def test_clients_that_do_not_read_take_no_descriptors_from_the_others(place: Path) -> None:
    """Each waits for all that is held: as copies they would be ten times what the process may have."""
    with server(daemon(place, "-n", "500")) as process, holder(place / "s") as held:
        for number in range(500):
            held.store(0, b"%03d" % number + b"n" * 250)
        before = descriptors(process.pid)
        crowd = [connect(place / "s") for _ in range(10)]
        for one in crowd:
            one.sendall(frame(b"?") * 20)
        assert len(held.names()) == 500
        until(lambda: descriptors(process.pid) >= before + len(crowd))
        assert len(held.names()) == 500  # by now it has answered the last one as well
        assert descriptors(process.pid) == before + len(crowd)
        for number in range(500):
            held.delete(b"%03d" % number + b"n" * 250)
        held.store(0, b"another")
        assert held.names() == [b"another"]
        for one in crowd:
            one.close()
        until(lambda: descriptors(process.pid) == before - 499)


def test_a_client_without_a_right_to_dumps_cannot_fill_the_holder(place: Path) -> None:
    rule(place / "mere", own_key(), FDHOLDER_STORE_REGEX="^x")
    line = ours("fdholder-daemon", "-1", "-i", place / "mere", place / "s")
    with server(line) as process, holder(place / "s") as held:
        held.store(0, b"x")
        before = descriptors(process.pid)
        greedy = connect(place / "s")
        socket.send_fds(greedy, [b"\0\0\1\0\0\1"], [0] * 250)
        assert everything(greedy) == b""
        with pytest.raises(PermissionError):
            held.store(0, b"y")
        with pytest.raises(PermissionError):
            held.set_dump([])
        assert descriptors(process.pid) == before


# Across restarts --------------------------------------------------------------------------------


def held_tree(place: Path) -> Tree:
    tree = Tree(place)
    line = daemon(place, "-K", "5")
    tree.add("holder", f"exec {shlex.join(line)}", **{"keep-fd": "5", "notification-fd": "1"})
    return tree


def test_the_holder_survives_its_own_death_and_the_tree_keeps_what_it_held(place: Path) -> None:
    with held_tree(place) as tree:
        tree.start().wait_for("ready", "holder")
        pipes = [os.pipe() for _ in range(5)]
        with holder(place / "s") as held:
            for number, (_, writing) in enumerate(pipes):
                held.store(writing, b"pipe:%d" % number, None if number else time.time_ns() + 10**12)
            held.delete(b"pipe:3")
        for letters in ("k", "t"):
            tree.send("holder", letters)
            tree.wait_for("down", "holder")
            tree.wait_for("ready", "holder")
        with holder(place / "s") as held:
            dump = {one.name: one for one in held.get_dump()}
            assert sorted(dump) == [b"pipe:0", b"pipe:1", b"pipe:2", b"pipe:4"]
            assert dump[b"pipe:0"].limit is not None
            os.write(dump[b"pipe:4"].descriptor, b"alive")
            assert os.read(pipes[4][0], 10) == b"alive"


def test_the_holder_survives_a_killed_tree_and_a_death_after_that(place: Path) -> None:
    """The next svscan takes the pair back from the process that has it, pidfd_getfd(2)."""
    with held_tree(place) as tree:
        tree.start().wait_for("ready", "holder")
        with holder(place / "s") as held:
            held.store(0, b"kept")
        tree.wait_furnished("holder")
        assert tree.process is not None
        tree.process.kill()
        tree.process.wait()
        tree.start().wait_for("up", "holder")
        tree.send("holder", "k")
        tree.wait_for("down", "holder")
        tree.wait_for("ready", "holder")
        with holder(place / "s") as held:
            assert held.names() == [b"kept"]


def test_the_holder_survives_a_tree_that_executes_itself_anew_while_it_is_dead(place: Path) -> None:
    with held_tree(place) as tree:
        tree.start().wait_for("ready", "holder")
        reading, writing = os.pipe()
        with holder(place / "s") as held:
            held.store(writing, b"kept")
        tree.wait_furnished("holder")
        tree.send("holder", "dk")
        tree.wait_for("down", "holder")  # now only the tree holds it
        assert tree.ours("svscanctl", "--reexec", ".").returncode == 0
        tree.wait_for("renewed")
        tree.send("holder", "u")
        tree.wait_for("ready", "holder")
        with holder(place / "s") as held:
            os.write(held.retrieve(b"kept"), b"alive")
        assert os.read(reading, 10) == b"alive"


def test_a_journal_of_many_changes_stays_short(place: Path) -> None:
    """A thousand changes and two deaths; what counts is there, the kernel holds no more than that for us."""
    reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "s"))
    listener.listen(10)

    def place_pair() -> None:
        os.dup2(reading.fileno(), 20)
        os.dup2(writing.fileno(), 21)

    line = ours("fdholderd", "-1", "-K", "20", "-i", place / "rules")
    options: dict[str, Any] = {"stdin": listener.fileno(), "preexec_fn": place_pair, "close_fds": False}
    with server(line, **options), holder(place / "s") as held:
        for number in range(500):
            held.store(0, b"%d" % number)
            if number >= 10:
                held.delete(b"%d" % number)
    with server(line, **options) as process, holder(place / "s") as held:
        assert held.names() == [b"%d" % number for number in range(10)]
        assert descriptors(process.pid) < 40
    sizes = []
    while True:
        try:
            sizes.append(len(reading.recv(1 << 16, socket.MSG_DONTWAIT)))
        except BlockingIOError:
            break
    assert len(sizes) == 1
    for end in (reading, writing, listener):
        end.close()
