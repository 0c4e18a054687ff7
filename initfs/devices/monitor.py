"""The devices there are, and those that come and go, by pyudev: the only module that imports it.

`source='kernel'` needs no udevd. pyudev looks for libudev by programs that an image has not (ldconfig, gcc), so it is told its name.
"""

from __future__ import annotations

from initfs import say
from initfs.devices.rules import Device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LIBRARY = "libudev.so.1"


def load() -> Any:
    """The module pyudev. say.Fatal 100 when it, or libudev, is not there."""
    import sys
    from types import ModuleType

    told = ModuleType("ctypes.util")
    told.__dict__["find_library"] = lambda name: LIBRARY if name == "udev" else None
    sys.modules["ctypes.util"] = told
    try:
        import pyudev  # type: ignore[import-untyped]

        pyudev.Context()
    except (ImportError, OSError) as error:
        raise say.Fatal(say.USAGE, f"unable to reach devices: {error}") from None
    return pyudev


class Monitor:
    """All devices, first those that are there. It listens from the beginning: what comes meanwhile is told twice, never missed."""

    def __init__(self) -> None:
        self._pyudev = load()
        self._context = self._pyudev.Context()
        self._monitor = self._pyudev.Monitor.from_netlink(self._context, source="kernel")
        self._monitor.set_receive_buffer_size(1 << 20)
        self._monitor.start()

    def fileno(self) -> int:
        """What is readable when `events` has something."""
        return int(self._monitor.fileno())

    def present(self) -> Iterator[Device]:
        """Every device that is there."""
        for each in self._context.list_devices():
            yield _device(each)

    def events(self) -> Iterator[tuple[str, Device]]:
        """What has come in so far: (action, device); never blocks."""
        while (each := self._monitor.poll(timeout=0)) is not None:
            yield str(each.action), _device(each)


def _device(each: Any) -> Device:
    properties = tuple((str(name), str(each.properties[name])) for name in each.properties)
    return Device(str(each.subsystem or ""), str(each.sys_name), str(each.device_node or ""), properties)
