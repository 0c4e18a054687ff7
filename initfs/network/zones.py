"""Who may talk to this machine and through it, read from `*.fwconf` files: zones of interfaces, closed unless they say otherwise.

    zone lan
        interface br0
        accept tcp 22 80
        accept udp 53 67 from 192.168.7.0/24
        accept ping
        forward wan
    zone wan
        interface eth0 ppp*
        masquerade
    prefer eth0

`accept` is for new connections to this machine, `forward` for new ones through it; answers always pass.
"""

from __future__ import annotations

from initfs.network.names import is_interface, is_network, is_number, is_pattern
from initfs.network.wanted import Invalid
from initfs.value import replace, value

PROTOCOLS = ("tcp", "udp")
ZONE_MAX = 15
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


@value
class Accept:
    """New connections that a zone may open: WHAT is tcp, udp, ping or all."""

    what: str
    ports: tuple[str, ...] = ()  # numbers and ranges: 80, 8000-8010
    sources: tuple[str, ...] = ()  # networks; none is anywhere


@value
class Zone:
    """Interfaces of one trust."""

    name: str
    interfaces: tuple[
        str, ...
    ] = ()  # names; with a star at the end all that begin so; a star alone all others
    accepts: tuple[Accept, ...] = ()
    forwards: tuple[str, ...] = ()  # zones it may open connections to
    masquerade: bool = False  # what leaves by it has this machine's address (IPv4)


@value
class Firewall:
    """All zones, and the interfaces whose default routes come first."""

    zones: tuple[Zone, ...] = ()
    prefer: tuple[str, ...] = ()

    @property
    def routes(self) -> bool:
        """Whether anything is forwarded at all."""
        return any(zone.forwards for zone in self.zones)


def parse(text: str) -> Firewall:
    """The zones of a file's TEXT; Invalid names the line and the reason."""
    found = Firewall()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split() if line.isascii() else [line]
        if not words:
            continue
        try:
            found = _line(found, words[0], words[1:])
        except Invalid as error:
            raise Invalid(f"line {number}: {error}") from None
    return found


def _line(found: Firewall, word: str, rest: list[str]) -> Firewall:
    if word == "zone":
        if len(rest) != 1 or not (set(rest[0]) <= LETTERS and len(rest[0]) <= ZONE_MAX):
            raise Invalid("a zone's name has up to 15 small letters, digits and underscores")
        return replace(found, zones=(*found.zones, Zone(rest[0])))
    if word == "prefer":
        return replace(found, prefer=(*found.prefer, *_all(rest, is_interface)))
    if not found.zones:
        raise Invalid(f"{word[:20]!r} before any zone")
    return replace(found, zones=(*found.zones[:-1], _in_zone(found.zones[-1], word, rest)))


def _in_zone(zone: Zone, word: str, rest: list[str]) -> Zone:
    match word:
        case "interface":
            return replace(zone, interfaces=(*zone.interfaces, *_all(rest, is_pattern)))
        case "accept":
            return replace(zone, accepts=(*zone.accepts, _accept(rest)))
        case "forward":
            return replace(zone, forwards=(*zone.forwards, *_all(rest, lambda text: set(text) <= LETTERS)))
        case "masquerade" if not rest:
            return replace(zone, masquerade=True)
    raise Invalid(f"{word[:20]!r} is not known, or has a value that it cannot have")


def _accept(words: list[str]) -> Accept:
    sources: list[str] = []
    if "from" in words:
        at = words.index("from")
        words, sources = words[:at], _all(words[at + 1 :], is_network)
    match words:
        case [("tcp" | "udp") as protocol, *ports]:
            return Accept(protocol, tuple(_all(ports, is_ports)), tuple(sources))
        case [("ping" | "all") as what]:
            return Accept(what, (), tuple(sources))
    raise Invalid("it is tcp or udp with port numbers, ping, or all; then perhaps `from` networks")


def is_ports(text: str) -> bool:
    """Whether TEXT is a port, or a range of them: 8000-8010."""
    first, dash, last = text.partition("-")
    if not is_number(first, 65535, 1):
        return False
    return not dash or (is_number(last, 65535, 1) and int(first) < int(last))


def _all(words: list[str], check: object) -> list[str]:
    wrong = [word for word in words if not check(word)]  # type: ignore[operator]
    if wrong or not words:
        raise Invalid(f"{wrong[0][:40]!r} is not a value for it" if wrong else "it has no value")
    return words


def together(parts: list[Firewall]) -> Firewall:
    """One firewall of many files'. Invalid: what it says cannot be told apart, or names a zone that there is not."""
    zones: dict[str, Zone] = {}
    for zone in (zone for part in parts for zone in part.zones):
        old = zones.get(zone.name, Zone(zone.name))
        zones[zone.name] = Zone(
            zone.name,
            _distinct(old.interfaces + zone.interfaces),
            tuple(dict.fromkeys(old.accepts + zone.accepts)),
            tuple(dict.fromkeys(old.forwards + zone.forwards)),
            old.masquerade or zone.masquerade,
        )
    for zone in zones.values():
        unknown = [name for name in zone.forwards if name not in zones]
        if unknown:
            raise Invalid(f"zone {zone.name} forwards to {unknown[0]}, and there is no such zone")
    _apart(list(zones.values()))
    return Firewall(tuple(zones.values()), tuple(name for part in parts for name in part.prefer))


def _apart(zones: list[Zone]) -> None:
    """An interface is in one zone: no name or pattern of one may be covered by another's, the lone star aside."""
    named = [(zone.name, text) for zone in zones for text in zone.interfaces if text != "*"]
    for index, (zone, text) in enumerate(named):
        for other, pattern in named[index + 1 :]:
            if zone != other and (_covered(text, pattern) or _covered(pattern, text)):
                raise Invalid(
                    f"{text} of zone {zone} and {pattern} of zone {other} may be the same interface"
                )
    if sum("*" in zone.interfaces for zone in zones) > 1:
        raise Invalid("* is in two zones")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that another pattern of them covers: nft refuses a set in which two overlap."""
    known = tuple(dict.fromkeys(names))
    return tuple(
        name
        for name in known
        if name == "*" or not any(other not in (name, "*") and _covered(name, other) for other in known)
    )


def _covered(text: str, pattern: str) -> bool:
    return text == pattern or (pattern.endswith("*") and text.startswith(pattern[:-1]))
