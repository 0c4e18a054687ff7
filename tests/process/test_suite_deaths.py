"""svdt, svdt-clear, permafailon and svperms on a real tree, beside those of s6."""

from __future__ import annotations

import os
import pathlib
import pwd
import tempfile
import time

import pytest

from initfs import tai
from initfs.supervise import client, deaths
from tests.process.notify_world import ours, real, run
from tests.process.small_tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = "-t9000"


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Iterator[Tree]:
    found = Tree(tmp_path / "scan")
    yield found
    found.end()


def once(service: pathlib.Path) -> str:
    """The letters of one life, from its start to its end."""
    code, out, err = run(ours("ftrig-listen1", WAIT, service / "event", "D", "svc", "-o", service))
    assert code == 0, err
    return out.strip()


def record(when: int, code: int, signum: int = 0) -> bytes:
    return tai.pack(when, deaths.OFFSET) + bytes([code, signum])


def shelf(tmp_path: pathlib.Path, *records: bytes) -> pathlib.Path:
    """A service directory with a tally and nothing else."""
    (tmp_path / "s/supervise").mkdir(parents=True)
    (tmp_path / "s/supervise/death_tally").write_bytes(b"".join(records))
    return tmp_path / "s"


def test_deaths_are_listed_and_cleared(tree: Tree) -> None:
    # SUP-069
    service = tree.add("s", "read how < how; eval $how", down="", how="exit 7\n")
    tree.begin()
    assert once(service).endswith("D")
    (service / "how").write_text("kill -SEGV $$\n")
    assert once(service).endswith("D")
    code, out, _ = run(ours("svdt", service))
    assert code == 0
    first, second = [line.split() for line in out.splitlines()]
    assert (first[1:], second[1:]) == (["exitcode", "7"], ["signal", "SIGSEGV"])
    assert abs(tai.parse(first[0]) - time.time_ns()) < 60_000_000_000
    assert run(ours("svdt", "-n1", service))[1].split()[1:] == ["signal", "SIGSEGV"]
    assert run(ours("svdt", "-s", service))[1].splitlines()[1].split()[1:] == ["signal", "11"]
    assert run(ours("svdt", "-sS", service))[1] == out
    assert run(ours("svdt-clear", service)) == (0, "", "")
    assert run(ours("svdt", service)) == (0, "", "")


def test_svdt_says_the_same_of_a_tally_as_that_of_s6(tmp_path: pathlib.Path) -> None:
    # SUP-069 (partly)
    second = 1_000_000_000
    service = shelf(tmp_path, record(1_700_000_000 * second, 3), record(1_700_000_001 * second, 137, 9))
    for options in ([], ["-s"], ["-n1"]):
        theirs = run([real("s6-svdt"), *options, str(service)])
        mine = run(ours("svdt", *options, service))
        assert [line.split()[1:] for line in mine[1].splitlines()] == [
            line.split()[1:] for line in theirs[1].splitlines()
        ]


def test_what_is_no_tally_is_an_error(tmp_path: pathlib.Path) -> None:
    # SUP-069 (partly)
    service = shelf(tmp_path, b"torn")
    assert run(ours("svdt", service))[0] == 111
    assert run(ours("svdt", tmp_path / "nosuch"))[0] == 111
    assert run(ours("svdt-clear", tmp_path / "nosuch"))[0] == 111
    for wrong in (
        ["svdt"],
        ["svdt", "-n", "x", service],
        ["svdt", "a", "b"],
        ["svdt-clear"],
        ["svdt-clear", "-x"],
    ):
        assert run(ours(*wrong))[0] == 100
    (service / "supervise/death_tally").unlink()
    assert run(ours("svdt", service)) == (0, "", "")


def test_a_service_that_keeps_failing_in_that_way_is_given_up(tree: Tree) -> None:
    # SUP-070
    finish = "exec initfs permafailon 60 3 1-5,SIGSEGV true"
    service = tree.add("s", "exit 1", finish=finish, down="")
    tree.begin()
    assert [once(service) for _ in range(2)] == ["udD", "udD"]
    code, out, _ = run(ours("ftrig-listen1", WAIT, service / "event", "D", "svc", "-u", service))
    assert (code, out) == (0, "udOD\n")
    assert run(ours("svstat", "-o", "wantedup", service))[1] == "false\n"


@pytest.mark.parametrize(
    "arguments, code",
    [
        ("60 2 3", 0),
        ("60 1 3", 125),
        ("60 1 1-5", 125),
        ("60 2 3,SIGKILL", 125),
        ("60 2 3,kill", 125),
        ("60 2 3,137", 125),
        ("60 1 9", 0),
        ("60 3 0-255", 0),
        ("60 2 0-255", 125),
        ("9999 3 0-255", 125),
        ("0 1 3", 0),
        ("60 4096 3", 0),
    ],
)
def test_permafailon_counts_what_matches_in_its_window(
    tmp_path: pathlib.Path, arguments: str, code: int
) -> None:
    # SUP-070 (partly)
    now, second = time.time_ns(), 1_000_000_000
    service = shelf(
        tmp_path, record(now - 300 * second, 3), record(now - 9 * second, 3), record(now - 5 * second, 137, 9)
    )
    found = run(ours("permafailon", *arguments.split(), "true"), cwd=service)
    assert found[0] == code, found
    words = [tai.pack(now - age * second, tai.LEAP) for age in (300, 9, 5)]
    tally = b"".join(word + end for word, end in zip(words, (b"\3\0", b"\3\0", b"\x89\x09"), strict=True))
    (service / "supervise/death_tally").write_bytes(tally)
    assert run([real("s6-permafailon"), *arguments.split(), "true"], cwd=service)[0] == code


