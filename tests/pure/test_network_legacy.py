"""The shell form that ipconf files had is translated, and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.network import legacy
from initfs.network.wanted import Block, Gateway, Invalid, parse

OLD = """
# a private net
let cfg=cfg+1
if[$cfg]=if; ip[$cfg]=10.0.0.2
ipmask[$cfg]='10.0.0.2/24'
gw[$cfg]=10.0.0.1;net[$cfg]=0/0
dns[$cfg]="10.0.0.1 10.0.0.3"; dns_prio[$cfg]=10
let cfg=cfg+1
if[$cfg]=eth1
ip[$cfg]=10.1.0.2
gw[$cfg]=10.1.0.1
net[$cfg]=172.16.0.0/12
dnsmasq[$cfg]='server=/corp/10.0.0.9 server=10.0.0.8'
"""


def test_the_old_form_is_translated() -> None:
    # VAR-230 (partly)
    first, second = parse(legacy.translate(OLD))

    assert first == Block(
        "if",
        addresses=("10.0.0.2/24",),
        routes=(Gateway("0.0.0.0/0", "10.0.0.1"),),
        dns=("10.0.0.1", "10.0.0.3"),
        dns_priority=10,
    )
    assert second.addresses == ("10.1.0.2/32",)
    assert second.routes == (Gateway("172.16.0.0/12", "10.1.0.1"),)
    assert second.dnsmasq == ("server=/corp/10.0.0.9", "server=10.0.0.8")


@pytest.mark.parametrize(
    "statement",
    [
        "reboot",
        "if[$cfg]=$(reboot)",
        "if[$cfg]=`reboot`",
        "ip[$cfg]=1.2.3.4 reboot",
        "ip[$cfg]='1.2.3.4",
        "gw[$cfg]='a'\"b\"",
        "mtu[$cfg]=1400",
        "ip[3]=1.2.3.4",
        "ip[$cfg]=1.2.3.4 && reboot",
    ],
)
def test_whatever_is_not_exactly_the_old_form_is_refused_with_its_line(statement: str) -> None:
    # VAR-237 (partly)
    with pytest.raises(Invalid, match=r"^line 3: "):
        legacy.translate(f"let cfg=cfg+1\nif[$cfg]=eth0\n{statement}\n")


@given(some.text(alphabet="ifp[$c]=cg+1 let'\";\n#.0/", max_size=60))
def test_any_old_text_is_translated_or_refused(text: str) -> None:
    try:
        translated = legacy.translate(text)
    except Invalid:
        return
    assert translated == "" or parse(translated)
