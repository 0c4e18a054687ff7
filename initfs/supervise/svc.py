"""svc: send commands to supervised services.

Source: `spec/supervision.md` 1.5. Several directories: all are tried, the code of the last that failed is returned.
"""

from __future__ import annotations

from initfs import options, say, signals
from initfs.supervise import client
from initfs.supervise.control import SIGNALS

USAGE = "svc [-wu|-wU|-wd|-wD|-wr|-wR] [-T ms] [-s signal] [-abqhkti12pcyrlPCKoduDUxOQ] servicedir..."
COMMANDS = "abqhkti12pcyrlPCKoduDUxOQ"
LETTERS_MAX = 62
WAITS = "uUdDrR"
NEVER = float("inf")
BY_SIGNAL = {number: letter for letter, number in SIGNALS.items()} | {
    signals.STOP: "p",
    signals.CONT: "c",
}


def main(argv: list[str]) -> int:
    given, names = options.parse(argv[1:], COMMANDS + "s:w:T:", USAGE)
    if not names:
        raise say.usage(USAGE)
    letters, wait, timeout = "", "", ""
    for option, value in given:
        match option:
            case "s":
                letters += _letter(value)
            case "w":
                wait = value
            case "T":
                timeout = str(options.number(value, USAGE))
            case _:
                letters += option
    if len(letters) > LETTERS_MAX or (wait and (len(wait) != 1 or wait not in WAITS)):
        raise say.usage(USAGE)
    directories = [client.locate(name) for name in names]
    if wait:
        return _wait(directories, letters, wait, timeout)
    return last_code([_send(directory, letters) for directory in directories])


def _letter(name: str) -> str:
    number = signals.number(name)
    if number not in BY_SIGNAL:
        raise say.Fatal(say.USAGE, f"no command sends the signal {name}")
    return BY_SIGNAL[number]


def last_code(codes: list[int]) -> int:
    """The last code that is not 0."""
    return next((code for code in reversed(codes) if code), say.OK)


def _send(directory: str, letters: str) -> int:
    try:
        client.send(directory, letters)
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return fatal.code
    return say.OK


def _wait(directories: list[str], letters: str, wait: str, timeout: str) -> int:
    """Do as svlisten does: subscribe before this program, run anew, sends the commands."""
    from initfs.notify.arguments import until
    from initfs.supervise import svlisten, waiters

    silent = [directory for directory in directories if wait in "UR" and not waiters.announces(directory)]
    for directory in silent:
        say.warning(f"{directory} has no notification-fd: waiting for up instead of ready")
    asked = waiters.Request(wait, False, until(timeout, USAGE) if timeout else NEVER, [])
    if not letters:
        with waiters.Services(directories, wait, lenient=True) as services:
            return services.wait(asked.deadline)
    command = ["svc", *(f"-{letter}" for letter in letters), "--", *directories]
    return svlisten.listen(asked, directories, command, lenient=True)
