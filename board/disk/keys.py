"""The key pair that updates are signed with: signify(1)'s, made once per person or product.

`$INITFS_KEYS`, else `$XDG_CONFIG_HOME/initfs`, is the folder of `update.pub`, which goes into every disk image, and of
`update.sec`, which never leaves the machine that signs. Without `update.pub` images take no updates.
"""

from __future__ import annotations

import os
from pathlib import Path

from board import host
from board.host import Failure

SIGNIFY = "signify-openbsd"  # Debian's name of program and package


def folder() -> Path:
    """Return the folder of the keys."""
    if chosen := os.environ.get("INITFS_KEYS"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "initfs"


def public() -> bytes:
    """Return the public key's file, empty when there is none."""
    path = folder() / "update.pub"
    return path.read_bytes() if path.is_file() else b""


def make() -> Path:
    """Make a key pair without a passphrase; return the folder. Raises Failure: there is one."""
    home = folder()
    if (home / "update.pub").exists() or (home / "update.sec").exists():
        raise Failure("make keys", f"{home} has some", "INITFS_KEYS names another folder", usage=True)
    host.need([SIGNIFY])
    with host.failing("make keys"):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    pair = ["-p", str(home / "update.pub"), "-s", str(home / "update.sec")]
    words = [SIGNIFY, "-G", "-n", "-c", "initfs update", *pair]
    host.run(words, what="make keys")
    return home


def sign(message: Path) -> bytes:
    """Return a file's signature, in signify's form. Raises Failure: there is no secret key."""
    secret = folder() / "update.sec"
    if not secret.is_file():
        raise Failure("sign the update", f"there is no {secret}", "inv keys makes a pair")
    host.need([SIGNIFY])
    signature = message.with_name(f"{message.name}.sig")
    host.run([SIGNIFY, "-S", "-s", secret, "-m", message, "-x", signature], what="sign the update")
    return signature.read_bytes()
