"""One QEMU process and the sockets to it, in asyncio. `qemu.vm` is the face of it that does not know of asyncio.

We listen, QEMU connects: there is nothing to wait for before it starts, and no word of the guest can come too early.
Everything that comes is put into pure values at once (events, console, jobs, monitor); who waits looks at those again
each time something came. Nothing polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any, TypeVar

from qemu.agent import Jobs
from qemu.console import Console
from qemu.errors import EndedError, TimedOutError, TroubleError, VmError
from qemu.events import Event, History, Lines, parse
from qemu.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

T = TypeVar("T")
LAST_WORDS = 5.0  # seconds for the sockets of a dead QEMU to deliver what is still in them
STEP = 5.0  # seconds for each step of ending QEMU


class Port(asyncio.StreamReaderProtocol):
    """The end of a connection that gives away at once what comes: a reader forgets what it holds when the other end resets it."""

    def __init__(
        self,
        heard: Callable[[bytes], None],
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> None:
        super().__init__(asyncio.StreamReader(), serve)
        self.heard = heard

    def data_received(self, data: bytes) -> None:
        self.heard(data)


class Session:
    """What is known of one machine, and the means to ask it. All of its methods belong to one event loop."""

    def __init__(
        self, run: str, *, terminal: bool = False, listener: Callable[[Event], None] | None = None
    ) -> None:
        self.run = run  # the private folder
        self.terminal = terminal  # QEMU has ours, for its console
        self.listener = listener
        self.history = History()
        self.console = Console()
        self.jobs = Jobs()
        self.monitor = Monitor()
        self.process: subprocess.Popen[bytes] | None = None
        self.status: int | None = None  # QEMU's own, once it ended and everything it said was heard
        self.news = asyncio.Event()
        self.servers: list[asyncio.Server] = []
        self.writers: dict[str, asyncio.StreamWriter] = {}
        self.readers: set[asyncio.Task[None]] = set()

    # Beginning.

    async def start(self, argv: Sequence[str]) -> None:
        """Listen, then start QEMU. Raises OSError when that cannot be done."""
        self.loop = asyncio.get_running_loop()
        await self.listen("console", self.console.feed)
        await self.listen("events", by_line(self.heard_event))
        await self.listen("agent", by_line(self.jobs.heard))
        await self.listen("qmp", by_line(self.monitor.heard))
        self.process = launch(argv, os.path.join(self.run, "qemu.log"), terminal=self.terminal)
        pidfd = os.pidfd_open(self.process.pid)
        self.loop.add_reader(pidfd, self.died, pidfd)
        self.greeting = self.loop.create_task(self.negotiate())

    async def negotiate(self) -> None:
        """Say what QMP wants to hear first: before that it tells no events, and so not why the guest stopped."""
        with contextlib.suppress(VmError, ConnectionError):
            await self.qmp("qmp_capabilities", limit=STEP * 4, checked=False)

    async def listen(self, name: str, feed: Callable[[bytes], None]) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self.readers.add(task)
            self.writers[name] = writer
            self.tell()
            try:
                await reader.read()
            except ConnectionError:
                pass  # a killed QEMU resets what it had not read
            finally:
                self.readers.discard(task)
                if name == "agent":
                    self.jobs.lose("the agent's port was closed")
                writer.close()
                self.tell()

        def heard(data: bytes) -> None:
            feed(data)
            self.tell()

        path = os.path.join(self.run, name)
        self.servers.append(await self.loop.create_unix_server(lambda: Port(heard, serve), path))

    # What comes.

    def tell(self) -> None:
        """Wake everybody who waits."""
        self.news.set()
        self.news = asyncio.Event()

    def heard_event(self, line: str) -> None:
        if (event := parse(line)) and self.history.add(event) and self.listener:
            self.listener(event)

    def died(self, pidfd: int) -> None:
        self.loop.remove_reader(pidfd)
        os.close(pidfd)
        self.burial = self.loop.create_task(self.bury())

    async def bury(self) -> None:
        """Hear out what QEMU left in its sockets; only then has it ended."""
        assert self.process
        status = self.process.wait()
        if self.readers:
            await asyncio.wait(set(self.readers), timeout=LAST_WORDS)
        self.console.close()
        self.jobs.lose("QEMU ended")
        self.status = status
        self.tell()

    # Waiting.

    async def until(
        self, what: str, probe: Callable[[], T | None], limit: float, *, checked: bool = True
    ) -> T:
        """Wait until `probe` returns something, which is returned.

        Raises TimedOutError and, if `checked`, TroubleError and EndedError, each with the last events and lines.
        """
        deadline = self.loop.time() + limit
        while True:
            news = self.news
            if (found := probe()) is not None:
                return found
            if checked:
                self.check(what)
            try:
                await asyncio.wait_for(news.wait(), deadline - self.loop.time())
            except TimeoutError:
                raise TimedOutError(self.report(f"{what}: not within {limit:g} s")) from None

    def check(self, what: str) -> None:
        """Raise when it makes no sense to wait any longer."""
        if self.console.trouble:
            raise TroubleError(self.report(f"{what}: {self.console.trouble}"))
        if self.status is not None:
            why = self.monitor.stopped or f"status {self.status}"
            raise EndedError(self.report(f"{what}: QEMU has ended ({why})"))

    def report(self, headline: str) -> str:
        """Return a message with what a person wants to see next."""
        parts = [headline, "last events:", self.history.tail(), "end of the console:", self.console.tail()]
        with open(os.path.join(self.run, "qemu.log"), errors="replace") as log:
            said = log.read().strip()
        return "\n".join([*parts, *(["QEMU says:", said] if said else [])])

    # Asking.

    async def send(self, name: str, text: str, limit: float, *, checked: bool = True) -> None:
        """Write to one of the sockets, once QEMU has connected to it."""
        writer = await self.until(f"connect {name}", lambda: self.writers.get(name), limit, checked=checked)
        writer.write(text.encode())
        await asyncio.wait_for(writer.drain(), limit)

    async def qmp(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        limit: float = 10.0,
        *,
        checked: bool = True,
    ) -> Any:
        """Ask QEMU; return its answer. Raises ValueError when QEMU says no."""
        monitor = self.monitor
        await self.until("greeting of QMP", lambda: monitor.greeted or None, limit, checked=checked)
        number, line = monitor.request(command, arguments)
        await self.send("qmp", line, limit, checked=checked)
        answer = await self.until(
            f"answer to {command}", lambda: monitor.answers.pop(number, None), limit, checked=checked
        )
        if "error" in answer:
            raise ValueError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    # Ending.

    async def end(self) -> None:
        """End QEMU: ask it, then tell it, then kill it; return when it is gone."""
        if self.process:
            for step in (self.quit, self.signalled(signal.SIGTERM), self.signalled(signal.SIGKILL)):
                if self.status is None:
                    await step()
        for server in self.servers:
            server.close()
        for writer in self.writers.values():
            writer.close()

    async def quit(self) -> None:
        try:
            await self.qmp("quit", limit=STEP, checked=False)
        except (TimedOutError, ConnectionError):
            return  # what else there is to do is the next step's business
        await self.gone()

    def signalled(self, signum: int) -> Callable[[], Coroutine[None, None, None]]:
        async def step() -> None:
            assert self.process
            self.process.send_signal(signum)
            await self.gone()

        return step

    async def gone(self) -> None:
        try:
            await self.until("end of QEMU", lambda: self.status, STEP + LAST_WORDS, checked=False)
        except TimedOutError:
            return


def launch(argv: Sequence[str], log: str, *, terminal: bool) -> subprocess.Popen[bytes]:
    """Start QEMU. Its complaints go to `log`; without the terminal ctrl-c is for us alone: we end QEMU in order.

    setpriv asks the kernel to end QEMU when the thread that called us ends, even when we are killed; exec keeps the pid.
    """
    command = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    quiet = None if terminal else subprocess.DEVNULL
    with open(log, "wb") as file:
        return subprocess.Popen(
            command, stdin=quiet, stdout=quiet, stderr=file, start_new_session=not terminal
        )


def by_line(take: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return a consumer of bytes that gives whole lines to `take`."""
    lines = Lines()

    def feed(data: bytes) -> None:
        for line in lines.feed(data):
            take(line)

    return feed
