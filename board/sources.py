"""Where Debian's archive is: what the host's own apt is configured with (sources.list(5)), read purely.

No host name stands in this repository: a machine that could install this project's dependencies has a mirror
that works for it. INITFS_MIRROR overrides.
"""

from __future__ import annotations

import os
from pathlib import Path

from board.host import Failure

ETC = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Of the archives that Debian's sources usually name, these have other contents than the main one.
OTHERS = ("debian-security", "-security", "debian-debug", "backports")


def archive(etc: Path = ETC) -> str:
    """Return the URI of Debian's main archive. Raises Failure if the host's configuration names none."""
    if chosen := os.environ.get("INITFS_MIRROR"):
        return chosen.rstrip("/")
    candidates = [
        uri for text, deb822 in configured(etc) for uri in (stanzas(text) if deb822 else lines(text))
    ]
    found = [uri for uri in candidates if main(uri)]
    if not found:
        raise Failure("find a mirror of Debian", f"no source in {etc}", "INITFS_MIRROR=URI names one")
    return found[0]


def main(uri: str) -> bool:
    """Say whether a URI is that of the main archive (and not of security updates, or of somebody else)."""
    return uri.rstrip("/").endswith("/debian") and not any(other in uri for other in OTHERS)


def configured(etc: Path) -> list[tuple[str, bool]]:
    """Return the texts of all source files, each with whether it is in the deb822 form."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    return [
        (path.read_text(), path.suffix == ".sources")
        for path in files
        if path.suffix in {".list", ".sources"} and path.is_file()
    ]


def lines(text: str) -> list[str]:
    """Return the URIs of the one-line form: `deb [options] URI suite component...`."""
    uris = []
    for line in text.splitlines():
        words = line.split("#")[0].replace("]", "] ").split()
        if words[:1] == ["deb"]:
            if words[1].startswith("["):
                end = next(i for i, word in enumerate(words) if word.endswith("]"))
                words = ["deb", *words[end + 1 :]]
            uris.append(words[1].rstrip("/"))
    return uris


def stanzas(text: str) -> list[str]:
    """Return the URIs of the deb822 form, of enabled binary sources only."""
    uris: list[str] = []
    for fields in paragraphs(text):
        if fields.get("enabled", "yes").lower() != "no" and "deb" in fields.get("types", "").split():
            uris += [uri.rstrip("/") for uri in fields.get("uris", "").split()]
    return uris


def paragraphs(text: str) -> list[dict[str, str]]:
    """Read Debian's control format (deb822(5)): paragraphs of fields; names in lower case, values joined by newlines."""
    found: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            found.append({})
        elif line[0] in " \t":
            if name in found[-1]:
                found[-1][name] += "\n" + line.strip()
        else:
            name, _, rest = line.partition(":")
            name = name.strip().lower()
            found[-1][name] = rest.strip()
    return [fields for fields in found if fields]
