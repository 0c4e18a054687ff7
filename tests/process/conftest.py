"""What tests of real processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.process.local_world import ALL_RIGHTS, own_key, public, rule
from tests.process.manager_world import World
from tests.process.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A tree and a source for the service manager."""
    with World(tmp_path) as made:
        yield made
        made.stop()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A svscan with an empty scan directory."""
    with Tree(tmp_path) as made:
        yield made


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account may enter, with a short name, for local services."""
    with public() as found:
        yield found


@pytest.fixture
def path(place: Path) -> Path:
    """Where a local service has its socket."""
    return place / "s"


@pytest.fixture
def ruled(place: Path) -> Path:
    """The place, with rules that give us all rights of a descriptor holder's client."""
    rule(place / "rules", own_key(), **ALL_RIGHTS)
    return place
