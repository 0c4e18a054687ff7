"""What licences a package is under, read from its Debian copyright file, as well as a machine can."""

from __future__ import annotations

import re

from board.sources import paragraphs

# Packages whose copyright file is prose, by the beginning of their name
PROSE = {"python": "PSF-2.0", "libpython": "PSF-2.0", "busybox": "GPL-2.0-only", "initfs": "ISC",
         "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1"}  # fmt: skip
MENTION = re.compile(r"/usr/share/common-licenses/([A-Za-z]+-?[0-9.]*[0-9])")
UNKNOWN = "see the copyright file"


def licence(package: str, text: str) -> str:
    """Return the licences' short names joined by AND, sorted: from the machine-readable form (DEP 5), from what is
    known of the package, or from the common licences that its prose mentions.
    """
    if text.startswith("Format:"):
        names = {
            name
            for fields in paragraphs(text)
            if "files" in fields or "format" in fields
            for name in short(fields)
        }
        if names:
            return " AND ".join(sorted(names))
    for start, name in PROSE.items():
        if package.startswith(start):
            return name
    return " AND ".join(sorted(set(MENTION.findall(text)))) or UNKNOWN


def short(fields: dict[str, str]) -> list[str]:
    """Return the short names on the first line of a License field; `A or B` stays one name."""
    first = fields.get("license", "").split("\n")[0]
    return [name.strip() for name in re.split(r"\s+and\s+|,", first) if name.strip()]
