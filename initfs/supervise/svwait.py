"""svwait: wait until services are up, ready, down or restarted. Never polls: it listens to their fifodirs.

Source: `spec/supervision.md` 1.7.
"""

from __future__ import annotations

from initfs import say
from initfs.supervise.waiters import Services, request

USAGE = "svwait [-u|-U|-d|-D|-r|-R] [-a|-o] [-t ms] dir..."


def main(argv: list[str]) -> int:
    """0 seen, 99 timed out, 102 a supervisor is not there, or the number of services that failed for good."""
    asked = request(argv, "ao", USAGE)
    if not asked.rest:
        return say.OK
    with Services(asked.rest, asked.wanted) as services:
        return services.wait(asked.deadline, some=asked.some)
