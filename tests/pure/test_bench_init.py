"""What `inv bench init` makes of a boot's events and of what its guest tells."""

from __future__ import annotations

import pytest

from bench import init
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
