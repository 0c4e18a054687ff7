"""Boards, their images, and one running machine for all tests of a module that do not end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from board import build, model
from qemu import boot
from qemu.image import announcing
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from board.build import Image

BOOT = 240.0  # seconds; a good case takes ten on a quiet host
# With `pytest -n 2 --dist loadgroup` all tests of a board are one worker's, so that each board is booted once.
BOARDS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in model.virtual()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here boots machines: it is marked so, and has more time."""
    for item in items:
        if "tests/vm/" in item.path.as_posix():
            item.add_marker(pytest.mark.vm)
            item.add_marker(pytest.mark.timeout(900))


def image_of(board: str) -> Image:
    """The board's image, built now unless it is up to date."""
    boot.need([model.load(board)])
    return build.build(model.load(board))


def booted(vm: Machine, image: Image) -> None:
    """Wait until all services of the image are up."""
    vm.wait_booted(announcing(boot.files(image)), timeout=BOOT)


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def vm(board: str) -> Iterator[Machine]:
    """A machine that is up, shared by the tests of a module."""
    image = image_of(board)
    with Machine(board, image, forward=[80]) as machine:
        booted(machine, image)
        yield machine
