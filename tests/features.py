"""docs/features.md, made from the tests: a test names the rows that it shows in a comment of its own, `# SUP-031 NOT-142`.

A row of which only a part is shown is followed by `(partly)`. `python -m tests.features --write` (or `inv table`) rewrites the list.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs/features.md"
GROUPS = {
    "SUP": range(1, 79),
    "RUN": [*range(79, 91), 247],
    "LOG": range(91, 123),
    "CHA": range(123, 142),
    "NOT": range(142, 152),
    "LOC": range(152, 166),
    "SM": range(166, 200),
    "INI": range(200, 221),
    "VAR": range(221, 241),
    "QUA": range(241, 247),
}
ROWS = [f"{group}-{number:03}" for group, numbers in GROUPS.items() for number in numbers]
HEAD = """# Features

A line for each row of the specification's checklist: its state (`works`, `partly`, `open`), and the tests that show it. The tests
name the rows; `inv table` rewrites this list from them, and a test holds the two together.

| row | state | tests |
|---|---|---|
"""
COMMENT = re.compile(r"(?:^|\s)#((?: [A-Z]{2,3}-\d{3}(?: \(partly\))?)+)$")
NAMED = re.compile(r"([A-Z]{2,3}-\d{3})( \(partly\))?")


def shown() -> dict[str, list[tuple[str, bool]]]:
    """(test, wholly) for every row that tests name."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        test = ""
        for line in path.read_text().splitlines():
            if line.startswith(("def ", "async def ")):
                test = line.partition("def ")[2].partition("(")[0]
            match = COMMENT.search(line)
            if match and test.startswith("test_"):
                for row, partly in NAMED.findall(match[1]):
                    found.setdefault(row, []).append((f"{path.relative_to(ROOT)}::{test}", not partly))
    return found


def text() -> str:
    """The whole list."""
    found = shown()
    unknown = set(found) - set(ROWS)
    assert not unknown, f"no such rows: {unknown}"
    lines = []
    for row in ROWS:
        tests = found.get(row, [])
        state = "works" if any(wholly for _, wholly in tests) else "partly" if tests else "open"
        lines.append(f"| {row} | {state} | {' '.join(dict.fromkeys(name for name, _ in tests))} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__" and "--write" in sys.argv:
    FILE.write_text(text())
