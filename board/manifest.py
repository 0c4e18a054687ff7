"""What an image is made of, for people and machines who must know: a manifest, and CycloneDX."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board.tree import Directory, File, Link, Node, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from board.model import Board, Profile
    from board.pieces import Piece
    from board.pypi import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A component with a licence: a Debian package, busybox as built here, or this project."""

    name: str
    version: str
    architecture: str
    licence: str
    sha256: str = ""  # of the package's file
    pypi: bool = False  # a Python package that is not Debian's

    def purl(self, suite: str) -> str:
        """Return its package URL (github.com/package-url/purl-spec)."""
        if self.pypi:
            return f"pkg:pypi/{self.name}@{self.version}"
        version = self.version.replace(":", "%3A").replace("+", "%2B").replace("~", "%7E")
        return f"pkg:deb/debian/{self.name.replace('+', '%2B')}@{version}?arch={self.architecture}&distro={suite}"


def other(distribution: Distribution) -> Package:
    """Return the component of a Python package that is not Debian's."""
    about = distribution
    return Package(
        name=about.name, version=about.version, architecture="all", licence=about.licence, pypi=True
    )


def row(record: Record, package: Package) -> dict[str, object]:
    """Return one file's line of the manifest."""
    fields: dict[str, object] = {"path": record.path, "kind": type(record).__name__.lower(), "mode": f"{record.mode:04o}",
                                 "uid": record.uid, "gid": record.gid}  # fmt: skip
    match record:
        case File():
            fields |= {"size": len(record.data), "sha256": hashlib.sha256(record.data).hexdigest()}
        case Link():
            fields |= {"target": record.target}
        case Node():
            fields |= {"device": f"{record.kind} {record.major} {record.minor}"}
        case Directory():
            pass
    return fields | {
        "group": record.group,
        "package": package.name,
        "version": package.version,
        "licence": package.licence,
    }


def manifest(
    board: Board, profile: Profile, records: Iterable[Record], packages: Mapping[str, Package], pieces: Iterable[Piece], *, kernel: object, time: int,
) -> bytes:  # fmt: skip
    """Return manifest.json. Every record's package must be among the packages."""
    document = {
        "board": board.name,
        "architecture": board.architecture,
        "suite": board.suite,
        "profile": profile.name,
        "time": time,
        "kernel": kernel,
        "pieces": [
            {"name": piece.name, "bytes": piece.plain, "compressed": len(piece.data)} for piece in pieces
        ],
        "packages": [
            {
                "name": one.name,
                "version": one.version,
                "architecture": one.architecture,
                "licence": one.licence,
                "sha256": one.sha256,
            }
            for one in packages.values()
        ],
        "files": [row(record, packages[record.package]) for record in records],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def bill(board: Board, packages: Sequence[Package]) -> bytes:
    """Return the software bill of materials in CycloneDX 1.5 (cyclonedx.org/docs/1.5/json).

    Its serial number is made of the content, so that equal images have equal bills.
    """
    components = [component(package, board.suite) for package in packages]
    content = json.dumps([board.name, components], sort_keys=True)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "component": {"type": "firmware", "bom-ref": board.name, "name": f"initfs-{board.name}"}
        },
        "components": components,
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def component(package: Package, suite: str) -> dict[str, object]:
    """Return one package as CycloneDX wants it. Licence names are Debian's, so they are names and no SPDX identifiers."""
    fields: dict[str, object] = {
        "type": "operating-system" if package.name.startswith("linux-image") else "library",
        "bom-ref": package.name,
        "name": package.name,
        "version": package.version,
        "licenses": [{"license": {"name": name}} for name in package.licence.split(" AND ")],
        "purl": package.purl(suite),
    }
    if package.sha256:
        fields["hashes"] = [{"alg": "SHA-256", "content": package.sha256}]
    return fields
