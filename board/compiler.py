"""Run by the target suite's own Python, not imported: compile sources to sourceless bytecode.

Reads lines of JSON, [source, name shown in tracebacks, optimisation level, output], from standard input. Each
file is compiled in a fresh child: what the marshaller writes depends on which objects are shared, so on what
was compiled before. The bytecode is "unchecked": the interpreter never looks for a source (PEP 552).
"""

from __future__ import annotations

import json
import os
import py_compile
import sys


def compile_one(source: str, shown: str, level: int, output: str) -> None:
    """Compile one file."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(source, output, shown, doraise=True, optimize=level, invalidation_mode=mode)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            compile_one(*json.loads(line))
        except (OSError, py_compile.PyCompileError) as problem:
            sys.stderr.write(f"error: {problem}\n")
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)
