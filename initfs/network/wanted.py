"""What somebody wants of the network, read from `*.ipconf` files: declarative, checked value by value, never executed.

interface eth0
address 192.168.7.1/24
gateway 192.168.7.254
dns 192.168.7.254
"""

from __future__ import annotations

from initfs.value import value

NAME_MAX = 15  # IFNAMSIZ - 1


class Invalid(Exception):
    """A file says something that cannot be meant; the text names the line."""


@value
class Wanted:
    """What one file asks for."""

    interface: str
    addresses: tuple[str, ...] = ()  # ADDRESS/PREFIX
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


def parse(text: str) -> Wanted:
    """The Wanted of a file's TEXT; Invalid names the line and the reason."""
    interface = ""
    found: dict[str, list[str]] = {"address": [], "gateway": [], "dns": []}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if words[0] == "interface" and not interface:
                interface = _only(words[1:], is_interface)
            elif words[0] in found:
                check = is_prefix if words[0] == "address" else is_address
                found[words[0]].append(_only(words[1:], check))
            else:
                raise Invalid(f"{words[0][:20]!r} is not known, or given twice")  # noqa: TRY301
        except Invalid as error:
            raise Invalid(f"line {number}: {error}") from None
    if not interface:
        raise Invalid("there is no interface")
    return Wanted(interface, tuple(found["address"]), tuple(found["gateway"]), tuple(found["dns"]))


def render(wanted: Wanted) -> str:
    """The text that `parse` reads as WANTED."""
    lines = [f"interface {wanted.interface}"]
    lines += [f"address {address}" for address in wanted.addresses]
    lines += [f"gateway {gateway}" for gateway in wanted.gateways]
    lines += [f"dns {server}" for server in wanted.dns]
    return "".join(f"{line}\n" for line in lines)


def _only(words: list[str], check: object) -> str:
    if len(words) != 1 or not check(words[0]):  # type: ignore[operator]
        raise Invalid(f"{' '.join(words)[:40]!r} is not a value for it")
    return words[0]


def is_interface(text: str) -> bool:
    """Whether TEXT may name a network interface (dev_valid_name() of the kernel, and no leading dash)."""
    allowed = all(33 <= ord(character) < 127 and character not in "/:" for character in text)
    return 0 < len(text) <= NAME_MAX and allowed and not text.startswith(("-", "."))


def is_address(text: str) -> bool:
    """Whether TEXT is an IPv4 address in dotted form."""
    parts = text.split(".")
    return len(parts) == 4 and all(_is_number(part, 255) for part in parts)


def is_prefix(text: str) -> bool:
    """Whether TEXT is an IPv4 address with a prefix length."""
    address, _, length = text.partition("/")
    return is_address(address) and _is_number(length, 32)


def _is_number(text: str, most: int) -> bool:
    """A decimal number as the kernel prints it: `ip` takes 010 for eight, and what is printed otherwise is never reached."""
    return (
        text.isascii() and text.isdigit() and len(text) < 4 and text == str(int(text)) and int(text) <= most
    )
