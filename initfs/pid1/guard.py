"""Watches over the machine: feeds the watchdog, notices failing services and does what their `on-failure` says, and calls a boot healthy."""

from __future__ import annotations

from initfs import files, say
from initfs.loop import NEVER
from initfs.pid1 import watchdog
from initfs.pid1.watchdog import View
from initfs.value import fields, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.pid1.failures import Tally
    from initfs.pid1.hardware import Hardware
    from initfs.supervise.scanner import Svscan
    from initfs.supervise.unit import Unit

NEWS = ("supervised", "up", "down", "failed", "released", "adopted")
CRITICAL, ON_FAILURE = "critical", "on-failure"
LOOK = 5.0  # seconds between two looks for a device whose module may be on its way


class Guard:
    """What is noticed; ON_FAILURE is told (policy, why), ON_HEALTHY once."""

    def __init__(
        self,
        svscan: Svscan,
        hardware: Hardware,
        on_failure: Callable[[str, str], None],
        on_healthy: Callable[[], None],
    ) -> None:
        self.hardware = hardware
        self.view = View(began=svscan.tree.now)
        self.healthy = False
        self._svscan = svscan
        self._on_failure = on_failure
        self._on_healthy = on_healthy
        self._down: dict[str, float] = {}  # critical services that are not steadily up, and since when
        self._up: dict[str, float] = {}  # since when the others of these are up
        self._deaths: dict[str, Tally] = {}
        self._refused = ""
        self._due = 0.0
        svscan.tree.journal.on_event = self._heard

    @property
    def due(self) -> float:
        """When to look again without a reason."""
        return self._due

    def turn(self) -> None:
        """Feed, if it is time and all is well."""
        now = self._svscan.tree.now
        if now < self._due:
            return
        self.view = replace(self.view, down=self._wanted_down())
        if not self.healthy and watchdog.healthy(self.view, now):
            self.healthy = True
            self._on_healthy()
        self._feed(now)
        self._due = now + self._pause()

    def _pause(self) -> float:
        """Seconds until the next look: an idle machine without a watchdog that has become healthy wakes for nothing."""
        if self.hardware.fd >= 0:
            return watchdog.interval(self.hardware.timeout)
        waiting = not self.view.booted and self.hardware.timeout
        return LOOK if waiting else watchdog.HEALTHY / 6 if self.view.booted and not self.healthy else NEVER

    def _feed(self, now: float) -> None:
        if not self.hardware.open():
            return
        why = watchdog.refusal(self.view, now)
        if why and why != self._refused:
            say.warning(f"no longer feeding the watchdog: {why}")
            self._svscan.tree.journal.publish("", "unfed", 0, why)
        self._refused = why
        if not why:
            self.hardware.feed()

    def booted(self) -> None:
        """Stage 2 is over."""
        self.view = replace(self.view, booted=self._svscan.tree.now)
        self._due = 0.0

    def ending(self) -> None:
        """The end has begun."""
        if not self.view.ending:
            self.view = replace(self.view, ending=self._svscan.tree.now)
            self._due = 0.0

    # Services -------------------------------------------------------------------------------------

    def _heard(self, service: str, event: str) -> None:
        """An event of a service. Files are looked at when something happens to it, not before."""
        if not service or event not in NEWS or "/" in service:
            return
        self._note(service, event)
        if event in ("down", "failed") and not self.view.ending:
            unit = self._svscan.scandir.find(service)
            if unit is not None:
                self._judge(service, event, unit)

    def _note(self, name: str, event: str) -> None:
        """Know since when a critical service is up or down."""
        now = self._svscan.tree.now
        if event == "up":
            if name in self._down:
                self._up[name] = now
        elif event == "released" or not self._svscan.has(f"{name}/{CRITICAL}"):
            self._down.pop(name, None)
            self._up.pop(name, None)
        elif now - self._up.pop(name, now) >= watchdog.STEADY:
            self._down[name] = now
        else:
            self._down.setdefault(name, now)

    def _judge(self, name: str, event: str, unit: Unit) -> None:
        """Whether this is a failure that somebody wants something done about."""
        from initfs.pid1 import failures  # the first service does not wait for it

        failed = event == "failed"
        if not failed:
            if not unit.service.wanted or unit.service.leaving:
                return
            tally, failed = failures.died(self._deaths.get(name, ()), self._svscan.tree.now)
            self._deaths[name] = tally
        if not failed:
            return
        policy = self._policy(unit)
        if policy != failures.RESTART:
            self._on_failure(policy, f"{name} fails")

    def _policy(self, unit: Unit) -> str:
        from initfs.pid1 import failures

        try:
            content = files.read(ON_FAILURE, at=unit.directory.fd)
        except OSError:
            content = None
        found = failures.policy(content) if content is not None else failures.RESTART
        if found is None:
            say.warning(f"{unit.name}: invalid {ON_FAILURE}; the default applies")
        return found or failures.RESTART

    def _wanted_down(self) -> dict[str, float]:
        """The critical services that are to be up and are not. One that somebody took down is no trouble."""
        found = {}
        now = self._svscan.tree.now
        for name, since in list(self._down.items()):
            unit = self._svscan.scandir.find(name)
            if now - self._up.get(name, now) >= watchdog.STEADY:
                del self._down[name]
            elif unit is not None and unit.service.wanted:
                found[name] = since
        return found

    def carry(self) -> dict[str, object]:
        """What our next execution has to know."""
        view = fields(replace(self.view, down={}))
        return {"view": view, "down": self._down, "up": self._up, "healthy": self.healthy}

    def resume(self, values: dict[str, object]) -> None:
        """Go on watching."""
        self.view = View(**values["view"])  # type: ignore[arg-type]
        self._down, self._up, self.healthy = values["down"], values["up"], values["healthy"]  # type: ignore[assignment]
