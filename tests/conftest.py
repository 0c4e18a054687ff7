"""What all tests have in common.

Hypothesis has the same examples in each run, and no clock, for other programs run beside it.
`INITFS_RANDOM=1 ./inv test` looks for new ones.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, suppress_health_check=BUSY, derandomize=True, database=None)
settings.register_profile("random", deadline=None, suppress_health_check=BUSY, print_blob=True)
settings.load_profile("random" if os.environ.get("INITFS_RANDOM") else "same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a processor longest comes first: at the end one worker would be busy with it, and the others idle."""
    items.sort(key=lambda item: item.path.name != "test_style.py")


@pytest.fixture(autouse=True)
def at_home() -> Iterator[None]:
    """A child is spawned from its own directory: where this process is then, the next test must not be, for it is removed."""
    home = os.getcwd()
    yield
    os.chdir(home)
