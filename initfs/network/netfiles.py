"""The small files that go with the network: resolv.conf(5), hosts(5), dnsmasq's servers."""

from __future__ import annotations

from initfs.network.names import is_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from initfs.network.wanted import Block

SERVERS_MAX = 3  # resolv.conf(5): MAXNS
SEARCH_MAX = 6  # resolv.conf(5): MAXDNSRCH, where the library is old


def resolver(blocks: Sequence[Block], *, cached: bool = False) -> str:
    """The content of resolv.conf: servers of the highest priority, once each, in order; CACHED: the cache on this machine."""
    search = list(dict.fromkeys(name for block in blocks for name in (block.domain, *block.search) if name))
    lines = [f"search {' '.join(search[:SEARCH_MAX])}\n"] if search else []
    chosen = ["127.0.0.1"] if cached else servers(best(blocks))[:SERVERS_MAX]
    return "".join([*lines, *(f"nameserver {server}\n" for server in chosen)])


def best(blocks: Iterable[Block]) -> list[Block]:
    """Of the blocks that name servers, those of the highest priority there is."""
    naming = [block for block in blocks if block.dns or block.dnsmasq]
    highest = max((block.dns_priority for block in naming), default=0)
    return [block for block in naming if block.dns_priority == highest]


def servers(blocks: Iterable[Block]) -> list[str]:
    """Every server once."""
    return list(dict.fromkeys(server for block in blocks for server in block.dns))


def dnsmasq(blocks: Sequence[Block]) -> str:
    """The lines of dnsmasq's servers-file. A block's own lines stand for its servers, whatever its priority."""
    own = dict.fromkeys(line for block in blocks for line in block.dnsmasq)
    plain = servers(block for block in best(blocks) if not block.dnsmasq)
    return "".join([*(f"{line}\n" for line in own), *(f"server={server}\n" for server in plain)])


def hosts(blocks: Sequence[Block], hostname: str) -> str:
    """The content of hosts: this machine's name (with its domain) and the names that blocks give, for each of its addresses.

    HOSTNAME may be anything that somebody set: what is no host name is left out.
    """
    hostname = hostname if is_host(hostname) else ""
    domain = next((block.domain for block in blocks if block.domain), "")
    full = [f"{hostname}.{domain}"] if hostname and domain and "." not in hostname else []
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost"]
    for block in blocks:
        for prefix in block.addresses:
            address = prefix.partition("/")[0]
            names = dict.fromkeys([*block.hosts, *full, *([hostname] if hostname else [])])
            if names and address not in ("127.0.0.1", "::1"):
                lines.append(f"{address}\t{' '.join(names)}")
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))
