"""Access rules as programs use them: who is let in, with what, and that nobody is without a rule."""

from __future__ import annotations

import os

import pytest

from tests.process.local_world import (
    NOBODY,
    REMOTE,
    connect,
    everything,
    needs_root,
    nobody,
    ours,
    own_key,
    rule,
    run,
    server,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SHOW = ["sh", "-c", 'echo "in ${MARK-unset}"']


def access(
    rules: Path, *program: str, uid: int = 1000, gid: int = 50, options: tuple[str, ...] = ()
) -> tuple[int, str]:
    env = {**REMOTE, "IPCREMOTEEUID": str(uid), "IPCREMOTEEGID": str(gid)}
    return run(ours("ipcserver-access", "-i", rules, *options, *program), env=env)[:2]


def test_the_first_key_with_a_verdict_decides(place: Path) -> None:
    # LOC-155
    rules = place / "rules"
    rules.mkdir()
    own = os.geteuid(), os.getegid()
    assert access(rules, *SHOW) == (1, "")  # no rule: denied
    rule(rules, "uid/default", MARK="default\n")
    assert access(rules, *SHOW) == (0, "in default\n")
    rule(rules, "gid/50", "deny")
    assert access(rules, *SHOW) == (1, "")
    assert access(rules, *SHOW, gid=51) == (0, "in default\n")
    rule(rules, "uid/1000", MARK="thousand\n")
    assert access(rules, *SHOW) == (0, "in thousand\n")
    rule(rules, "gid/self", MARK="own group\n")
    assert access(rules, *SHOW, uid=7, gid=own[1]) == (0, "in own group\n")
    rule(rules, f"uid/{own[0]}", "deny")
    assert access(rules, *SHOW, uid=own[0], gid=own[1]) == (1, "")
    rule(rules, "uid/self", MARK="self\n")
    assert access(rules, *SHOW, uid=own[0], gid=own[1]) == (0, "in self\n")
    rule(rules, "uid/1000", "deny")  # deny beside allow is ignored
    assert access(rules, *SHOW) == (0, "in thousand\n")


def test_a_rule_sets_and_removes_variables_and_may_run_something_else(place: Path) -> None:
    # LOC-155 (partly)
    rules = place / "rules"
    at = rule(rules, "uid/1000", MARK="a value  \nmore\n", PATHLESS="")
    show = ["sh", "-c", 'echo "$MARK|${PATHLESS-gone}|$IPCLOCALPATH|$IPCREMOTEEUID"']
    env = {**REMOTE, "PATHLESS": "there"}
    line = ours("ipcserver-access", "-l", "here", "-i", rules, *show)
    assert run(line, env=env)[:2] == (0, "a value|gone|here|1000\n")
    (at / "exec").write_text('echo "instead of it" $MARK # a comment\n')
    assert run(line, env=env)[:2] == (0, "instead of it a value\n")
    (at / "exec").write_text("# nothing\n")
    assert run(line, env=env)[0] == 100
    (at / "allow").unlink()
    assert run(line, env=env)[:2] == (1, "")  # env and exec without allow


def test_without_an_environment_nothing_of_the_connection_is_left(place: Path) -> None:
    rule(place / "rules", "uid/default", MARK="1\n")
    code, out = access(place / "rules", "env", options=("-E",))
    assert (code, "IPC" in out, "PROTO" in out, "MARK=1" in out) == (0, False, False, True)


def test_without_rules_everybody_is_let_in_and_that_is_said(place: Path) -> None:
    # LOC-155 (partly)
    name = "n" * 120  # a name that is given is not cut
    show = ["sh", "-c", "echo $IPCLOCALPATH"]
    for level, said in (
        ("0", ""),
        ("1", "info: allow uid 1000 gid 50\n"),
        ("2", "warning: no rules: everybody is let in\n"),
    ):
        code, out, err = run(ours("ipcserver-access", "-v", level, "-l", name, *show), env=REMOTE)
        assert (code, out, said in err, bool(err)) == (0, f"{name}\n", True, bool(said))


def test_variables_that_are_missing_or_no_ids_are_wrong_usage(place: Path) -> None:
    rule(place / "rules", "uid/default")
    for env in ({}, {"PROTO": "IPC"}, {**REMOTE, "IPCREMOTEEUID": "-1"}, {**REMOTE, "IPCREMOTEEGID": "1 "}):
        assert run(ours("ipcserver-access", "-i", place / "rules", "true"), env=env)[0] == 100
    assert run(ours("ipcserver-access", "true"), env=REMOTE)[0] == 0  # no rules: everybody


@pytest.mark.parametrize("where", ["", "uid", "uid/1000", "uid/1000/env"])
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_directory_of_rules_that_others_can_write_to_lets_nobody_in(
    place: Path, where: str, mode: int
) -> None:
    rules = place / "rules"
    rule(rules, "uid/1000", MARK="x\n")
    assert access(rules, *SHOW) == (0, "in x\n")
    (rules / where).chmod(mode)
    assert access(rules, *SHOW) == (111, "")


@pytest.mark.parametrize("where", ["env/MARK", "exec"])
@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_of_a_rule_that_others_can_write_to_lets_nobody_in(place: Path, where: str, mode: int) -> None:
    """A variable may be a right, and `exec` is a command line that runs as the server."""
    rules = place / "rules"
    at = rule(rules, "uid/1000", MARK="x\n")
    (at / "exec").write_text("echo ours")
    assert access(rules, *SHOW) == (0, "ours\n")
    (at / where).chmod(mode)
    assert access(rules, *SHOW) == (111, "")


@needs_root
@pytest.mark.parametrize("where", ["uid/1000", "uid", ""])
def test_a_rule_that_cannot_be_read_is_not_passed_over(place: Path, where: str) -> None:
    rules = place / "rules"
    rule(rules, "uid/default")
    rule(rules, "uid/1000", "deny")
    (rules / where).chmod(0o700)
    assert run(nobody("ipcserver-access", "-i", rules, "true"), env=REMOTE)[0] == 111


def test_ids_may_share_a_rule_by_a_link_and_the_link_s_target_is_judged(place: Path) -> None:
    rules = place / "rules"
    shared = rule(place / "other", "uid/shared", MARK="shared\n")
    (rules / "uid").mkdir(parents=True)
    (rules / "uid/1000").symlink_to(shared)
    assert access(rules, *SHOW) == (0, "in shared\n")
    shared.chmod(0o777)
    assert access(rules, *SHOW) == (111, "")


@needs_root
def test_rules_that_belong_to_another_account_let_nobody_in(place: Path) -> None:
    at = rule(place / "rules", "uid/1000")
    os.chown(at, NOBODY, NOBODY)
    assert access(place / "rules", *SHOW) == (111, "")


def test_a_directory_of_rules_may_be_a_link_and_lets_nobody_in_when_the_link_leads_nowhere(
    place: Path,
) -> None:
    rule(place / "real", "uid/1000")
    rules = place / "rules"
    rules.symlink_to("real")
    assert access(rules, *SHOW) == (0, "in unset\n")
    (place / "real").chmod(0o775)  # the link itself has all rights, and no say
    assert access(rules, *SHOW) == (111, "")
    for target, code in ("nowhere", 1), ("rules", 111):
        rules.unlink()
        rules.symlink_to(target)
        assert access(rules, *SHOW) == (code, "")


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"IPCCONNNUM": "5", "IPCCONNMAX": "5"}, 1),
        ({"IPCCONNNUM": "4", "IPCCONNMAX": "5"}, 0),
        ({"IPCCONNNUM": "9"}, 0),
        ({}, 100),
        ({"IPCCONNNUM": "x"}, 100),
        ({"IPCCONNNUM": "1", "IPCCONNMAX": ""}, 100),
    ],
)
def test_connlimit_compares_the_number_of_connections(env: dict[str, str], code: int) -> None:
    # LOC-157
    assert run(ours("connlimit", "true"), env={"PROTO": "IPC", **env})[0] == code


