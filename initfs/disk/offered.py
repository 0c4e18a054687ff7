"""What somebody put on the boot partition to provision a machine: which files there may be, and what must be in them. Pure."""

from __future__ import annotations

from initfs.network import wanted, zones
from initfs.network.wanted import Invalid
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

README, ERRORS = "readme.txt", "errors.txt"
MOST = 65536  # bytes of one file
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
             "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")  # fmt: skip
BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


@value
class Kind:
    """One kind of file: who checks it, the mode it is kept with, and whether it must not be found on the card later."""

    check: Callable[[str], None]
    mode: int = 0o644
    secret: bool = False


def hostname(text: str) -> None:
    """A name of RFC 1123: one label."""
    name = text.strip()
    if not name or len(name) > 63 or not set(name) <= LETTERS or name[0] == "-" or name[-1] == "-":
        raise Invalid("a host name has up to 63 letters, digits and hyphens, and no hyphen at its ends")


def authorized_keys(text: str) -> None:
    """Lines of sshd(8)'s AUTHORIZED_KEYS form, without options: KIND BASE64 COMMENT."""
    keys = 0
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] not in KEY_KINDS:
            raise Invalid(f"line {number}: {words[0][:30]!r} is no kind of key")
        if len(words) < 2 or len(words[1]) < 40 or not set(words[1]) <= BASE64:
            raise Invalid(f"line {number}: there is no whole key")
        keys += 1
    if not keys:
        raise Invalid("there is no key")


def network(text: str) -> None:
    wanted.parse(text)


def firewall(text: str) -> None:
    zones.parse(text)


def wifi_fields(text: str) -> dict[str, str]:
    """The settings of a `wifi` file: ssid, psk (8 to 63 characters, or 64 hexadecimal digits; empty: an open network), country."""
    fields = {"ssid": "", "psk": "", "country": ""}
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, rest = line.strip().partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals or name not in fields:
            raise Invalid(f"line {number}: not ssid=, psk= or country=")
        fields[name] = rest
    return fields


def wifi(text: str) -> None:
    fields = wifi_fields(text)
    if not 0 < len(fields["ssid"].encode()) <= 32:
        raise Invalid("an ssid has 1 to 32 bytes")
    if fields["psk"] and not (
        8 <= len(fields["psk"]) <= 64 and fields["psk"].isascii() and fields["psk"].isprintable()
    ):
        raise Invalid("a psk has 8 to 63 characters, or 64 hexadecimal digits")
    if (
        fields["psk"]
        and len(fields["psk"]) == 64
        and not set(fields["psk"].lower()) <= set("0123456789abcdef")
    ):
        raise Invalid("a psk of 64 characters has hexadecimal digits only")
    if fields["country"] and not (
        len(fields["country"]) == 2 and fields["country"].isalpha() and fields["country"].isupper()
    ):
        raise Invalid("a country has two capital letters")


def supplicant(text: str) -> str:
    """wpa_supplicant.conf(5) for a good `wifi` file. Names in hexadecimal: there is nothing to escape."""
    fields = wifi_fields(text)
    lines = [
        "ctrl_interface=/run/wpa_supplicant",
        *([f"country={fields['country']}"] if fields["country"] else []),
    ]
    lines += ["network={", f"\tssid={fields['ssid'].encode().hex()}"]
    if not fields["psk"]:
        lines.append("\tkey_mgmt=NONE")
    elif len(fields["psk"]) == 64:
        lines.append(f"\tpsk={fields['psk']}")
    else:
        # everything up to the last quotation mark of the line is the passphrase
        lines.append(f'\tpsk="{fields["psk"]}"')
    return "\n".join([*lines, "}", ""])


KINDS: dict[str, Kind] = {
    "hostname": Kind(hostname),
    "authorized_keys": Kind(authorized_keys, 0o600),
    "wifi": Kind(wifi, 0o600, secret=True),
}
ENDINGS: dict[str, Kind] = {".ipconf": Kind(network), ".fwconf": Kind(firewall)}


def kind(name: str) -> Kind | None:
    """The kind of a file by its path below initfs/; None: nobody knows it. FAT has no case, so `WIFI` is `wifi`."""
    name = name.lower()
    folder, slash, file = name.partition("/")
    if not slash:
        return KINDS.get(name)
    ending = file[file.rfind(".") :] if "." in file[1:] else ""
    return ENDINGS.get(ending) if folder == "network" and "/" not in file else None


def mistake(name: str, data: bytes) -> str:
    """What is wrong with a file, "" when it can be taken over."""
    found = kind(name)
    if found is None:
        return "this is none of the files that can be put here"
    if len(data) > MOST:
        return f"it is larger than {MOST} bytes"
    try:
        # what editors elsewhere leave: a mark of byte order, carriage returns
        found.check(plain(data).decode())
    except UnicodeDecodeError:
        return "it is no text"
    except Invalid as error:
        return str(error)
    return ""


def plain(data: bytes) -> bytes:
    """A text without the traces of other systems' editors."""
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
