"""The host's half of the agent's protocol (docs/qemu.md): requests as lines, answers as results. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CHUNK = 16384  # bytes of standard input in one line
GREETING = "agent"  # key of the agent's first line


@dataclass(frozen=True, slots=True)
class Result:
    """How a command in the guest ended. `returncode` is negative for a signal, as subprocess has it."""

    returncode: int
    stdout: str
    stderr: str
    late: bool = False  # the agent ended it because its time was over

    @property
    def status(self) -> int:
        """Return what a shell calls its status: 128 and the signal's number for one that was killed."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode


def argv(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command; text is for the guest's shell."""
    return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)


def request(
    ident: int, command: str | Sequence[str], timeout: float, env: Mapping[str, str], stdin: bytes
) -> Iterator[str]:
    """Yield the lines that start a command and give it its whole standard input."""
    asked = {"id": ident, "run": argv(command), "timeout": timeout, "env": dict(env), "stdin": bool(stdin)}
    yield json.dumps(asked) + "\n"
    for start in range(0, len(stdin), CHUNK):
        data = base64.b64encode(stdin[start : start + CHUNK]).decode()
        yield json.dumps({"id": ident, "stdin": data, "eof": start + CHUNK >= len(stdin)}) + "\n"


class Job:
    """One command as its answers come in."""

    def __init__(self, sink: Callable[[str, bytes], None] | None = None) -> None:
        self.streams: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.sink = sink  # called with stream and bytes as they come, with no bytes at the end
        self.started = False
        self.result: Result | None = None
        self.lost = ""  # why there will be no result

    def heard(self, answer: Mapping[str, object]) -> None:
        """Take one answer of the agent to this command."""
        self.started = True
        for name in self.streams.keys() & answer.keys():
            self.wrote(name, base64.b64decode(str(answer[name])))
        if "error" in answer:
            self.wrote("stderr", f"agent: {answer['error']}\n".encode())
        if "exit" in answer or "signal" in answer:
            code = int(str(answer["exit"])) if "exit" in answer else -int(str(answer["signal"]))
            out, err = (bytes(self.streams[name]).decode(errors="replace") for name in ("stdout", "stderr"))
            self.result = Result(code, out, err, late=bool(answer.get("late")))
            for name in self.streams if self.sink else ():
                self.wrote(name, b"")

    def wrote(self, name: str, data: bytes) -> None:
        self.streams[name] += data
        if self.sink:
            self.sink(name, data)


class Jobs:
    """All commands under way, by number; the agent's lines find theirs."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.number = 0

    def new(self, sink: Callable[[str, bytes], None] | None = None) -> tuple[int, Job]:
        self.number += 1
        self.jobs[self.number] = job = Job(sink)
        return self.number, job

    def heard(self, line: str) -> None:
        """Take a line of the agent. A greeting means that the one before is gone, and with it what had been started."""
        try:
            answer = json.loads(line)
            ident = int(answer.get("id", 0))
        except (ValueError, TypeError, AttributeError):
            return  # torn by a reconnect; what it belonged to is lost with the greeting that follows
        if GREETING in answer:
            self.lose(
                "the agent was started anew", [number for number, job in self.jobs.items() if job.started]
            )
        elif job := self.jobs.get(ident):
            job.heard(answer)
            if job.result:
                del self.jobs[ident]

    def lose(self, why: str, numbers: Iterable[int] | None = None) -> None:
        """These commands, all by default, will not be heard of again."""
        for number in tuple(self.jobs) if numbers is None else numbers:
            self.jobs.pop(number).lost = why
