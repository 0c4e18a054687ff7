"""Where an instanced service has what: `template/`, the copies in `instances/`, and the links to them in `instance/`.

Source: `spec/supervision.md` 1.10. `instance/` is the scan directory of the svscan that the service's run is.
"""

from __future__ import annotations

from initfs.supervise import client, linking

LIVE, COPIES, TEMPLATE = "instance", "instances", "template"


def locate(service: str, name: str) -> tuple[str, str]:
    """(the instanced service's directory, the instance's name); say.Fatal 100 for a name that can't be one."""
    return client.locate(service), linking.check_name(name)


def live(service: str, name: str) -> str:
    """The service directory of an instance, for clients."""
    directory, name = locate(service, name)
    return f"{directory}/{LIVE}/{name}"
