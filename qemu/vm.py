"""A virtual machine of a board, for tests and tasks.

    with Machine("qemu-arm64", forward=[80]) as vm:
        vm.wait_booted(timeout=120)
        assert vm.run("svstat /run/service/*").returncode == 0

Every wait has a deadline in seconds. What fails raises a VmError whose text shows the last events and the end of the console.
A panic, an oops, an OOM kill or a Python traceback on the console fails whatever waits, and the `with` block at its end.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from board import model
from qemu import agent, machine, monitor
from qemu.errors import LostError, TimedOutError, TroubleError
from qemu.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
    from types import TracebackType

    from qemu.events import Event
    from qemu.image import Image

T = TypeVar("T")


class Machine:
    """A board under QEMU, running inside the `with` block."""

    def __init__(
        self,
        board: model.Board | str,
        image: Image,
        *,
        memory: int = 0,  # MiB; 0: as the board says
        forward: Sequence[int | machine.Forward] = (),  # a number: that port of the guest on a free one here
        wires: Sequence[machine.Wire] = (),  # cables to other machines instead of QEMU's own network
        kernel: str = "",  # path of another one
        append: str = "",  # more kernel arguments
        disks: Sequence[str] = (),
        extra: Sequence[str] = (),  # more arguments of QEMU
        terminal: bool = False,  # console on our terminal instead of in `console`
        listener: Callable[[Event], None] | None = None,  # called in another thread
        flash: machine.Flash | None = None,  # boot from this disk image, by the board's own chain
        emulator: Sequence[str] = (),  # how to start QEMU, where not by the board's name for it
    ) -> None:
        self.board = model.load(board) if isinstance(board, str) else board
        # a socket's path ends at 108 bytes
        self.folder = os.path.join(tempfile.gettempdir(), f"initfs-{secrets.token_hex(4)}")
        self.options = machine.Options(
            kernel=kernel or os.fspath(image.kernel),
            initramfs=os.fspath(image.initramfs),
            run=self.folder,
            memory=memory,
            forwards=tuple(map(forwarded, forward)),
            wires=tuple(wires),
            append=append,
            disks=tuple(disks),
            extra=tuple(extra),
            terminal=terminal,
            device_tree=os.fspath(getattr(image, "device_tree", None) or ""),
            flash=flash,
            emulator=tuple(emulator),
            kvm=self.board.qemu.emulator.endswith("-x86_64") and has_kvm(),
        )
        self.session = Session(self.folder, terminal=terminal, listener=listener)
        self.stopping = threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(
            target=self.loop.run_forever, name=f"vm {self.board.name}", daemon=True
        )

    # From the first to the last.

    def __enter__(self) -> Self:
        """Start QEMU. Raises OSError when that cannot even be tried."""
        os.mkdir(self.folder, 0o700)
        self.thread.start()
        try:
            self.await_(self.session.start(machine.argv(self.board, self.options)))
        except BaseException:
            self.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End QEMU. Raises TroubleError when the console has trouble that nothing has raised yet."""
        try:
            self.stop()
            if error is None and self.session.console.trouble:
                self.session.check("at the end")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """End QEMU, whatever the guest does: by QMP, then TERM, then KILL."""
        with self.stopping:  # ctrl-c ends it in one thread, the end of the block in another
            if self.thread.is_alive():
                self.await_(self.session.end())
                self.loop.call_soon_threadsafe(self.loop.stop)
                self.thread.join()
                self.loop.close()

    def await_(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def until(self, what: str, probe: Callable[[], T | None], timeout: float) -> T:
        """Wait until `probe` returns something; it is asked each time something came from the machine."""
        return self.await_(self.session.until(what, probe, timeout))

    def until_told(self, what: str, probe: Callable[[], T | None], timeout: float) -> T:
        """As `until`, for what only process 1 tells. Raises TroubleError when there is none: stage 1 gave up."""

        def probe_or_raise() -> T | None:
            if (found := probe()) is None and self.session.console.rescue:
                raise TroubleError(self.session.report(f"{what}: {self.session.console.rescue}"))
            return found

        return self.until(what, probe_or_raise, timeout)

    # What happened.

    @property
    def events(self) -> list[Event]:
        """All events so far."""
        return list(self.session.history.events)

    @property
    def console(self) -> str:
        """The text on the console so far."""
        return self.session.console.text

    @property
    def stopped(self) -> str:
        """Why the guest stopped, in QMP's words (guest-shutdown, guest-reset ...); empty while it runs."""
        return self.session.monitor.stopped

    def mark(self) -> int:
        """Return the present position in the events, for the `after` of a later wait."""
        return len(self.session.history.events)

    # Waiting.

    def wait_for(
        self, event: str, *, service: str | None = None, timeout: float = 60.0, after: int = 0
    ) -> Event:
        """Wait for an event, also one that has been already, at position `after` or later.

        `service` is a name, or the first part of one: `getty` is `getty_ttyAMA0` too. None: a milestone of the boot.
        """
        what = f"wait for {event} of {service}" if service else f"wait for {event}"
        return self.until_told(what, lambda: self.session.history.find(event, service, after), timeout)

    def wait_booted(self, services: Collection[str] = (), *, timeout: float = 120.0) -> None:
        """Wait until stage 2 has ended, and until each of these services is ready."""
        history, missing = self.session.history, set(services)

        def all_ready() -> bool | None:
            missing.difference_update([name for name in missing if history.ready(name)])
            return (history.find("booted") is not None and not missing) or None

        try:
            self.until_told("wait for the end of the boot", all_ready, timeout)
        except TimedOutError as error:
            raise TimedOutError(f"{error}\nnot ready: {' '.join(sorted(missing)) or '(all are)'}") from None

    def wait_stopped(self, *, timeout: float = 60.0) -> str:
        """Wait until the guest has ended QEMU; return `stopped` (empty where QEMU ends without a word: riscv64's poweroff)."""
        self.until("wait for the end of the guest", lambda: self.session.status, timeout)
        return self.stopped

    # Doing.

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        sink: Callable[[str, bytes], None] | None = None,  # gets output as it comes; called in another thread
    ) -> agent.Result:
        """Run a command in the guest by its agent; text is for the guest's shell.

        Raises TimedOutError, LostError. A command that the agent could not run has the status 126 or 127.
        """
        job = self.begin(command, timeout=timeout, stdin=stdin, env=env, sink=sink)
        words = command if isinstance(command, str) else " ".join(command)
        self.until(f"run {words!r}", lambda: job.result or job.lost or None, timeout + GRACE)
        if job.result is None:
            raise LostError(self.session.report(f"run {words!r}: {job.lost}"))
        if job.result.late:
            raise TimedOutError(self.session.report(f"run {words!r}: not within {timeout:g} s"))
        return job.result

    def begin(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        sink: Callable[[str, bytes], None] | None = None,
    ) -> agent.Job:
        """Start a command in the guest and leave it alone: one that ends the guest has nobody to report to."""
        number, job = self.session.jobs.new(sink)
        lines = "".join(agent.request(number, command, timeout, env or {}, stdin))
        self.await_(self.session.send("agent", lines, timeout))
        return job

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Ask QEMU; return its answer. Raises ValueError when it says no."""
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.await_(self.session.qmp(command, words))

    def port(self, guest: int) -> int:
        """Return the port of 127.0.0.1 that leads to this one of the guest. Raises KeyError if none does."""
        usernet = self.qmp("human-monitor-command", command_line="info usernet")
        return monitor.forwards(usernet)[guest]

    # The console, as somebody who sits there.

    def type(self, text: str) -> None:
        """Type on the console's keyboard."""
        self.await_(self.session.send("console", text, 10.0))

    def wait_console(self, pattern: str, *, timeout: float = 60.0, after: int = 0) -> re.Match[str]:
        """Wait for a regular expression in the console's text from position `after` on."""
        wanted = re.compile(pattern)
        return self.until(
            f"wait for {pattern!r} on the console", lambda: wanted.search(self.console, after), timeout
        )


GRACE = 15.0  # seconds in which the agent ends a command itself whose time is over, and says so


def forwarded(each: int | machine.Forward) -> machine.Forward:
    """Return a forward; a bare number is a port of the guest on a free one of the host."""
    return machine.Forward(host=0, guest=each) if isinstance(each, int) else each


def has_kvm() -> bool:
    """Say whether to let this host run a PC's code itself. Only when asked: a KVM inside a virtual machine may abort QEMU."""
    return (
        bool(os.environ.get("INITFS_KVM"))
        and os.uname().machine == "x86_64"
        and os.access("/dev/kvm", os.R_OK | os.W_OK)
    )
