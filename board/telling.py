"""How the verbs end: a Failure as people read it, and the exit status that goes with it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from board import host

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE, TEMPORARY = 100, 111  # as the programs on the target
INTERRUPTED = 130  # as a shell says of what ctrl-c ended


@contextmanager
def telling() -> Iterator[None]:
    """Show a Failure as people read it, and end: 100 if the request was wrong, 111 if the work failed, 130 for ctrl-c."""
    try:
        yield
    except host.Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(USAGE if failure.usage else TEMPORARY)
    except OSError as problem:
        where = f": {problem.filename}" if problem.filename else ""
        print(f"inv: fatal: unable to go on: {problem.strerror or problem}{where}", file=sys.stderr)
        sys.exit(TEMPORARY)
    except KeyboardInterrupt:
        print("inv: fatal: unable to go on: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
