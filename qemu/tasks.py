"""`inv boot`: a board under QEMU, on this terminal or for one command."""

from __future__ import annotations

import json as encoder
import os
import signal
import sys
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from board import model
from board.host import Failure
from board.report import Report, mode
from qemu import boot as booting
from qemu import fleet
from qemu.errors import VmError
from qemu.machine import forward as forward_of
from qemu.prepare import prepare
from qemu.times import COLUMNS, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from invoke.context import Context

USAGE = 100
TEMPORARY = 111


@task(
    iterable=["forward"],
    help={
        "board": "a name of `inv boards`, or all",
        "chain": "boot chain of `inv boards`: direct, disk ...; the board's own unless told",
        "run": "command for the guest's shell; its output and its status become ours",
        "memory": "MiB, instead of the board's",
        "forward": "HOST:GUEST, a TCP port of 127.0.0.1 that leads to one of the guest (repeatable)",
        "kernel": "path of another kernel",
        "timeout": "seconds for --run, from the start to the end",
        "events": "file that gets the event lines (docs/events.md)",
        "json": "progress, output and result as JSON lines",
    },
)
def boot(
    _: Context,
    board: str = model.DEFAULT,
    chain: str = "",
    run: str = "",
    memory: str = "",
    forward: list[str] | None = None,  # invoke would make a tuple of letters if it were ()
    kernel: str = "",
    timeout: str = "300",
    events: str = "",
    json: bool = False,
) -> None:
    """Boot a board's image under QEMU, on this terminal (ctrl-a x ends it) or to run one command.

    The image is built first unless it is up to date. With --run the guest boots without a terminal; once it is up
    the command is run by `sh -c`, the guest is powered off, and the command's status is the status of `inv`; 111 says that
    the boot itself failed, 100 that it was asked for in a wrong way.
    """
    with failures():
        if not run and (board == "all" or not (sys.stdin.isatty() and sys.stdout.isatty())):
            why = (
                "several boards have no terminal"
                if board == "all"
                else "standard input and output are no terminal"
            )
            raise Failure("boot interactively", why, "--run 'COMMAND' boots without one", usage=True)
        names = model.virtual() if board == "all" else [board]
        options = Wanted(
            run,
            number("memory", memory or "0"),
            tuple(forward or ()),
            kernel,
            number("timeout", timeout),
            events,
            chain,
        )
        status = headless(names, options, as_json=json) if run else interactive(board, options, as_json=json)
    if status:
        raise Exit(code=status)


def number(option: str, text: str) -> int:
    """Return an option's number; invoke would answer a wrong one with a traceback."""
    if not text.isdecimal():
        raise Failure(f"understand --{option}", f"not a whole number: {text!r}", usage=True)
    return int(text)


class Wanted:
    """The options, checked, and what becomes of them for one board."""

    def __init__(
        self,
        command: str,
        memory: int,
        forward: tuple[str, ...],
        kernel: str,
        limit: float,
        events: str,
        chain: str,
    ) -> None:
        self.chain = chain
        self.command, self.memory, self.kernel, self.limit, self.events = (
            command,
            memory,
            kernel,
            limit,
            events,
        )
        try:
            self.forwards = tuple(map(forward_of, forward))
        except ValueError as error:
            raise Failure("forward a port", str(error), usage=True) from None
        if kernel and chain not in {"", "direct"}:
            raise Failure("boot another kernel", f"the chain {chain} has its own", usage=True)
        if kernel and not os.path.isfile(kernel):
            raise Failure("boot another kernel", f"there is no file {kernel}", usage=True)
        if memory < 0 or limit <= 0:
            raise Failure("boot", "memory and timeout are positive numbers", usage=True)

    def request(self, board: model.Board, report: Report, *, several: bool = False) -> booting.Request:
        """Have the image; return the request for this board."""
        prepared = prepare(board, report)
        return booting.Request(
            board=board,
            image=prepared.image,
            flash=prepared.flash,
            emulator=prepared.emulator,
            command=self.command,
            memory=self.memory,
            forwards=self.forwards,
            kernel=self.kernel,
            limit=self.limit,
            events=booting.events_file(self.events, board.name, several),
        )


def headless(names: Sequence[str], options: Wanted, *, as_json: bool) -> int:
    """Boot these boards for one command; show the table of times; return the worst status."""
    boards = [model.chained(model.load(name), options.chain) for name in names]
    if len(boards) > 1 and any(each.host for each in options.forwards):
        raise Failure("forward a port", "several boards cannot have the same one of the host", usage=True)
    booting.need(boards)
    with Report(mode(as_json=as_json)) as report:
        requests = [options.request(board, report, several=len(boards) > 1) for board in boards]
        outcomes = fleet.run(requests, report, as_json=as_json)
    show(outcomes, as_json=as_json)
    return max(outcome.status for outcome in outcomes)


def show(outcomes: Sequence[booting.Outcome], *, as_json: bool) -> None:
    """Tell how each board ended, and why one failed."""
    for outcome in outcomes:
        if as_json:
            print(
                encoder.dumps({"event": "result", **{name: getattr(outcome, name) for name in FIELDS}}),
                flush=True,
            )
        elif outcome.error:
            print(f"inv: fatal: unable to boot {outcome.board}: {outcome.error}", file=sys.stderr)
    if not as_json:
        rows: dict[str, dict[str, float | str]] = {
            each.board: {"status": str(each.status), **each.seconds} for each in outcomes
        }
        print("seconds since the kernel's start:", file=sys.stderr)
        print(table(rows, ["status", *COLUMNS]), file=sys.stderr)


FIELDS = ("board", "status", "seconds", "error")


def interactive(name: str, options: Wanted, *, as_json: bool) -> int:
    """Boot one board on this terminal."""
    board = model.chained(model.load(name), options.chain)
    booting.need([board])
    with Report(mode(as_json=as_json)) as report:
        request = options.request(board, report)
    print(f"{name}: ctrl-a x ends QEMU, ctrl-a h shows more", file=sys.stderr)
    for each in options.forwards:
        print(f"{name}: 127.0.0.1:{each.host} leads to port {each.guest}", file=sys.stderr)
    with terminal():
        return booting.interactive(request)


@contextmanager
def terminal() -> Iterator[None]:
    """Give the terminal back as it was: QEMU does so itself unless it is killed."""
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def failures() -> Iterator[None]:
    """Turn what people have to know into a message and an exit status; TERM ends the machines as ctrl-c does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except Failure as failure:
        raise Exit(str(failure), code=USAGE if failure.usage else TEMPORARY) from None
    except VmError as error:
        raise Exit(f"inv: fatal: unable to boot: {error}", code=TEMPORARY) from None
    except OSError as error:
        raise Exit(
            f"inv: fatal: unable to boot: {error.strerror}: {error.filename}", code=TEMPORARY
        ) from None
    except KeyboardInterrupt:
        raise Exit("inv: fatal: unable to boot: interrupted", code=130) from None


collection = Collection("qemu", boot)
