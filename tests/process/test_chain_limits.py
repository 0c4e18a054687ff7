from __future__ import annotations

import pytest

from tests.process.chain_tools import code, needs_root, ours, out, run, theirs

SHOW = ("sh", "-c", "ulimit -S -a; ulimit -H -a")


@pytest.mark.parametrize("letter", "acdflmoprst")
def test_each_letter_is_the_limit_that_it_is_for_the_real_one(letter: str) -> None:  # CHA-127
    option = f"-{letter}{'40' if letter == 'o' else '70' if letter == 't' else '100000000'}"
    assert ours("softlimit", option, *SHOW) == theirs("softlimit", option, *SHOW)
    assert ours("softlimit", option, *SHOW) == theirs("s6-softlimit", option, *SHOW)


@pytest.mark.parametrize(
    "options", [["-H", "-o", "60"], ["-o", "50", "-H", "-t", "50"], ["-o", "="], ["-o", "99999999"]]
)
def test_what_the_flags_mean_for_the_options_after_them(options: list[str]) -> None:  # CHA-127
    assert ours("softlimit", *options, *SHOW) == theirs("s6-softlimit", *options, *SHOW)


def test_the_soft_limit_only_unless_said_otherwise() -> None:  # CHA-127
    show = ("sh", "-c", "ulimit -Sn; ulimit -Hn")
    hard = out("softlimit", "sh", "-c", "ulimit -Hn")
    assert out("softlimit", "-o50", *show) == f"50\n{hard}"
    assert out("softlimit", "-o50", "softlimit", "-o=", *show) == f"{hard}{hard}"
    assert out("softlimit", "-H", "-o50", "softlimit", "-o60", *show) == "50\n50\n"


def test_a_hard_limit_below_the_soft_one_takes_it_along() -> None:  # CHA-127
    assert out("softlimit", "-h", "-o60", "sh", "-c", "ulimit -Sn; ulimit -Hn") == "60\n60\n"


@pytest.mark.parametrize("bad", ["x", "-5", "1x", "99999999999999999999999", "", "18446744073709551616"])
def test_what_is_no_number_is_wrong_usage(bad: str) -> None:  # CHA-127
    assert code("softlimit", "-o", bad, "true") == 100


@needs_root
def test_a_raised_hard_limit_needs_the_right_to() -> None:  # CHA-127
    done = run("softlimit", "-H", "-t", "50", "setuidgid", "nobody", "softlimit", "-H", "-t", "60", "true")
    assert done.returncode == 111


def test_a_limit_that_python_could_not_live_with_does_not_stop_the_chain() -> None:  # CHA-139
    show = ("cd", "/", "sh", "-c", "ulimit -Sv; ulimit -Sn")
    chained = ("redirfd", "-r", "0", "/dev/null", "envuidgid", "-D", "1:1", "nosuch")
    assert out("softlimit", "-a10000000", "-o4", *chained, *show) == "9765\n4\n"
