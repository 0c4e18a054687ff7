"""Zones as one nftables table, loaded as a whole: at every moment either the old rules are in force or the new ones.

A table of our own: other tables (a container engine's, say) are neither read nor touched. Source: nft(8).
"""

from __future__ import annotations

from initfs.network.names import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from initfs.network.zones import Accept, Firewall, Zone

TABLE = "inet initfs"
REFUSE = "meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited"
# What a host must hear to be a neighbour (RFC 4861, RFC 2710) and to have its lease prolonged (RFC 2131 4.4.5: by broadcast, too).
ALWAYS = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept",
    "udp sport 67 udp dport 68 accept",
    "udp sport 547 udp dport 546 accept",
)
KNOWN = "ct state vmap { established : accept, related : accept, invalid : drop }"


def render(firewall: Firewall) -> str:
    """The input of `nft -f -` that puts FIREWALL in the place of whatever table of ours there is.

    A table is made if there is none, so that it can be deleted, so that it can be made: nft does it all in one transaction.
    """
    zones = sorted(firewall.zones, key=lambda zone: "*" in zone.interfaces)
    blocks = [
        _chain(
            "input",
            "type filter hook input priority filter; policy drop;",
            [
                'iifname "lo" accept',
                KNOWN,
                *ALWAYS,
                *(f"{_from(zone, zones)}goto in_{zone.name}" for zone in zones if zone.interfaces),
                *REFUSE,
            ],
        ),
        _chain(
            "forward",
            "type filter hook forward priority filter; policy drop;",
            [KNOWN, *_forwards(zones), *REFUSE],
        ),
        *(
            _chain(f"in_{zone.name}", "", [*map(_accept, zone.accepts), *REFUSE])
            for zone in zones
            if zone.interfaces
        ),
    ]
    leaving = [
        f"{_match('oifname', zone, zones)}masquerade" for zone in zones if zone.masquerade and zone.interfaces
    ]
    if leaving:
        rules = [f"meta nfproto ipv4 {rule}" for rule in leaving]
        blocks.append(_chain("leaving", "type nat hook postrouting priority srcnat; policy accept;", rules))
    return f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{''.join(blocks)}}}\n"


def _chain(name: str, head: str, rules: Iterable[str]) -> str:
    lines = [head, *rules] if head else rules
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _forwards(zones: list[Zone]) -> list[str]:
    known = {zone.name: zone for zone in zones}
    return [
        f"{_from(zone, zones)}{_match('oifname', known[name], zones)}accept"
        for zone in zones
        for name in zone.forwards
        if zone.interfaces and known[name].interfaces
    ]


def _from(zone: Zone, zones: list[Zone]) -> str:
    return _match("iifname", zone, zones)


def _match(what: str, zone: Zone, zones: list[Zone]) -> str:
    """The condition for a zone's interfaces; the lone star is all that no other zone names."""
    if "*" not in zone.interfaces:
        return f"{what} {_set(zone.interfaces)} "
    others = [name for other in zones if other is not zone for name in other.interfaces]
    return f"{what} != {_set(others)} " if others else ""


def _set(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }"


def _accept(accept: Accept) -> str:
    """The rules of one `accept` line: one per source, as networks that overlap cannot be in one set; of ping one per version."""
    kinds = {"": f"{accept.what} dport {{ {', '.join(merged(accept.ports))} }} " if accept.ports else ""}
    if accept.what == "ping":
        kinds = {"ip": "icmp type echo-request ", "ip6": "icmpv6 type echo-request "}
    rules = []
    for family, kind in kinds.items():
        for network in dict.fromkeys(accept.sources or ("default",)):
            source = _source(network)
            if not (family and source) or source.startswith(f"{family} "):
                rules.append(f"{source}{kind}accept")
    return "\n\t\t".join(rules)


def _source(network: str) -> str:
    if network == "default":
        return ""
    return f"{'ip6' if version(network) == 6 else 'ip'} saddr {network} "


def merged(ports: Iterable[str]) -> list[str]:
    """Ports and ranges in order, none of them overlapping: nft refuses a set in which two do."""
    ranges: list[list[int]] = []
    for first, last in sorted(_bounds(text) for text in ports):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1][1] = max(ranges[-1][1], last)
        else:
            ranges.append([first, last])
    return [f"{first}-{last}" if first < last else str(first) for first, last in ranges]


def _bounds(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)
