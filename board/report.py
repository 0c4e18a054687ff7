"""Progress of long work: bars for people, plain lines for logs, JSON lines for machines, and a table of times.

    with Report(mode()) as report:
        with report.step("Unpacking the kernel"):
            ...
        with report.step("Booting"), report.bar(total=5) as advance:
            advance(1)

On a terminal the running step is shown by a spinner or a bar (rich). Elsewhere each step is a line when it
begins and when it ends, and at least every 20 s one says what is still running: a CI that hears nothing
for long kills the job.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.progress import Progress, TaskID

Mode = Literal["terminal", "plain", "json", "quiet"]
HEARTBEAT = 20.0  # seconds


def mode(*, as_json: bool = False) -> Mode:
    """Choose the form: JSON when asked for, bars on a terminal, lines elsewhere."""
    if as_json:
        return "json"
    return "terminal" if sys.stderr.isatty() else "plain"


class Report:
    """Tells about steps, on standard error (JSON on standard output). Steps may nest and run in threads."""

    def __init__(self, how: Mode) -> None:
        self.how = how
        self.times: list[tuple[str, float]] = []  # finished steps: title, seconds
        self.running: dict[str, float] = {}  # title: when it began
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        if self.how == "terminal":
            self.progress = bars()
            self.progress.start()
        elif self.how == "plain":
            threading.Thread(target=self.heartbeat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Stop to show; the table of times comes after work that went well."""
        self.done.set()
        if self.progress:
            self.progress.stop()
        if kind is None and self.times and self.how in {"terminal", "plain"}:
            print(table(self.times), file=sys.stderr)

    def heartbeat(self) -> None:
        """Say every 20 s what is still running."""
        while not self.done.wait(HEARTBEAT):
            with self.lock:
                now = time.monotonic()
                for title, began in self.running.items():
                    print(f"... {title}: {now - began:.0f} s", file=sys.stderr, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show and time one step. A step that fails ends as `failed`; the exception goes on."""
        began = time.monotonic()
        with self.lock:
            self.running[title] = began
        self.tell("begin", title)
        status = "failed"
        try:
            yield
            status = "done"
        finally:
            seconds = time.monotonic() - began
            with self.lock:
                self.running.pop(title, None)
                self.times.append((title, seconds))
            self.tell(status, title, seconds)

    @contextmanager
    def bar(self, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function that advances the newest step's bar by so many of `total`."""
        task = self.tasks[next(reversed(self.running))] if self.progress and self.running else None
        if self.progress and task is not None:
            self.progress.update(task, total=total)

        def advance(amount: int) -> None:
            if self.progress and task is not None:
                self.progress.advance(task, amount)

        yield advance

    def tell(self, event: str, title: str, seconds: float | None = None) -> None:
        """Show one begin or end in the form chosen."""
        if self.how == "json":
            fields = {
                "event": event,
                "step": title,
                **({"seconds": round(seconds, 3)} if seconds is not None else {}),
            }
            print(json.dumps(fields), flush=True)
        elif self.how == "plain":
            print(
                f"{title}: {seconds:.1f} s, {event}" if seconds is not None else f"{title} ...",
                file=sys.stderr,
                flush=True,
            )
        elif self.progress and event == "begin":
            self.tasks[title] = self.progress.add_task(title, total=None)
        elif self.progress:
            self.progress.update(self.tasks[title], total=1, completed=1)
            self.progress.stop_task(self.tasks[title])


def bars() -> Progress:
    """Return rich's display: a spinner, what it is, a bar, the time. Imported late: it costs 0.1 s."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def table(times: list[tuple[str, float]]) -> str:
    """Return the steps and their seconds in aligned columns. Nested and parallel steps overlap: there is no sum."""
    width = max(len(title) for title, _ in times)
    return "\n".join(f"{title:{width}}  {seconds:7.1f} s" for title, seconds in times)
