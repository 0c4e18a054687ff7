from __future__ import annotations

import grp
import pwd

import pytest

from tests.process.chain_tools import PATH, code, needs_root, ours, out, run, theirs

NOBODY = pwd.getpwnam("nobody")
WHO = ("id",)


def ids(*argv: str, **env: str) -> dict[str, str]:
    """UID, GID and GIDLIST as the next program sees them."""
    found = dict(line.split("=", 1) for line in out(*argv, "env", env={"PATH": PATH, **env}).splitlines())
    return {name: value for name, value in found.items() if name in ("UID", "GID", "GIDLIST")}


def test_an_accounts_ids_are_exported() -> None:  # CHA-125
    assert ids("envuidgid", "nobody") == {"UID": str(NOBODY.pw_uid), "GID": str(NOBODY.pw_gid), "GIDLIST": ""}


def test_memberships_are_exported_too() -> None:  # CHA-125
    listed = [(entry.gr_mem[0], entry.gr_gid) for entry in grp.getgrall() if entry.gr_mem]
    if not listed:
        pytest.skip("no group lists a member here")
    name, gid = listed[0]
    assert str(gid) in ids("envuidgid", name)["GIDLIST"].split(",")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-u", "daemon"], ["-g", "audio"], ["-B", "daemon:audio"], ["-B", "daemon:"], ["-B", ":audio"], ["nosuch"],
        ["-n", "55"], ["-D", "5:6:7,8", "nosuch"], ["-D", "5", "nosuch"], ["-D", "5:6:7", "-i", "nosuch"], ["-g", "nosuch"],
        ["-B", "daemon:nosuch"], ["-nB", "1:2"], ["-B", "-D", "5:6", "nosuch:audio"],
    ],
)  # fmt: skip
def test_envuidgid_agrees_with_s6(arguments: list[str]) -> None:  # CHA-125
    env = {"PATH": PATH, "GIDLIST": "3"}
    status, output = theirs("s6-envuidgid", *arguments, "env", env=env)
    ours_status, ours_output = ours("envuidgid", *arguments, "env", env=env)
    assert (ours_status, sorted(ours_output.split())) == (status, sorted(output.split()))


def test_an_unknown_account_is_a_no() -> None:  # CHA-125
    done = run("envuidgid", "nosuch", "true")
    assert (done.returncode, done.stderr) == (1, b"envuidgid: fatal: unknown user: nosuch\n")
    assert code("setuidgid", "nosuch", "true") == 1
    assert code("envuidgid", "-D", "x", "nosuch", "true") == 100


@needs_root
def test_ids_pass_through_the_environment(  # CHA-125
) -> None:
    assert out("envuidgid", "nobody", "applyuidgid", "-Uz", "id") == out("setuidgid", "nobody", "id")
    assert ids("envuidgid", "nobody", "applyuidgid", "-Uz") == {}
    assert ids("envuidgid", "nobody", "setuidgid", "nobody") == {}


@needs_root
@pytest.mark.parametrize(
    "options",
    [["-u", "1", "-g", "5", "-G", "7,8"], ["-u", "1", "-G", ""], ["-g", "0", "-u", "1"], ["-G", "3"]],
)
def test_applyuidgid_agrees_with_s6(options: list[str]) -> None:  # CHA-125
    assert ours("applyuidgid", *options, *WHO) == theirs("s6-applyuidgid", *options, *WHO)


@needs_root
@pytest.mark.parametrize("account", ["nobody", "daemon", "12:13", "1000:1000", "", "nosuch"])
def test_setuidgid_agrees_with_s6(account: str) -> None:  # CHA-125
    assert ours("setuidgid", account, *WHO) == theirs("s6-setuidgid", account, *WHO)


@needs_root
def test_bare_numbers_have_no_supplementary_groups() -> None:  # CHA-126
    assert out("setuidgid", "1000:1000", "id", "-G") == "1000\n"


@needs_root
def test_who_has_no_right_to_change_ids_is_told() -> None:  # CHA-125
    done = run("setuidgid", "nobody", "setuidgid", "daemon", "true")
    message = b"setuidgid: fatal: unable to set supplementary groups: Operation not permitted\n"
    assert (done.returncode, done.stderr) == (111, message)


@pytest.mark.parametrize("bad", [{}, {"UID": "1"}, {"UID": "1", "GID": "x", "GIDLIST": ""},
                                 {"UID": "-1", "GID": "1", "GIDLIST": ""}, {"UID": "1", "GID": "1", "GIDLIST": ","},
                                 {"UID": "4294967295", "GID": "1", "GIDLIST": ""}])  # fmt: skip
def test_ids_that_are_missing_or_no_numbers_are_refused(bad: dict[str, str]) -> None:  # CHA-125
    assert run("applyuidgid", "-U", "true", env={"PATH": PATH, **bad}).returncode == 100


@pytest.mark.parametrize("option", ["-ux", "-g-1", "-G1,,2", "-u99999999999999999999"])
def test_options_that_are_no_ids_are_refused(option: str) -> None:  # CHA-125
    assert code("applyuidgid", option, "true") == 100
