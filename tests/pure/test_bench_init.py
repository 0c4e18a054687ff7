"""What `inv bench init` makes of a boot's events and of what its guest tells."""

from __future__ import annotations

import pytest

from bench import init, reference
from board import model
from board.tree import Directory
from qemu.events import Event


def told(event: str, when: float, service: str = "") -> Event:
    return Event(seq=int(when * 100), boot="b", time=when, service=service, event=event, pid=1, reason="")


def test_our_share_is_the_imports_and_the_time_to_the_first_service() -> None:
    # INI-220 (partly)
    events = [
        told("stage1", 1.0),
        told("python", 2.0),
        told("up", 2.25, "web"),
        told("tree", 2.5),
        told("up", 3.0, "late"),
    ]
    found = init.figures(events, bare=0.5, imports=0.75, memory=3.5)
    assert found["work"] == pytest.approx(0.25)
    assert found["share"] == pytest.approx(1.0)
    assert found["ratio"] == pytest.approx(2.0)
    assert found["tree"] == 2.5
    assert init.anonymous("VmRSS: 9 kB\nRssAnon:\t    2048 kB\n") == 2.0
    assert init.gap("executed anew: 0.125 seconds without supervision") == 0.125
    assert init.medians([{"a": 1.0}, {"a": 3.0, "b": 2.0}, {"a": 2.0}]) == {"a": 2.0, "b": 2.0}


def test_the_kernel_tells_of_its_own_part_of_a_boot() -> None:
    # INI-220 (partly)
    log = "[    0.000000] Linux version 6\n[    4.836292] Freeing initrd memory: 7000K\n[   12.590479] Run /init as init process\n"
    assert init.kernel(log) == {"unpacked": 4.836292, "run": 12.590479}
    assert init.kernel("nothing") == {}


def test_what_a_suite_as_process_1_told_becomes_its_row() -> None:
    # INI-220 (partly)
    found = reference.figures("10.00 512 2048 10.50 10.75 10.25")
    assert found == {"init": 10.0, "first": 0.25, "all": 0.75, "process 1": 0.5, "suite": 2.0}


def test_each_suite_has_an_init_and_the_same_services_in_directories_that_are_there() -> None:
    # INI-220 (partly)
    board = model.load("qemu-x86_64")
    found = {record.path: record for record in reference.records(board, "initfs")}
    services = {path for path in found if path.endswith("/run")}
    assert len(services) == reference.COUNT + 2, "the one that tells, and the catch-all logger"
    for path in found:
        above = path.rpartition("/")[0]
        assert above in ("", *(name for name, record in found.items() if isinstance(record, Directory)))
    assert "base=/bench scripts=/bench" in reference.stage1()
    assert reference.scripts("s6").keys() == reference.scripts("busybox").keys()
