"""pyroute2 loaded lightly, and the netlink that needs no library: what they cost, and that nothing odd breaks them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from hypothesis import example, given
from hypothesis import strategies as some

from initfs import rtnetlink
from tests.process.tree import ROOT

MODULES, MEGABYTES = 275, 26  # 250 and 21 when this was written; `import pyroute2` has 340 and 33


def loaded(code: str) -> tuple[set[str], float]:
    """The modules that a program has in the end, and its resident megabytes."""
    script = f"import sys, os\n{code}\nprint(*sys.modules)\nprint(open('/proc/self/status').read())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    modules, _, status = done.stdout.partition("\n")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return set(modules.split()), int(found[1]) / 1000


def test_fw_reaches_the_kernel_with_a_part_of_pyroute2_only() -> None:
    modules, megabytes = loaded(
        "from initfs.network.netlink import Kernel\nwith Kernel() as kernel: assert kernel.actual().links"
    )

    assert "pyroute2.iproute.linux" in modules
    assert not modules & {"sqlite3", "_ssl", "pyroute2.ndb", "unittest.case", "multiprocessing.context"}
    assert len(modules) <= MODULES
    assert megabytes <= MEGABYTES


def test_who_only_watches_or_waits_has_no_part_of_it() -> None:
    modules, _ = loaded("import initfs.network.linkwatch, initfs.devices.wait_for, initfs.rtnetlink")

    assert not [
        name for name in modules if name.startswith(("pyroute2", "asyncio", "re.", "typing", "dataclasses"))
    ]


def test_the_loopback_is_there_and_runs() -> None:
    links = {fields["name"]: fields for _, fields in rtnetlink.dump("link")}

    assert links["lo"]["index"] == 1
    assert rtnetlink.running("lo") in (True, False)
    assert rtnetlink.running("nonesuch") is None
    assert {kind for kind, _ in rtnetlink.dump("route")} <= {"route"}


@given(some.binary(max_size=200))
@example(b"\x20\0\0\0\x10\0\0\0" + b"\0" * 24)
@example(b"\x14\0\0\0\x18\0" + b"\0" * 40)
def test_whatever_comes_as_a_message_is_read_or_left(data: bytes) -> None:
    for kind, fields in rtnetlink.messages(data):
        assert kind.removeprefix("no ") in ("link", "address", "route")
        assert fields
    assert isinstance(rtnetlink.uevent(data), dict)
