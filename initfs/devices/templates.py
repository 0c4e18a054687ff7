"""Which template an instance is made from, by name. Pure.

An instance's name has something else in the place of `if` or `tty`: dhcp_eth0 is made from dhcp_if, dhcp_eth0_pinger from
dhcp_if_pinger.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PLACES = ("if", "tty")


def template(name: str, known: Iterable[str]) -> str:
    """The template that a name fits most closely; empty when there is none. A template's own name is that of no instance."""
    return max((other for other in known if fits(name, other)), key=len, default="")


def fits(name: str, of: str) -> bool:
    """Whether a name is that of an instance of a template: what stands in its place is not empty."""
    for place in PLACES:
        before, between, after = f"{of}_".partition(f"_{place}_")
        if between and name != of:
            head, tail = f"{before}_", f"_{after}".rstrip("_")
            return name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail)
    return False
