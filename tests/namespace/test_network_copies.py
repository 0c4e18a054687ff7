"""What is common to all services of the repository, and to the copies of and links to them that somebody makes on the device."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from board.services import instances, locate, records
from tests.namespace.machine import wait_until
from tests.namespace.network import OPEN, SERVICES, Host

KEPT = ("clock", "mark-good", "user-services")  # a shell that needs none of its environment


def test_copies_and_links_on_the_device_are_there_again_after_a_boot(tmp_path: Path) -> None:
    # VAR-238 (partly) VAR-239
    with Host(
        tmp_path, "fw", "user-services", templates=("dhcp_if",), files={"fw/conf/machine.fwconf": OPEN}
    ) as host:
        host.sh(
            "mkdir -p /data/service && cd /data/service && cp -r /etc/initfs/template/dhcp_if dhcp_eth1 && ln -s dhcp_eth1 dhcp_eth2"
        )
        host.sh("cp -r /etc/initfs/template/dhcp_if /data/service/fw")
        plain = "mkdir plain quiet && printf '#!/bin/sh\\necho said; exec sleep 999\\n' | tee plain/run >quiet/run"
        host.sh(f"cd /data/service && {plain} && chmod +x plain/run quiet/run && : >quiet/log")
        host.go()

        for name in ("dhcp_eth1", "dhcp_eth2", "plain", "quiet", "plain/log"):
            host.wait_for("up", name)
        assert host.sh("grep -v '^#!' /run/service/plain/log/run") == "exec std_service_logger\n"
        wait_until(
            lambda: "said" in host.sh("cat /var/log/service/plain/current 2>/dev/null; true"),
            "the line in the log",
        )
        assert "log" not in host.sh("ls /run/service/quiet").split()
        wait_until(lambda: "fw: the image has one of that name" in host.log(), "the refusal")
        host.sh("cp -r /etc/initfs/template/dhcp_if /data/service/dhcp_eth3; svc -u user-services")
        host.wait_for("up", "dhcp_eth3")
        assert "conf" in host.sh("ls /run/service/fw")


def test_every_service_of_the_repository_says_what_it_is_and_runs_with_limits_and_next_to_no_environment() -> (
    None
):
    # VAR-238 (partly)
    found = [
        path for path in sorted(Path(SERVICES).iterdir()) if path.is_dir() and path.name != "definitions"
    ]
    assert len(found) >= 24
    for service in found:
        run = (service / "run").read_text()
        assert len((service / "README.md").read_text()) > 60, service.name
        assert run.startswith("#!"), service.name
        assert len(run.splitlines()) < 40, service.name
        assert re.search("env -i|emptyenv|initfs ", run) or service.name in KEPT, service.name
        assert re.search(r"^ulimit (-S )?-c 0\b", run, re.MULTILINE) or service.name == "svscan-log", (
            service.name
        )
        assert os.access(service / "run", os.X_OK), service.name


def test_a_copy_of_and_a_link_to_any_service_are_packed_alike(tmp_path: Path) -> None:
    # VAR-238 (partly)
    folder = Path(shutil.copytree(SERVICES, tmp_path / "services", symlinks=True))
    expected = set()
    for template in [path for path in sorted(SERVICES.iterdir()) if (path / "run").exists()]:
        names = [re.sub("_(if|tty)(?=_|$)", f"_eth{number}", template.name) for number in (7, 8)]
        if names[0] == template.name:
            names = [f"{template.name}_{number}" for number in (7, 8)]  # the profile names these
        else:
            expected.update(names)
        shutil.copytree(template, folder / names[0], symlinks=True)
        (folder / names[1]).symlink_to(template.name)
        packed = [list(records("/x", locate(name, [folder]))) for name in names]
        assert packed[0] == packed[1] == list(records("/x", template)), template.name
    assert set(instances(folder)) == expected
