"""Descriptors held for others: stored, found again, forgotten; who may, and how many."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time

import pytest

from initfs.local.fdholder import protocol
from initfs.local.wire import frame
from tests.process.local_world import (
    PATIENCE,
    connect,
    daemon,
    everything,
    holder,
    needs_root,
    nobody,
    ours,
    own_key,
    real,
    rule,
    run,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def test_a_descriptor_is_stored_listed_retrieved_and_deleted(ruled: Path) -> None:
    # LOC-161
    path = ruled / "s"
    with server(daemon(ruled)):
        assert run(ours("fdholder-store", path, "file:x"), stdin=subprocess.DEVNULL)[0] == 0
        (ruled / "file").write_text("content\n")
        with (ruled / "file").open() as file:
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


def test_what_expires_is_closed(ruled: Path) -> None:
    # LOC-161 (partly)
    reading, writing = os.pipe()
    with server(daemon(ruled)), holder(ruled / "s") as held:
        held.store(writing, b"pipe:x", time.time_ns() + 50_000_000)
        os.close(writing)
        assert os.read(reading, 1) == b""  # the end: the last writer is gone
        assert held.names() == []
        assert run(ours("fdholder-store", "-T", "60000", ruled / "s", "y"))[0] == 0
        (one,) = held.get_dump()
        assert one.limit is not None
        assert 50 < (one.limit - time.time_ns()) / 1e9 < 61
        os.close(one.descriptor)
    os.close(reading)


def test_limits_and_missing_rules(ruled: Path) -> None:
    # LOC-160
    assert run(ours("fdholder-daemon", ruled / "s"))[0] == 100
    assert run(ours("fdholder-daemon", "-i", ruled / "rules", "-x", "both", ruled / "s"))[0] == 100
    assert run(ours("fdholderd", "-1"))[0] == 100
    assert run(ours("fdholderd", "-i", ruled / "rules", "-c", "257"), stdin=subprocess.DEVNULL)[0] == 100
    with server(daemon(ruled, "-n", "2", "-c", "1")) as process:
        with holder(ruled / "s") as held:
            held.store(0, b"1")
            held.store(0, b"2")
            with pytest.raises(OSError, match=os.strerror(errno.ENFILE)) as caught:
                held.store(0, b"3")
            assert caught.value.errno == errno.ENFILE
            waiting = connect(ruled / "s")
            waiting.sendall(frame(b"L"))
            waiting.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
        waiting.settimeout(PATIENCE)
        assert waiting.recv(100) == frame(protocol.listing([b"1", b"2"]))
        waiting.close()
        process.terminate()
        assert process.wait(PATIENCE) == 1  # it held something, and that is lost


def test_a_holder_with_few_descriptors_says_how_many_it_can_hold(ruled: Path, tmp_path: Path) -> None:
    # LOC-160 (partly)
    log = tmp_path / "log"
    line = ["sh", "-c", 'ulimit -n 60; exec "$@"', "sh", *daemon(ruled, "-c", "4")]
    with server(line, log=log), holder(ruled / "s") as held:
        for number in range(36):
            held.store(0, b"%d" % number)
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.ENFILE)):
                held.store(0, b"one more")
        crowd = [connect(ruled / "s") for _ in range(6)]  # and there is room for clients
        assert len(held.names()) == 36
        for one in crowd:
            one.close()
    assert log.read_text() == "fdholderd: warning: room for 36 descriptors only: RLIMIT_NOFILE is 60\n"


def test_term_lets_what_was_begun_be_done_and_hup_reads_compiled_rules_anew(ruled: Path) -> None:
    # LOC-160 (partly)
    path, database = ruled / "s", ruled / "r.cdb"
    run(ours("accessrules-cdb-from-fs", database, ruled / "rules"))
    with server(ours("fdholder-daemon", "-1", "-T", "60000", "-x", database, path)) as process:
        assert run(ours("fdholder-list", path))[0] == 0
        (ruled / "rules" / own_key() / "env/FDHOLDER_LIST").unlink()
        run(ours("accessrules-cdb-from-fs", database, ruled / "rules"))
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


def test_a_client_that_says_nothing_is_disconnected_in_time(ruled: Path) -> None:
    with server(daemon(ruled, "-t", "50")):
        assert everything(connect(ruled / "s")) == b""
        half = connect(ruled / "s")
        half.sendall(b"\0\0")
        assert everything(half) == b""


def test_rights_are_granted_one_by_one_by_pattern(ruled: Path) -> None:
    # LOC-161 (partly)
    rules = ruled / "few"
    rule(rules, own_key(), FDHOLDER_STORE_REGEX="^pipe:\n", S6_FDHOLDER_RETRIEVE_REGEX="x$\n")
    line = ours("fdholder-daemon", "-1", "-i", rules, ruled / "s")
    with server(line):
        for name, code in ("pipe:x", 0), ("pipe:y", 0), ("unix:/pipe:", 1):
            assert run(ours("fdholder-store", ruled / "s", name), stdin=subprocess.DEVNULL)[0] == code, name
        for name, code in ("pipe:x", 0), ("pipe:y", 1):
            assert run(ours("fdholder-retrieve", ruled / "s", name, "true"))[0] == code, name
        assert run(ours("fdholder-list", ruled / "s"))[0] == 1
        assert run(ours("fdholder-getdump", ruled / "s", "true"))[0] == 1
        assert run(ours("fdholder-setdump", ruled / "s"), env={"FD#": "0"})[0] == 1
        assert run(ours("fdholder-delete", ruled / "s", "pipe:y"))[0] == 0


def test_nobody_connects_without_a_rule_not_even_root(ruled: Path) -> None:
    # LOC-163
    (ruled / "empty").mkdir()
    with server(ours("fdholder-daemon", "-1", "-i", ruled / "empty", ruled / "s")):
        assert run(ours("fdholder-list", ruled / "s"))[0] == 1
        rule(ruled / "empty", own_key())
        code, _, err = run(ours("fdholder-list", ruled / "s"))  # in, and without a right
        assert (code, err) == (1, "fdholder-list: fatal: unable to list: Operation not permitted\n")


@needs_root
def test_another_account_has_only_what_its_rule_grants(ruled: Path) -> None:
    with server(daemon(ruled)):
        assert run(nobody("fdholder-list", ruled / "s"))[0] == 1
        rule(ruled / "rules", "uid/65534", FDHOLDER_LIST="\n")
        assert run(nobody("fdholder-list", ruled / "s"))[0] == 0
        assert run(nobody("fdholder-store", ruled / "s", "x"), stdin=subprocess.DEVNULL)[0] == 1


def test_a_dump_goes_from_holder_to_holder(ruled: Path) -> None:
    # LOC-162
    with server(daemon(ruled, name="a")), server(daemon(ruled, name="b")):
        pipes = [os.pipe() for _ in range(300)]  # more than one message takes
        with holder(ruled / "a") as first:
            for number, (_, writing) in enumerate(pipes):
                first.store(writing, b"pipe:%d" % number, None if number else time.time_ns() + 10**12)
        assert run(ours("fdholder-transferdump", ruled / "a", ruled / "b"))[0] == 0
        with holder(ruled / "b") as second:
            assert second.names() == [b"pipe:%d" % number for number in range(300)]
            os.write(second.retrieve(b"pipe:299"), b"through b")
            assert os.read(pipes[299][0], 20) == b"through b"
            assert second.get_dump()[0].limit is not None
            second.delete(b"pipe:7")
        line = ours("fdholder-getdump", ruled / "a", "fdholder-setdump", ruled / "b")
        assert run(line)[0] == 0  # same names are overwritten
        assert run(ours("fdholder-list", ruled / "b"))[1].count("\n") == 300
        shown = run(ours("fdholder-getdump", ruled / "a", "env"))[1]
        assert "FD#=300" in shown
        assert "FDID_0=pipe:0\n" in shown
        assert "FDLIMIT_0=@4000" in shown
        (ruled / "empty").mkdir()
        with server(ours("fdholder-daemon", "-1", "-i", ruled / "empty", ruled / "c")):
            assert run(ours("fdholder-transferdump", ruled / "c", ruled / "b"))[0] == 1
            assert run(ours("fdholder-transferdump", ruled / "a", ruled / "c"))[0] == 2
        assert run(ours("fdholder-setdump", ruled / "a"), env={"FD#": "1", "FD_0": "0"})[0] == 100
        for pair in pipes:
            os.close(pair[0])
            os.close(pair[1])


def test_s6_s_clients_are_served_by_us_and_ours_by_s6(ruled: Path) -> None:
    # LOC-161 (partly) LOC-162 (partly)
    rules = ruled / "rules" / own_key() / "env"
    for name in list(os.listdir(rules)):
        (rules / f"S6_{name}").write_text((rules / name).read_text())
    (ruled / "file").write_text("content\n")
    theirs = [real("s6-fdholder-daemon"), "-1", "-i", str(ruled / "rules"), str(ruled / "s6")]
    with server(daemon(ruled)), server(theirs):
        for prefix, path in (
            ([real("s6-fdholder-list")[:-4]], ruled / "s"),
            (ours("fdholder-")[:-1], ruled / "s6"),
        ):

            def command(name: str, *words: str, start: list[str] = prefix) -> list[str]:
                if len(start) == 1:
                    return [start[0] + name, *words]
                return [*start, "fdholder-" + name, *words]

            with (ruled / "file").open() as file:
                store = command("store", "-T", "60000", str(path), "x")
                assert run(store, stdin=file)[0] == 0
                assert run(store, stdin=file)[0] == 1
            assert run(command("list", str(path)))[1] == "x\n"
            assert run(command("retrieve", str(path), "x", "cat"))[1] == "content\n"
            assert run(command("getdump", str(path), *command("setdump", str(path))))[0] == 0
            assert run(command("delete", str(path), "x"))[0] == 0
            assert run(command("delete", str(path), "x"))[0] == 1
        with holder(ruled / "s") as held:
            held.store(0, b"both")
        assert run([real("s6-fdholder-transferdump"), str(ruled / "s"), str(ruled / "s6")])[0] == 0
        with holder(ruled / "s6") as held:
            assert held.names() == [b"both"]
