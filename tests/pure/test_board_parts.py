"""The small decisions of the builder: kernel modules, services, busybox's configuration, licences, sources of apt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from board import build, busybox, kernel, licence, manifest, services, sources
from board.elf import Elf
from board.host import Failure
from board.model import load
from board.ours import Sources
from board.packages import merged

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = {"failover": [], "net_failover": ["failover"], "virtio_net": ["net_failover", "virtio"]}


def test_an_order_where_every_need_comes_first_or_is_built_in_is_good() -> None:
    kernel.check(["failover", "net_failover", "virtio_net"], NEEDS, {"virtio"})


@pytest.mark.parametrize(
    ("order", "builtin", "said"),
    [
        (["virtio_net", "net_failover", "failover"], {"virtio"}, "'net_failover', which comes later"),
        (["net_failover"], {"virtio"}, "'failover', which is not in the board's list"),
        (["failover", "net_failover", "virtio_net"], set(), "'virtio', which is not in"),
    ],
)
def test_a_wrong_order_names_the_module_and_its_need(order: list[str], builtin: set[str], said: str) -> None:
    with pytest.raises(Failure, match=said):
        kernel.check(order, NEEDS, builtin)


def test_a_modules_name_is_the_kernels() -> None:
    assert kernel.plain("kernel/drivers/char/hw_random/virtio-rng.ko.xz") == "virtio_rng"


KNOWN = ["dhcp_if", "dhcp_if_pinger", "dhcpd_if", "fw", "getty_tty", "zcip_if"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dhcp_eth0", "dhcp_if"),
        ("dhcp_eth0_pinger", "dhcp_if_pinger"),
        ("dhcp_my_if", "dhcp_if"),
        ("dhcpd_br0", "dhcpd_if"),
        ("fw", "fw"),
        ("getty_ttyS0", "getty_tty"),
        ("zcip_if", "zcip_if"),
    ],
)
def test_an_instance_is_made_from_the_template_that_its_name_fits_most_closely(
    name: str, wanted: str
) -> None:
    assert services.template(name, KNOWN) == wanted


@pytest.mark.parametrize("name", ["ntpd", "fw_x", "dhcp_", "zcip"])
def test_a_service_without_a_template_is_an_error(name: str) -> None:
    with pytest.raises(Failure, match="no such service"):
        services.template(name, KNOWN)


def test_a_copy_of_a_template_or_a_link_to_one_is_meant_for_the_image(tmp_path: Path) -> None:
    # VAR-238 (partly)
    for name in (*KNOWN, "dhcp_eth1", "other_thing"):
        (tmp_path / name).mkdir()
    (tmp_path / "zcip_eth1").symlink_to("zcip_if")

    assert services.instances(tmp_path) == ["dhcp_eth1", "zcip_eth1"]


def test_a_service_without_run_or_with_one_that_is_no_program_is_refused(tmp_path: Path) -> None:
    service = tmp_path / "mine"
    service.mkdir()
    with pytest.raises(Failure, match="it has no run"):
        services.locate("mine", [tmp_path])
    (service / "run").write_text("#!/bin/sh\n")
    (service / "run").chmod(0o644)
    with pytest.raises(Failure, match="not executable"):
        services.locate("mine", [tmp_path])


def test_a_service_is_packed_without_readme_and_tests(tmp_path: Path) -> None:
    service = tmp_path / "mine"
    (service / "log").mkdir(parents=True)
    for name in ("run", "log/run", "README.md", "test_mine.py"):
        (service / name).write_text("#!/bin/sh\n")
    (service / "run").chmod(0o755)
    (service / "env").symlink_to("/run/env")

    packed = {record.path: record.mode for record in services.records("/s", service)}

    assert packed == {"/s": 0o755, "/s/run": 0o755, "/s/log": 0o755, "/s/log/run": 0o644, "/s/env": 0o777}


def test_our_settings_replace_those_of_debian() -> None:
    base = "# a comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\n"

    assert (
        busybox.merge(base, "CONFIG_B=y\n# CONFIG_C is not set\n")
        == "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n"
    )


def test_a_setting_that_did_not_come_through_is_reported() -> None:
    fragment = "CONFIG_A=y\nCONFIG_MISSPELT=y\n# CONFIG_C is not set\n"

    assert busybox.unmet(fragment, "CONFIG_A=y\n") == ["CONFIG_MISSPELT=y"]


@pytest.mark.parametrize(
    ("package", "text", "wanted"),
    [
        ("zlib1g", "Format: x\n\nFiles: *\nLicense: Zlib\n text\n", "Zlib"),
        (
            "x",
            "Format: x\n\nFiles: *\nLicense: GPL-2 and MIT\n\nFiles: a\nLicense: BSD\n",
            "BSD AND GPL-2 AND MIT",
        ),
        ("x", "Format: x\n\nFiles: *\nLicense: GPL-2 or BSD\n", "GPL-2 or BSD"),
        ("x", "On Debian systems see /usr/share/common-licenses/GPL-2.", "GPL-2"),
        ("python3.13-minimal", "prose", "PSF-2.0"),
        ("x", "prose", licence.UNKNOWN),
    ],
)
def test_a_licence_is_read_from_the_copyright_file(package: str, text: str, wanted: str) -> None:
    assert licence.licence(package, text) == wanted


def test_the_archive_is_found_in_both_forms_of_apts_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INITFS_MIRROR", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    one, other = tmp_path / "sources.list", tmp_path / "sources.list.d" / "debian.sources"
    one.write_text(
        "# deb http://zero/debian x main\ndeb http://one/ubuntu x main\ndeb [arch=a b=c] http://two/debian/ x main\n"
    )
    assert sources.archive(tmp_path) == "http://two/debian"
    one.unlink()
    other.write_text(
        "Types: deb\nURIs: http://a/debian-security\n\nTypes: deb deb-src\nURIs: http://a/debian\nSuites: x\n"
    )
    assert sources.archive(tmp_path) == "http://a/debian"
    other.write_text("Enabled: no\nTypes: deb\nURIs: http://a/debian\n")
    with pytest.raises(Failure, match="INITFS_MIRROR"):
        sources.archive(tmp_path)
    monkeypatch.setenv("INITFS_MIRROR", "http://mine/x/")
    assert sources.archive(tmp_path) == "http://mine/x"


def test_an_elf_file_tells_its_loader_and_libraries() -> None:
    with open(sys.executable, "rb") as file:
        elf = Elf(file.read())

    assert elf.interpreter().startswith("/lib")
    assert any(name.startswith("libc.so") for name in elf.needed())


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF"])
def test_other_files_are_no_elf_files(data: bytes) -> None:
    with pytest.raises(ValueError, match="ELF"):
        Elf(data)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/bin/x", "/usr/bin/x"),
        ("/usr/sbin/x", "/usr/bin/x"),
        ("/lib/a/b", "/usr/lib/a/b"),
        ("/etc/x", "/etc/x"),
        ("/library", "/library"),
    ],
)
def test_everything_is_below_usr(path: str, wanted: str) -> None:
    assert merged(path) == wanted


def test_the_bill_of_materials_has_what_cyclonedx_demands() -> None:
    package = manifest.Package(
        name="libstdc++6", version="1:14~2+b1", architecture="arm64", licence="A AND B", sha256="ab"
    )

    part = manifest.component(package, "trixie")

    assert part["purl"] == "pkg:deb/debian/libstdc%2B%2B6@1%3A14%7E2%2Bb1?arch=arm64&distro=trixie"
    assert part["licenses"] == [{"license": {"name": "A"}}, {"license": {"name": "B"}}]
    assert manifest.bill(load("qemu-arm64"), [package]) == manifest.bill(load("qemu-arm64"), [package])


def test_whatever_changes_in_the_sources_makes_another_image(tmp_path: Path) -> None:
    services = tmp_path / "services"
    sources = Sources(package=tmp_path / "none", services=services, ports=tmp_path / "nor-this")
    for name in ("a", "b"):
        (services / name / "dependencies.d").mkdir(parents=True)
    (services / "a/dependencies.d/base").touch()
    (services / "a/link").symlink_to("one")
    seen = []

    def other() -> bool:
        seen.append([build.described(*each) for each in sources.inputs()])
        return seen[-1] not in seen[:-1]

    assert other()
    assert not other()
    (services / "a/dependencies.d/base").rename(services / "b/dependencies.d/base")
    assert other(), "an empty file elsewhere"
    (services / "b/contents.d").mkdir()
    assert other(), "an empty directory"
    (services / "a/link").unlink()
    (services / "a/link").symlink_to("two")
    assert other(), "a link to something else"
    (services / "b/dependencies.d/base").chmod(0o755)
    assert other(), "a program"
