"""What is to be done about a device: rules read strictly, obeyed in order, and led astray by nothing that a device says of itself."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.devices.rules import (
    Begin,
    Device,
    End,
    Invalid,
    Link,
    Load,
    Permit,
    Rule,
    Unlink,
    Wake,
    came,
    filled,
    parse,
    went,
)
from initfs.devices.templates import fits, template
from tests.namespace.machine import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
[[rule]]
subsystem = "net"
name = "eth*"
services = ["ifplugd_{name}", "dhcp_{name}"]
wake = ["fw"]

[[rule]]
modules = true

[[rule]]
subsystem = "tty"
property = { ID = "a*" }
mode = "0640"
group = "tty"
link = "by-id/{ID}"
"""
RULES = parse(tomllib.loads(TEXT), "test.toml")
CARD = Device("net", "eth1", "", (("MODALIAS", "pci:v1"),))
MODEM = Device("tty", "ttyUSB0", "/dev/ttyUSB0", (("ID", "acme"),))


def test_a_card_that_comes_gets_its_driver_and_its_services_and_loses_them_in_the_opposite_order() -> None:
    # VAR-228 (partly)
    assert came(RULES, CARD) == [Load("pci:v1"), Begin("ifplugd_eth1"), Begin("dhcp_eth1"), Wake("fw")]
    assert went(RULES, CARD) == [End("dhcp_eth1"), End("ifplugd_eth1"), Wake("fw")]


def test_a_node_gets_its_permissions_and_a_link_that_lasts_as_long_as_it() -> None:
    assert came(RULES, MODEM) == [
        Permit("/dev/ttyUSB0", 0o640, "", "tty"),
        Link("/dev/by-id/acme", "/dev/ttyUSB0"),
    ]
    assert went(RULES, MODEM) == [Unlink("/dev/by-id/acme", "/dev/ttyUSB0")]


def test_what_no_rule_fits_is_left_alone() -> None:
    assert came(RULES, Device("block", "sda", "/dev/sda", ())) == []
    assert came(RULES, Device("tty", "ttyUSB0", "/dev/ttyUSB0", (("ID", "other"),))) == []


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b", ".hidden", "a b", "$(reboot)", "", "\n"])
def test_a_device_that_calls_itself_something_else_than_a_word_gets_no_link_and_no_service(text: str) -> None:
    # VAR-237 (partly)
    device = Device("tty", "ttyUSB0", "/dev/ttyUSB0", (("ID", text),))

    assert filled("by-id/{ID}", device) == ""
    assert came([Rule(link="x/{ID}", services=("s_{ID}",))], device) == []


@given(some.text(max_size=8), some.text(max_size=8))
def test_a_link_never_leaves_dev(template_text: str, said: str) -> None:
    for effect in came(
        [Rule(link=f"by/{{ID}}{template_text.replace('/', '')}")], Device("x", "y", "/dev/y", (("ID", said),))
    ):
        assert isinstance(effect, Link)
        assert effect.path.startswith("/dev/by/")
        assert ".." not in effect.path.split("/")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rules]", "nothing else"),
        ("rule = 1", "nothing else"),
        ("[[rule]]\nnmae = 'x'", "unknown field 'nmae'"),
        ("[[rule]]\nname = 1", "name is a text"),
        ("[[rule]]\nservices = 'x'", "services is a list"),
        ("[[rule]]\nmode = '0999'", "octal"),
        ("[[rule]]\nmodules = 'yes'", "true or false"),
        ("[[rule]]\nproperty = { A = 1 }", "table of texts"),
        ("[[rule]]\n[[rule]]\nlink = 5", "rule 2: link"),
    ],
)
def test_a_file_with_an_error_is_refused_with_the_rule_and_the_field(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        parse(tomllib.loads(text), "file.toml")
    assert str(caught.value).startswith("file.toml")


def test_the_rules_that_come_with_the_service_are_good() -> None:
    found = rules_in(ROOT / "services/devd/rules.d")
    assert Begin("dhcp_eth7") in came(found, Device("net", "eth7", "", ()))
    assert came(found, Device("net", "br0", "", ())) == [Wake("fw")]


def test_a_router_s_ports_of_its_bridge_ask_for_no_lease() -> None:
    found = rules_in(ROOT / "board/profiles/router/etc/initfs/service/devd/rules.d")
    assert Begin("dhcp_eth2") in came(found, Device("net", "eth2", "", ()))
    assert came(found, Device("net", "eth1", "", ())) == [Wake("fw")]


def rules_in(directory: Path) -> list[Rule]:
    return [
        rule
        for path in sorted(directory.iterdir())
        for rule in parse(tomllib.loads(path.read_text()), path.name)
    ]


def test_an_instance_is_made_from_the_template_that_its_name_fits_most_closely() -> None:
    # VAR-238 (partly)
    known = ["dhcp_if", "dhcp_if_pinger", "dhcpd_if", "getty_tty", "fw"]

    assert template("dhcp_eth1", known) == "dhcp_if"
    assert template("dhcp_eth1_pinger", known) == "dhcp_if_pinger"
    assert template("getty_ttyUSB0", known) == "getty_tty"
    assert [template(name, known) for name in ("fw", "dhcp_", "dhcp_if", "other")] == ["", "", "", ""]
    assert not fits("dhcp_if_pinger", "dhcp_if_pinger")
