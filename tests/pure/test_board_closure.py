from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from board.closure import Module, closure, imports
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def names(
    source: str, *, name: str = "pack.mod", package: bool = False, own: bool = True
) -> list[tuple[str, bool]]:
    return [(found.name, found.maybe) for found in imports(source, name, package=package, own=own)]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import a.b, c", [("a.b", False), ("c", False)]),
        ("from a import b", [("a", False), ("a.b", True)]),
        ("from a import *", [("a", False)]),
        ("from . import b", [("pack", False), ("pack.b", True)]),
        ("from .x import b", [("pack.x", False), ("pack.x.b", True)]),
        ("try:\n import a\nexcept ImportError:\n import b", [("a", True), ("b", True)]),
        ("if TYPE_CHECKING:\n import a\nelse:\n import b", [("b", False)]),
        ("def f():\n import a", [("a", False)]),
        ("class C:\n def f(self):\n  with x:\n   import a", [("a", False)]),
        ("match x:\n case 1:\n  import a", [("a", False)]),
    ],
)
def test_the_imports_of_our_code_are_found_wherever_they_stand(
    source: str, wanted: list[tuple[str, bool]]
) -> None:
    assert names(source) == wanted


def test_relative_imports_of_a_package_begin_in_it() -> None:
    assert names("from .x import b", name="pack", package=True)[0] == ("pack.x", False)


@pytest.mark.parametrize("source", ["def f():\n import a", "if __name__ == '__main__':\n import a"])
def test_the_library_is_followed_at_module_level_only(source: str) -> None:
    assert names(source, own=False) == []
    assert names(source, own=True) == [("a", False)]


@pytest.fixture
def library(tmp_path: Path) -> Callable[[str], Module | None]:
    files = {
        "os": "",
        "linecache": "",
        "one": "import two, nowhere, _hashlib",
        "two": "",
        "late": "",
        "_hashlib": "",
        "p/__init__": "",
        "p/q": "import late",
    }
    for encoding in ("__init__", "aliases", "utf_8", "ascii", "latin_1"):
        files[f"encodings/{encoding}"] = ""
    for name, text in files.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def find(name: str) -> Module | None:
        for end, package in (("/__init__.py", True), (".py", False)):
            path = tmp_path / (name.replace(".", "/") + end)
            if path.exists():
                return Module(name, path, package)
        return None

    return find


def own(source: str) -> dict[str, tuple[str, bool]]:
    return {"mine": ("", True), "mine.x": (source, False)}


def test_what_the_library_needs_comes_along_but_no_costly_options(
    library: Callable[[str], Module | None],
) -> None:
    found = closure(own("import one, sys, mine"), (), library, ["sys", "os"])

    assert {"one", "two", "os"} <= set(found)
    assert not {"_hashlib", "late", "sys", "nowhere"} & set(found)


def test_a_submodule_brings_its_package(library: Callable[[str], Module | None]) -> None:
    assert {"p", "p.q", "late"} <= set(closure(own("from p import q"), (), library, ["sys"]))


def test_an_optional_module_is_taken_when_we_ask_for_it(library: Callable[[str], Module | None]) -> None:
    assert "_hashlib" in closure(own("import _hashlib"), (), library, ())
    assert "_hashlib" in closure(own(""), ["_hashlib"], library, ())


def test_an_import_of_ours_that_nobody_has_names_both(library: Callable[[str], Module | None]) -> None:
    with pytest.raises(Failure, match=r"'nowhere'.*mine\.x imports it"):
        closure(own("import nowhere"), (), library, ())
    closure(own("try:\n import nowhere\nexcept ImportError:\n pass"), (), library, ())


def test_an_import_of_our_own_that_does_not_exist_names_both(library: Callable[[str], Module | None]) -> None:
    with pytest.raises(Failure, match=r"'mine\.y'.*mine\.x imports it"):
        closure(own("from mine.y import z"), (), library, ())
    closure(own("from mine import x, attribute"), (), library, ())


def test_an_attribute_of_a_module_is_no_module(library: Callable[[str], Module | None]) -> None:
    closure(own("import os.path"), (), library, ["os"])


def test_a_library_newer_than_the_builder_s_python_is_read_as_far_as_its_import_lines() -> None:
    source = 'import a\nfrom b import (c,\n  d)\ndef f():\n  import later\nmatch = f"{x!"y"}"\n'

    assert {each.name for each in imports(source, "m", package=False, own=False)} == {"a", "b", "b.c", "b.d"}
    with pytest.raises(SyntaxError):
        imports(source, "m", package=False, own=True)


def test_what_our_code_replaces_is_not_packed(library: Callable[[str], Module | None]) -> None:
    found = closure(own("import p.q"), (), library, ["sys"], without=["p"])

    assert "p" not in found
    assert "p.q" in found


def test_what_a_module_in_the_binary_imports_is_packed(library: Callable[[str], Module | None]) -> None:
    found = closure(own("import one"), (), library, ["sys", "one"])

    assert "one" not in found
    assert "two" in found
