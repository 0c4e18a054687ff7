from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from board import model
from board.architecture import ARCHITECTURES, SUITES
from board.host import Failure

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (model.BOARDS / "qemu-arm64.toml").read_text()


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    monkeypatch.setattr(model, "BOARDS", folder)
    return folder


@pytest.mark.parametrize("name", model.names())
def test_each_board_file_is_a_board_with_known_architecture_suite_and_profile(name: str) -> None:
    board = model.load(name)

    assert board.name == name
    assert board.architecture in ARCHITECTURES
    assert board.suite in SUITES
    assert model.profile(board.profile).name == board.profile


def test_the_default_board_exists() -> None:
    assert model.DEFAULT in model.names()


def test_an_unknown_board_is_a_usage_error_that_lists_the_known() -> None:
    with pytest.raises(Failure) as caught:
        model.load("nosuch")

    assert caught.value.usage
    assert "qemu-arm64" in caught.value.hint
    assert "'nosuch'" in str(caught.value)


@pytest.mark.parametrize("name", ["../boards/qemu-arm64", "", "."])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(Failure):
        model.load(name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('console = "ttyAMA0"', 'console = "ttyAMA0"\ncolour = "red"', "unknown field 'colour'"),
        ('console = "ttyAMA0"', "", "field 'console' is missing"),
        ("baud = 115200", 'baud = "115200"', "field 'baud' must be a whole number"),
        ("baud = 115200", "baud = true", "field 'baud' must be a whole number"),
        ("ports = true", "ports = 1", "field 'ports' must be true or false"),
        ('modules = ["failover",', 'modules = [1, "failover",', "field 'modules' must be a list of texts"),
        ("smp = 2", "", "[qemu]: field 'smp' is missing"),
        ("smp = 2", "smp = 2\nspeed = 3", "[qemu]: unknown field 'speed'"),
        ("[qemu]", "qemu = 3\n[other]", "unknown field 'other'"),
        ('profile = "client"', 'profile = "client"\nname = "x"', "field 'name' is the file's name"),
        ("baud = 115200", "baud = ", "Invalid value"),
    ],
)
def test_a_bad_field_is_named_with_its_file(boards: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    (boards / "mine.toml").write_text(GOOD.replace(old, new))

    with pytest.raises(Failure) as caught:
        model.load("mine")

    assert "board/boards/mine.toml" in str(caught.value)
    assert said in str(caught.value)


def test_fields_with_a_default_may_be_left_out(boards: Path) -> None:
    (boards / "mine.toml").write_text(GOOD.replace("ports = true", ""))

    assert model.load("mine").ports is False
