"""Where an instanced service has what: `template/`, the copies in `instances/`, and the links to them in `instance/`.

Source: `spec/supervision.md` 1.10. `instance/` is the scan directory of the svscan that the service's run is.
"""

from __future__ import annotations

import os
import pwd

from initfs import say
from initfs.chain import identity
from initfs.supervise import client, linking

LIVE, COPIES, TEMPLATE = "instance", "instances", "template"


def locate(service: str, name: str) -> tuple[str, str]:
    """(the instanced service's directory, the instance's name); say.Fatal 100 for a name that can't be one."""
    return client.locate(service), linking.check_name(name)


def live(service: str, name: str) -> str:
    """The service directory of an instance, for clients."""
    directory, name = locate(service, name)
    return f"{directory}/{LIVE}/{name}"


def become_owner(service: str) -> None:
    """Root gives up what it does not need: it works in the directories of an instanced service as whoever they belong to.

    What is made there must belong to the user whose svscan runs it, and what a user may change under root's feet is no place for root.
    """
    path = f"{service}/{COPIES}"
    try:
        owner = os.stat(path)
    except OSError as error:
        raise say.unable(f"look at {path}", error) from error
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        groups = identity.memberships(pwd.getpwuid(owner.st_uid).pw_name)
    except KeyError:
        groups = ()
    identity.become(owner.st_uid, owner.st_gid, groups)
