"""What is to be done about a device that comes or goes, by rules that people write. Pure.

    [[rule]]
    subsystem = "net"
    name = "eth*"
    services = ["ifplugd_{name}", "dhcp_{name}"]

    [[rule]]
    subsystem = "tty"
    property = { ID_VENDOR = "acme" }
    mode = "0660"
    group = "dialout"
    link = "modem"

Every rule that fits counts. Patterns are those of fnmatch(3). `{name}`, and any property by its name, may stand in services and links.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from initfs.value import value

FIELDS = ("subsystem", "name", "property", "services", "wake", "mode", "owner", "group", "link", "modules")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@")


class Invalid(Exception):
    """A file of rules says something that cannot be meant."""


@value
class Rule:
    """What fits, and what then is done."""

    subsystem: str = "*"
    name: str = "*"
    properties: tuple[tuple[str, str], ...] = ()  # of the kernel's uevent, each a pattern
    services: tuple[str, ...] = ()  # instances that live as long as the device does
    wake: tuple[str, ...] = ()  # services that are started once when it comes, and when it goes
    mode: int = -1
    owner: str = ""
    group: str = ""
    link: str = ""  # below /dev, to its node
    modules: bool = False  # load the driver that its modalias names


@value
class Device:
    """A device as the kernel tells it."""

    subsystem: str
    name: str
    node: str = ""  # /dev/..., empty if it has none
    properties: tuple[tuple[str, str], ...] = ()


# Effects


@value
class Begin:
    """Have an instance of a template."""

    service: str


@value
class End:
    service: str


@value
class Wake:
    service: str


@value
class Permit:
    node: str
    mode: int
    owner: str
    group: str


@value
class Link:
    path: str
    node: str


@value
class Unlink:
    path: str
    node: str


@value
class Load:
    """Load the modules for a modalias."""

    modalias: str


def parse(table: object, where: str) -> list[Rule]:
    """The rules of a file's table, as tomllib reads it; Invalid names the file, the rule and the field."""
    if not isinstance(table, dict) or set(table) - {"rule"} or not isinstance(table.get("rule", []), list):
        raise Invalid(f"{where}: a file has [[rule]] tables and nothing else")
    return [_rule(raw, f"{where}: rule {number}") for number, raw in enumerate(table.get("rule", []), 1)]


def _rule(raw: object, where: str) -> Rule:
    if not isinstance(raw, dict):
        raise Invalid(f"{where} is no table")
    for name in raw:
        if name not in FIELDS:
            raise Invalid(f"{where}: unknown field {name!r}; known: {' '.join(FIELDS)}")
    properties = raw.get("property", {})
    if not isinstance(properties, dict) or not all(isinstance(text, str) for text in properties.values()):
        raise Invalid(f"{where}: property is a table of texts")
    return Rule(
        _text(raw, "subsystem", where, "*"),
        _text(raw, "name", where, "*"),
        tuple(sorted(properties.items())),
        _texts(raw, "services", where),
        _texts(raw, "wake", where),
        _mode(raw, where),
        _text(raw, "owner", where),
        _text(raw, "group", where),
        _text(raw, "link", where),
        _flag(raw, where),
    )


def _text(raw: dict[str, object], name: str, where: str, default: str = "") -> str:
    found = raw.get(name, default)
    if not isinstance(found, str):
        raise Invalid(f"{where}: {name} is a text")
    return found


def _texts(raw: dict[str, object], name: str, where: str) -> tuple[str, ...]:
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise Invalid(f"{where}: {name} is a list of texts")
    return tuple(found)


def _mode(raw: dict[str, object], where: str) -> int:
    text = _text(raw, "mode", where)
    if text and (not set(text) <= set("01234567") or int(text, 8) > 0o777):
        raise Invalid(f'{where}: mode is an octal number as a text, as "0660"')
    return int(text, 8) if text else -1


def _flag(raw: dict[str, object], where: str) -> bool:
    found = raw.get("modules", False)
    if not isinstance(found, bool):
        raise Invalid(f"{where}: modules is true or false")
    return found


def fits(rule: Rule, device: Device) -> bool:
    """Whether a rule is about a device."""
    properties = dict(device.properties)
    return (
        fnmatchcase(device.subsystem, rule.subsystem)
        and fnmatchcase(device.name, rule.name)
        and all(fnmatchcase(properties.get(name, ""), pattern) for name, pattern in rule.properties)
    )


def came(rules: list[Rule], device: Device) -> list[object]:
    """The effects of a device that is there, or comes: its driver first, its services last."""
    effects: list[object] = []
    for rule in (rule for rule in rules if fits(rule, device)):
        modalias = dict(device.properties).get("MODALIAS", "")
        if rule.modules and modalias:
            effects.append(Load(modalias))
        if device.node and (rule.mode >= 0 or rule.owner or rule.group):
            effects.append(Permit(device.node, rule.mode, rule.owner, rule.group))
        if device.node and rule.link and (path := filled(rule.link, device)):
            effects.append(Link(f"/dev/{path}", device.node))
        effects += [Begin(name) for name in _services(rule.services, device)]
        effects += [Wake(name) for name in _services(rule.wake, device)]
    order = {Load: 0, Permit: 1, Link: 2, Begin: 3, Wake: 4}
    return list(dict.fromkeys(sorted(effects, key=lambda effect: order[type(effect)])))


def went(rules: list[Rule], device: Device) -> list[object]:
    """The effects of a device that is gone: its services go in the opposite order."""
    effects: list[object] = []
    for rule in (rule for rule in rules if fits(rule, device)):
        effects += [End(name) for name in reversed(_services(rule.services, device))]
        if device.node and rule.link and (path := filled(rule.link, device)):
            effects.append(Unlink(f"/dev/{path}", device.node))
        effects += [Wake(name) for name in _services(rule.wake, device)]
    return list(dict.fromkeys(effects))


def _services(templates: tuple[str, ...], device: Device) -> list[str]:
    found = (filled(template, device) for template in templates)
    return [name for name in found if name and "/" not in name]


def filled(template: str, device: Device) -> str:
    """A text with the device's values in place of {name} and {PROPERTY}; empty when one is not there, or is not a plain word:
    what a device says of itself must not lead elsewhere.
    """
    values = {"name": device.name.replace("/", "!"), "subsystem": device.subsystem, **dict(device.properties)}
    parts = template.split("{")
    result = parts[0]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        text = values.get(name, "")
        if not brace or not text or text.startswith(".") or not set(text) <= PLAIN:
            return ""
        result += text + rest
    return "" if ".." in result.split("/") else result
