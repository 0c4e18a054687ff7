"""What may stand for an interface, an address, a network, a name: checked once, where text comes in.

Everything that passes is plain ASCII without blanks, quotes or control characters, and written as the kernel prints it, so
that what is wanted and what is there can be compared as text.
"""

from __future__ import annotations

import ipaddress

NAME_MAX = 15  # IFNAMSIZ - 1
LABEL_MAX, HOST_MAX = 63, 253  # RFC 1035 2.3.4
HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def is_interface(text: str) -> bool:
    """Whether TEXT may name a network interface (dev_valid_name() of the kernel), stricter: no quotes, no leading dash."""
    allowed = all(33 <= ord(character) < 127 and character not in "/:\"'`\\*" for character in text)
    return 0 < len(text) <= NAME_MAX and allowed and not text.startswith(("-", "."))


def is_pattern(text: str) -> bool:
    """Whether TEXT names interfaces: one, or with a star at its end all that begin so; a star alone is all."""
    return text == "*" or is_interface(text.removesuffix("*"))


def is_address(text: str) -> bool:
    """Whether TEXT is an IPv4 or IPv6 address as the kernel prints it: no leading zeros, no long form."""
    try:
        return str(ipaddress.ip_address(text)) == text and "%" not in text
    except ValueError:
        return False


def is_prefix(text: str) -> bool:
    """Whether TEXT is an address with a prefix length: an interface's own, host bits and all."""
    address, slash, length = text.partition("/")
    return bool(slash) and is_address(address) and _is_length(length, version(address))


def is_network(text: str) -> bool:
    """Whether TEXT is a network: `default` (which is 0.0.0.0/0 of either version), or an address without host bits and a length."""
    if text in ("default", "0.0.0.0/0", "::/0"):
        return True
    try:
        return is_prefix(text) and str(ipaddress.ip_network(text)) == text
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """Whether TEXT is a host or domain name: letters, digits, dashes, underscores, dots (RFC 952, RFC 1123)."""
    labels = text.removesuffix(".").split(".")
    return (
        0 < len(text) <= HOST_MAX
        and set(text) <= HOST
        and all(0 < len(label) <= LABEL_MAX and not label.startswith("-") for label in labels)
    )


def is_number(text: str, most: int, least: int = 0) -> bool:
    """Whether TEXT is a decimal number in range, without leading zeros."""
    return (
        text.isascii()
        and text.isdigit()
        and len(text) < 11
        and text == str(int(text))
        and least <= int(text) <= most
    )


def version(text: str) -> int:
    """4 or 6: of an address, a prefix or a network that has been checked."""
    return 6 if ":" in text else 4


def network_of(prefix: str) -> str:
    """The network that an interface's ADDRESS/LENGTH is in."""
    return str(ipaddress.ip_interface(prefix).network)


def broadcast_of(prefix: str) -> str:
    """The broadcast address that goes with an ADDRESS/LENGTH; empty where there is none (IPv6, /31, /32)."""
    network = ipaddress.ip_interface(prefix).network
    return str(network.broadcast_address) if network.version == 4 and network.prefixlen < 31 else ""


def covers(prefix: str, address: str) -> bool:
    """Whether ADDRESS is a neighbour by an interface's ADDRESS/LENGTH."""
    return ipaddress.ip_address(address) in ipaddress.ip_interface(prefix).network


def _is_length(text: str, family: int) -> bool:
    return is_number(text, 128 if family == 6 else 32)
