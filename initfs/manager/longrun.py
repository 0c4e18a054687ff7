"""One longrun on its way up or down: the command goes to its supervisor's FIFO, its events tell when it is there.

First the subscription, then the status, then the command: nothing falls in between. The control FIFO stays open: it hangs up when the
supervisor dies. Source: `spec/service-manager.md` 6.7, Transition.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.notify import fifodir
from initfs.supervise import client, waiters, waiting

DOWN_FILE = "down"


class Longrun:
    """A transition. `outcome` is None while it is under way, then "" for success, or the reason why it failed."""

    def __init__(self, directory: str, *, up: bool) -> None:
        """Begin it. say.Fatal when the service has no supervisor, or can't be listened to."""
        self._directory = directory
        self._up = up
        self.outcome: str | None = None
        announces = waiters.announces(directory)
        self.unready = up and not announces
        control = waiters.reach(directory)
        if control is None:
            raise say.Fatal(say.TEMPORARY, f"unable to control {directory}")
        self.control = control
        try:
            self._subscription = fifodir.Subscription(f"{directory}/event")
        except OSError as error:
            os.close(control)
            raise say.unable(f"subscribe to {directory}/event", error) from error
        self.events = self._subscription.fd
        try:
            self._wait = waiting.begin(("U" if announces else "u") if up else "D", waiters.level(directory))
            os.write(control, b"u" if up else b"d")
        except OSError as error:
            self.close()
            raise say.unable(f"control {directory}", error) from error
        except BaseException:
            self.close()
            raise
        self.look()

    def hear(self) -> None:
        """Something came from the service."""
        for letter in self._subscription.read():
            self._wait = waiting.step(self._wait, letter)
        self.look()

    def lose(self) -> None:
        """Its supervisor is gone."""
        for letter in self._subscription.read():
            self._wait = waiting.step(self._wait, letter)
        self._wait = waiting.step(self._wait, ord("x"))
        self._judge()

    @property
    def unsettled(self) -> bool:
        """It is down, but its supervisor has not read yet that it is to stay so: no event will tell, only the status."""
        return self.outcome is None and self._wait.outcome == waiting.DONE

    def look(self) -> None:
        """Judge by what is known; where it is needed, by the status file."""
        if self._wait.outcome == waiting.DONE and not self._up:
            status = client.read_status(self._directory)
            if status.wanted:
                return
            if status.pid:  # it came once more before the supervisor read the command
                self._wait = waiting.Wait(("D",))
                return
        self._judge()

    def _judge(self) -> None:
        match self._wait.outcome:
            case waiting.DONE:
                self.outcome = ""
            case waiting.FAILED:
                self.outcome = "it failed for good"
            case waiting.LOST:
                self.outcome = "its supervisor has ended"

    def give_up(self) -> None:
        """It did not get there in time: a service that should have come up is told to stay down, so that its state is known."""
        if self._up:
            files.tried(f"stop {self._directory}", lambda: os.write(self.control, b"d"))

    def settle(self) -> None:
        """It got there: its supervisor, if it began anew, would leave it there."""
        path = f"{self._directory}/{DOWN_FILE}"
        if self._up:
            files.tried(f"remove {path}", lambda: files.remove(path))
        else:
            files.tried(f"make {path}", lambda: files.create(path))

    def close(self) -> None:
        self._subscription.close()
        os.close(self.control)