@pytest.mark.parametrize(
    "arguments",
    ["", "1 1 1", "x 1 1 true", "1 0 1 true", "1 4097 1 true", "1 1 5-3 true", "1 1 256 true", "1 1 SIGX true", "1 1 1,,2 true", "-1 1 1 true"],
)  # fmt: skip
def test_permafailon_refuses_what_it_does_not_understand(tmp_path: pathlib.Path, arguments: str) -> None:
    # SUP-070 (partly)
    assert run(ours("permafailon", *arguments.split()), cwd=shelf(tmp_path))[0] == 100


def test_permafailon_goes_on_when_there_is_nothing_to_count(tmp_path: pathlib.Path) -> None:
    # SUP-070 (partly)
    code, out, _ = run(ours("permafailon", "1", "1", "1", "echo", "on"), cwd=shelf(tmp_path, b"torn"))
    assert (code, out) == (0, "on\n")
    assert run(ours("permafailon", "1", "1", "1", "no-such-program"), cwd=tmp_path / "s")[0] == 127


def test_s6_permafailon_judges_our_deaths(tree: Tree) -> None:
    # SUP-070 (partly)
    service = tree.add("s", "exit 1", down="")
    tree.begin()
    once(service)
    assert run([real("s6-permafailon"), "20", "1", "1", "true"], cwd=service)[0] == 125


def test_rights_are_shown_and_changed_as_by_s6(tree: Tree) -> None:
    # SUP-071
    service = tree.add("s", "exec sleep 999")
    tree.begin()

    def modes() -> list[tuple[int, int]]:
        seen = [os.stat(service / name) for name in ("supervise", "supervise/control", "event")]
        return [(one.st_mode & 0o7777, one.st_gid) for one in seen]

    own = pwd.getpwuid(os.getuid()).pw_gid
    group = ":1" if os.getuid() == 0 else f":{own}"
    other = int(group[1:])
    assert run(ours("svperms", "-uE", group, service)) == (0, "", "")
    assert modes() == [(0o700, own), (0o600, own), (0o3730, other)]
    for options, expected in (
        (["-G", group], [(0o710, other), (0o620, other)]),
        (["-g", group], [(0o710, other), (0o600, own)]),
        (["-O", group, "-e"], [(0o711, own), (0o620, other), (0o1733, own)]),
        (["-o"], [(0o711, own), (0o600, own)]),
        (["-u"], [(0o700, own), (0o600, own)]),
    ):
        mine = run(ours("svperms", "-v", *options, service))
        assert mine[0] == 0, mine
        assert modes()[: len(expected)] == expected
        assert run([real("s6-svperms"), str(service)]) == mine
        assert run(ours("svperms", service)) == mine
        assert run([real("s6-svperms"), "-v", *options, str(service)]) == mine


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("option", "sees"), [("-o", True), ("-u", False)])
def test_who_may_see_the_status_but_not_control_sees_it(option: str, sees: bool) -> None:
    # SUP-071
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are for their owner alone
        os.chmod(folder, 0o755)
        tree = Tree(pathlib.Path(folder, "scan"))
        service = tree.add("s", "exec sleep 999")
        tree.begin()
        try:
            assert run(ours("svperms", option, service))[0] == 0
            assert as_nobody(lambda: client.supervised(str(service))) == (0 if sees else 111)
        finally:
            tree.end()
        if sees:
            assert as_nobody(lambda: client.supervised(str(service))) == 1


def as_nobody(ask: Callable[[], bool]) -> int:
    """Have a child without privileges ask: 0 yes, 1 no, 111 it may not."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            code = 0 if ask() else 1
        except PermissionError:
            code = 111
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_rights_that_mean_nothing_are_a_warning(tree: Tree) -> None:
    # SUP-071 (partly)
    service = tree.add("s", "exec sleep 999")
    tree.begin()
    (service / "supervise").chmod(0o755)
    code, out, err = run(ours("svperms", service))
    assert (code, out.count("status"), out.count("control")) == (1, 0, 1)
    assert "unexpected mode" in err
    assert run(ours("svperms", tree.directory / "nosuch"))[0] == 1
    assert run(ours("svperms", "-u", tree.directory / "nosuch"))[0] == 111
    for wrong in (
        [],
        ["-g", "no-such-group", service],
        ["-g", "", service],
        ["-z", service],
        ["-G", ":x", service],
    ):
        assert run(ours("svperms", *wrong))[0] == 100
