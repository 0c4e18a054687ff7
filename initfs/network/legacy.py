"""fw-import: the old form of ipconf files, fragments for a shell, translated into ours. They are read, never run.

    let cfg=cfg+1
    if[$cfg]=eth0; ip[$cfg]=10.0.0.2; ipmask[$cfg]=10.0.0.2/24
    gw[$cfg]=10.0.0.1; net[$cfg]=0/0; dns[$cfg]='10.0.0.1 10.0.0.3'

Source: `spec/var_service.md` 8.2. Exactly these statements are understood; anything else is refused with its line.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.network.names import is_number
from initfs.network.wanted import Invalid, parse

USAGE = "fw-import file..."
NEXT = "let cfg=cfg+1"
NAMES = ("if", "ip", "ipmask", "gw", "net", "dns", "dns_prio", "dnsmasq")
SPECIAL = frozenset("\"'`$\\;&|<>(){}*?!~")


def main(argv: list[str]) -> int:
    """Print the translation of each file. Exit code 100 when one is refused; nothing is printed of that one."""
    _, paths = options.parse(argv[1:], "", USAGE)
    if not paths:
        raise say.usage(USAGE)
    code = say.OK
    for path in paths:
        try:
            with open(path, encoding="ascii") as source:
                print(translate(source.read()), end="")
        except (Invalid, UnicodeDecodeError) as error:
            say.warning(f"{os.path.basename(path)} refused: {error}")
            code = say.USAGE
    return code


def translate(text: str) -> str:
    """Our form of an old file's TEXT. Invalid names the line and the reason."""
    entries = read(text)
    lines = [line for entry in entries for line in _block(entry)]
    translated = "".join(f"{line}\n" for line in lines)
    if entries:
        parse(translated)  # what it says must mean something, too
    return translated


def read(text: str) -> list[dict[str, str]]:
    """The entries of an old file: values by name."""
    entries: list[dict[str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            for statement in statements(line):
                if statement == NEXT:
                    entries.append({})
                elif not entries:
                    raise Invalid(f"it must begin with `{NEXT}`")  # noqa: TRY301
                else:
                    entries[-1].update([_assignment(statement)])
        except Invalid as error:
            raise Invalid(f"line {number}: {error}") from None
    return entries


def statements(line: str) -> list[str]:
    """The statements of a line: `;` divides them, `#` at the start of a word ends them, quotes hold together."""
    found, current, quote, start = [], "", "", True
    for character in line.strip():
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and start:
            break
        elif character == ";":
            found.append(current.strip())
            current, start = "", True
            continue
        start = character in " \t" and not quote
        current += character
    if quote:
        raise Invalid("a quote is not closed")
    return [statement for statement in [*found, current.strip()] if statement]


def _assignment(statement: str) -> tuple[str, str]:
    name, bracket, rest = statement.partition("[$cfg]=")
    if not bracket or name not in NAMES:
        raise Invalid(f"{statement[:40]!r} is not understood")
    text = rest
    if len(rest) > 1 and rest[0] in "'\"" and rest[-1] == rest[0]:
        text = rest[1:-1]
    elif any(character.isspace() for character in rest):
        raise Invalid(f"{statement[:40]!r}: more than one word")
    if set(text) & SPECIAL:
        raise Invalid(f"{name}: a character that a shell would act on")
    return name, text


def _block(entry: dict[str, str]) -> list[str]:
    """The lines of one entry. An old one without an interface or an address asks for nothing but its servers."""
    if not entry.get("if"):
        raise Invalid("an entry has no interface")
    lines = [f"interface {entry['if']}"]
    address = entry.get("ipmask") or (f"{entry['ip']}/32" if entry.get("ip") else "")
    if address:
        lines.append(f"    address {address}")
    if entry.get("gw"):
        network = entry.get("net", "0/0")
        if network in ("0/0", "0.0.0.0/0"):
            lines.append(f"    gateway {entry['gw']}")
        else:
            lines.append(f"    route {network} via {entry['gw']}")
    if entry.get("dns"):
        lines.append(f"    dns {entry['dns']}")
    if entry.get("dns_prio", "0") != "0":
        if not is_number(entry["dns_prio"], 2**31 - 1, 1):
            raise Invalid("dns_prio is no number")
        lines.append(f"    dns-priority {entry['dns_prio']}")
    lines += [f"    dnsmasq {word}" for word in entry.get("dnsmasq", "").split()]
    return lines