@pytest.mark.parametrize("compiled", [False, True])
def test_a_server_decides_itself_what_its_links_would_and_sees_changes_at_once(
    place: Path, compiled: bool
) -> None:
    """ipcserver-access and connlimit are not run as processes: the server asks their functions."""
    # LOC-157 (partly)
    rules, path, log = place / "rules", place / "s", place / "log"

    def write(key: str, verdict: str, **environment: str) -> None:
        rule(rules, key, verdict, **environment)
        if compiled:
            run(ours("accessrules-cdb-from-fs", place / "r.cdb", rules))

    write("uid/77", "allow")
    given = ["-x", place / "r.cdb"] if compiled else ["-i", rules]
    program = ["ipcserver-access", "-v2", *given, "connlimit", "sh", "-c", "echo $IPCLOCALPATH; read -r line"]
    with server(ours("ipcserver", "-1", "-v", path, *program), log=log):
        assert everything(connect(path)) == b""
        write(own_key(), "allow", IPCCONNMAX="3\n")
        held = [connect(path) for _ in range(2)]
        assert [one.recv(200) for one in held] == [f"{path}\n".encode()] * 2
        assert everything(connect(path)) == b""  # the third
    text = log.read_text()
    assert f"ipcserver-access: info: deny uid {os.geteuid()} gid {os.getegid()} by no rule" in text
    assert f"by {own_key()}" in text


@needs_root
def test_an_account_without_a_rule_gets_nothing_and_one_with_a_rule_does(place: Path) -> None:
    rules, path = place / "rules", place / "s"
    rule(rules, "uid/0")
    with server(ours("ipcserver", "-1", path, "ipcserver-access", "-i", rules, "echo", "secret")):
        client = ("ipcclient", path, "sh", "-c", "cat <&6")
        assert run(ours(*client))[1] == "secret\n"
        assert run(nobody(*client))[1] == ""
        rule(rules, f"uid/{NOBODY}")
        assert run(nobody(*client))[1] == "secret\n"


def test_a_change_of_rules_while_clients_come_never_lets_one_in_without_a_rule(place: Path) -> None:
    rules, path = place / "rules", place / "s"
    rule(rules, own_key(), "deny")
    allow, deny = (rules / own_key() / name for name in ("allow", "deny"))
    with server(ours("ipcserver", "-1", path, "ipcserver-access", "-v0", "-i", rules, "echo", "in")):
        for _ in range(20):
            assert everything(connect(path)) == b""
            allow.touch()
            deny.unlink()
            assert everything(connect(path)) == b"in\n"
            deny.touch()
            allow.unlink()
