from __future__ import annotations

from tests.golden import cells


def test_the_printed_table_of_the_automaton_is_what_the_automaton_does() -> None:
    assert cells.FILE.read_text() == cells.table(), "run `inv table`, and review the difference like code"
