"""The ftrig programs, among themselves and with s6's."""

from __future__ import annotations

import pytest

from initfs.notify import fifodir
from tests.process.notify_world import Arrivals, end, heard, ours, real, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib


@pytest.fixture
def event(tmp_path: pathlib.Path) -> pathlib.Path:
    fifodir.ensure(str(tmp_path / "event"))
    return tmp_path / "event"


def test_three_waiters_all_hear_the_second_of_two_letters(event: pathlib.Path) -> None:
    # NOT-143
    with Arrivals(event) as arrivals:
        waiters = [start(ours("ftrig-wait", event, "b")) for _ in range(3)]
        arrivals.wait(3)
    assert run(ours("ftrig-notify", event, "ab")) == (0, "", "")
    assert [end(waiter) for waiter in waiters] == [(0, "ab\n", "")] * 3
    assert list(event.iterdir()) == []


def test_that_nobody_listens_is_success(event: pathlib.Path) -> None:
    # NOT-143
    assert run(ours("ftrig-notify", event, "suU")) == (0, "", "")


def test_listen1_listens_before_it_runs_the_program(event: pathlib.Path) -> None:
    # NOT-144
    assert run(ours("ftrig-listen1", event, "ab+c", *ours("ftrig-notify", event, "abbcd"))) == (
        0,
        "abbc\n",
        "",
    )


def test_a_program_of_ours_needs_no_path_and_no_second_interpreter(event: pathlib.Path) -> None:
    # NOT-144
    code, out, said = run(ours("ftrig-listen1", event, "x", "ftrig-notify", event, "x"))
    assert (code, out, said) == (0, "x\n", "")
    code, out, said = run(ours("ftrig-listen1", "-t50", event, "x", "ftrig-notify", "--help"))
    assert (code, out) == (1, "usage: ftrig-notify fifodir message\n")


def test_events_of_several_notifiers_are_one_sequence(event: pathlib.Path) -> None:
    # NOT-144
    def tell() -> None:
        for letter in "suUdD":
            fifodir.notify(str(event), letter.encode())

    assert heard(ours("ftrig-wait", event, "^su.*D$"), [event], tell) == (0, "suUdD\n", "")


@pytest.mark.parametrize("words", [["ftrig-wait", "-t", "60"], ["ftrig-listen1", "-t60"]])
def test_a_timeout_is_1(words: list[str], event: pathlib.Path) -> None:
    # NOT-144
    program = ours("ftrig-notify", event, "a") if "listen1" in words[0] else []
    assert run(ours(*words, event, "b", *program)) == (1, "", f"{words[0]}: fatal: timed out\n")
    assert list(event.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "letters", "code"),
    [([], "ab", 0), (["-a", "-t60"], "a", 1), (["-o"], "a", 0), (["-oa", "-t60"], "b", 1)],
)
def test_listen_waits_for_all_or_for_one(
    options: list[str], letters: str, code: int, tmp_path: pathlib.Path
) -> None:
    # NOT-144
    for letter in "ab":
        fifodir.ensure(str(tmp_path / letter))
    tell = [word for letter in letters for word in [*ours("ftrig-notify", tmp_path / letter, letter), ";"]]
    script = f"{' '.join(tell)} true"
    words = [
        str(tmp_path / "a"),
        "a",
        f" {tmp_path / 'b'}",
        " b",
        "",
    ]  # a block writes a space before each word
    assert run(ours("ftrig-listen", *options, *words, "sh", "-c", script))[:2] == (code, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["ftrig-wait", "d"], 100, "usage"),
        (["ftrig-wait", "event", "("], 100, "bad regular expression ("),
        (["ftrig-wait", "nothing", "a"], 111, "unable to subscribe to nothing: No such file or directory"),
        (["ftrig-listen1", "event", "a"], 100, "usage"),
        (
            ["ftrig-listen1", "event", "a", "./nothing"],
            127,
            "unable to run ./nothing: No such file or directory",
        ),
        (["ftrig-listen1", "event", "a", "./event"], 126, "unable to run ./event: Permission denied"),
        (["ftrig-listen", "event", "a", "true"], 100, "usage"),
        (["ftrig-listen", "event", "", "true"], 100, "usage"),
        (["ftrig-wait", "-t", "soon", "event", "a"], 100, "usage"),
    ],
)
def test_errors_have_their_codes_and_leave_nothing(
    words: list[str], code: int, said: str, event: pathlib.Path
) -> None:
    found, out, err = run(ours(*words), cwd=event.parent)
    assert (found, out) == (code, "")
    assert said in err
    assert list(event.iterdir()) == []


def test_listening_to_nothing_is_over_at_once() -> None:
    assert run(ours("ftrig-listen", "", "true"))[0] == 0


# s6's programs beside ours. Its older ones print the last event only.
def test_their_listener_hears_our_notifier(event: pathlib.Path) -> None:
    # NOT-143 NOT-144
    code, out, _ = run([real("s6-ftrig-listen1"), str(event), "ab+c", *ours("ftrig-notify", event, "abbc")])
    assert code == 0
    assert out in ("c\n", "abbc\n")


def test_our_listener_hears_their_notifier(event: pathlib.Path) -> None:
    assert run(ours("ftrig-listen1", event, "ab+c", real("s6-ftrig-notify"), event, "abbc")) == (
        0,
        "abbc\n",
        "",
    )


def test_their_waiter_and_ours_hear_the_same_notifier(event: pathlib.Path) -> None:
    with Arrivals(event) as arrivals:
        waiters = [start([real("s6-ftrig-wait"), str(event), "U"]), start(ours("ftrig-wait", event, "U"))]
        arrivals.wait(2)
    assert fifodir.notify(str(event), b"uU") == 2
    assert [end(waiter)[0] for waiter in waiters] == [0, 0]


def test_their_fifodir_is_ours_and_ours_theirs(tmp_path: pathlib.Path) -> None:
    assert run([real("s6-mkfifodir"), str(tmp_path / "theirs")])[0] == 0
    assert (
        run(ours("ftrig-listen1", tmp_path / "theirs", "x", *ours("ftrig-notify", tmp_path / "theirs", "x")))[
            0
        ]
        == 0
    )
    assert run(ours("mkfifodir", tmp_path / "ours"))[0] == 0
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode
    code, out, _ = run(
        [
            real("s6-ftrig-listen1"),
            str(tmp_path / "ours"),
            "x",
            real("s6-ftrig-notify"),
            str(tmp_path / "ours"),
            "x",
        ]
    )
    assert (code, out) == (0, "x\n")


def test_their_cleaner_leaves_our_listener_alone(event: pathlib.Path) -> None:
    with fifodir.Subscription(str(event)) as listener:
        assert run([real("s6-cleanfifodir"), str(event)])[0] == 0
        assert fifodir.notify(str(event), b"u") == 1
        assert listener.read() == b"u"
