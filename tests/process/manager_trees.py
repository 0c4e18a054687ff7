"""Random definition trees, whole and broken ones, for comparing what we make of them with what s6-rc makes of them."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from pathlib import Path

    Tree = dict[str, bytes | None]  # path below the source: content, None for a directory

PEER = shutil.which("s6-rc-compile")
NAMES = ["a", "b b", "Zed", "_under", "naïve", "x#y", "0", "net-up", "log.a", "service@1", "-dash", "tab\tin"]
SCRIPTS = [
    b"", b"true\n", b"true", b'foreground { echo a "b c" } true\n', b"# nothing\n", b"if { test -e /x } echo \\x41 \\0x42\n",
    b'echo "a\\nb\\0x41\\65\\0101" c\\ d\n', b"{ }\n", b'a{b }c { d{ } "{" \\} }\n', b'echo "multi\nline"\n', b"echo $x ${y} '#no' a#b\n",
    b"importas -u X X { a { b { c } } }\n", b'echo "" "a"b"c"\n', b"backtick V { pipeline { x } y } z\n", b'\xff\xfe "\\q\\"\\\\"\n',
    b"a\x0bb\x01c\x1f{ d }\x0c\x7f\r\n",
    b'echo "a\\\nb"\n', b"echo a\\\nb\n", b"#!/bin/execlineb -P\nfoo\n", b'"\\0x7f\\0377\\255"\n', b'a "\\12345" "\\0x414"\n',
]  # fmt: skip
BAD_SCRIPTS = [
    b"{ a\n",
    b"a }\n",
    b'"open\n',
    b"ab\\",
    b'"\\0x00"',
    b'"\\256"',
    b'"\\0"',
    b'"\\',
    b'"a\\',
]
NUMBERS = [b"0\n", b"5000\n", b"4294967295\n", b"300", b"7\n\n", b"007\n"]
BAD_NUMBERS = [
    b"",
    b"x\n",
    b"-1\n",
    b" 5\n",
    b"5 \n",
    b"5s\n",
    b"4294967296\n",
    b"\n",
    b"1.5\n",
    b"0x10\n",
    b"99999999999999999999999\n",
]
KNOBS = ["timeout-kill", "timeout-finish", "max-death-tally", "notification-fd", "lock-fd"]
TYPES = {"oneshot": [b"oneshot\n", b"oneshot", b"oneshot\nmore\n"], "longrun": [b"longrun\n", b"longrun", b"longrun\nx"],
         "bundle": [b"bundle\n", b"bundle"]}  # fmt: skip
BAD_TYPES = [
    b"",
    b"oneshots\n",
    b"Oneshot\n",
    b" oneshot\n",
    b"oneshot \n",
    b"bundle\n\n",
    b"daemon\n",
    b"\n",
    b"longrunx",
    b"bundlex",
]


def write(root: Path, tree: Tree) -> Path:
    """The tree on disk."""
    root.mkdir(parents=True)
    for path, content in tree.items():
        target = root / path
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return root


def make(rng: random.Random, size: int) -> Tree:
    """A tree without errors."""
    tree: Tree = {}
    kinds: dict[str, str] = {}
    names = [*rng.sample(NAMES, min(len(NAMES), size)), *(f"s{i:02}" for i in range(size))][:size]
    rng.shuffle(names)
    for name in names:
        kind = rng.choice(["oneshot", "oneshot", "longrun", "longrun", "bundle"])
        tree[f"{name}/type"] = rng.choice(TYPES[kind])
        before = list(kinds)
        if kind == "bundle":
            _listed(rng, tree, name, "contents", before, must=True)
        else:
            _listed(rng, tree, name, "dependencies", before)
            _atomic(rng, tree, name, kind)
        for flag in ("flag-essential", "flag-recommended"):
            if rng.random() < 0.15:
                tree[f"{name}/{flag}"] = b""
        kinds[name] = kind
    _pipelines(rng, tree, [name for name in names if kinds[name] == "longrun"])
    if rng.random() < 0.3:
        tree[".hidden/type"] = b"nonsense"
        tree["a-file"] = b"no service"
    return tree


def _listed(
    rng: random.Random, tree: Tree, name: str, what: str, known: list[str], *, must: bool = False
) -> None:
    chosen = rng.sample(known, min(len(known), rng.choice([0, 0, 1, 1, 2, 3])))
    if not chosen and not must and rng.random() < 0.5:
        return
    if rng.random() < 0.6:
        tree[f"{name}/{what}.d"] = None
        for other in chosen:
            tree[f"{name}/{what}.d/{other}"] = b""
        if rng.random() < 0.1:
            tree[f"{name}/{what}"] = b"ignored-because-of-the-directory\n"
            tree[f"{name}/{what}.d/.hidden"] = b""
    else:
        lines = [rng.choice(["", " ", "\t ", ""]) + other for other in chosen]
        lines += rng.sample(["# comment", "", "  # more", *lines[:1]], rng.randrange(3))
        tree[f"{name}/{what}"] = ("\n".join(lines) + rng.choice(["\n", ""])).encode()


def _atomic(rng: random.Random, tree: Tree, name: str, kind: str) -> None:  # noqa: C901
    for file in ("timeout-up", "timeout-down"):
        if rng.random() < 0.2:
            tree[f"{name}/{file}"] = rng.choice(NUMBERS)
    if kind == "oneshot":
        tree[f"{name}/up"] = rng.choice(SCRIPTS)
        for file in ("down", "reload"):
            if rng.random() < 0.4:
                tree[f"{name}/{file}"] = rng.choice(SCRIPTS)
        return
    tree[f"{name}/run"] = b"#!/bin/sh\nexec sleep 1000\n"
    if rng.random() < 0.2:
        tree[f"{name}/finish"] = b"#!/bin/sh\nexit 0\n"
    if rng.random() < 0.2:
        tree[f"{name}/data/sub/file"] = b"content"
    if rng.random() < 0.1:
        tree[f"{name}/down"] = b"ignored"
        tree[f"{name}/log/run"] = b"ignored"
        tree[f"{name}/down-signal"] = rng.choice([b"SIGINT\n", b"TERM", b"9\n"])
    for file in KNOBS:
        if rng.random() < 0.1:
            tree[f"{name}/{file}"] = rng.choice([b"3\n", b"5\n", b"17"]) if file != "lock-fd" else b"23\n"


def _pipelines(rng: random.Random, tree: Tree, longruns: list[str]) -> None:
    free = list(longruns)  # in order of definition: an earlier one never depends on a later one
    while len(free) >= 2 and rng.random() < 0.6:
        stages = [free.pop(0) for _ in range(min(len(free), rng.choice([2, 2, 3])))]
        for consumer, producer in itertools.pairwise(stages):
            tree[f"{producer}/producer-for"] = f"{consumer}\n".encode()
            tree[f"{consumer}/consumer-for"] = f"{producer}\n".encode()
        if free and rng.random() < 0.3:
            extra = free.pop(0)
            tree[f"{extra}/producer-for"] = f" {stages[0]}\n# only one\n".encode()
            tree[f"{stages[0]}/consumer-for"] = f"{stages[1]}\n{extra}\n".encode()
        if rng.random() < 0.6:
            tree[f"{rng.choice([stages[0], stages[0], stages[1]])}/pipeline-name"] = (
                f"pipe-{stages[0]}\n".encode()
            )


def spoil(rng: random.Random, tree: Tree) -> str:  # noqa: C901
    """Break something in the tree, or change it so that it only looks broken; says what."""
    services = sorted({path.partition("/")[0] for path in tree if "/" in path and not path.startswith(".")})
    name = rng.choice(services)
    kind = (tree.get(f"{name}/type") or b"").decode(errors="replace")
    match rng.randrange(14):
        case 0:
            tree[f"{name}/type"] = rng.choice(BAD_TYPES)
        case 1:
            tree.pop(f"{name}/type", None)
            tree[f"{name}/else"] = b""
        case 2:
            tree[f"{name}/{rng.choice(['timeout-up', 'timeout-down', *KNOBS])}"] = rng.choice(BAD_NUMBERS)
        case 3:
            tree[f"{name}/{rng.choice(['up', 'down', 'reload'])}"] = rng.choice(BAD_SCRIPTS)
        case 4:
            tree.pop(f"{name}/{'run' if kind.startswith('longrun') else 'up'}", None)
        case 5:
            tree[f"{name}/dependencies"] = rng.choice(
                [b"nobody\n", b"s6rc-fdholder\n", b"a \n", name.encode(), b"a\0x\n"]
            )
        case 6:
            other = rng.choice(services)
            tree[f"{name}/{rng.choice(['dependencies.d', 'contents.d'])}/{other}"] = b""
        case 7:
            tree[rng.choice(["s6rc-x", "s6-rc-y", "s6rc", "new\nline"]) + "/type"] = b"bundle\n"
        case 8:
            tree[f"{name}/producer-for"] = rng.choice(
                [b"", b"a\nb b\n", rng.choice(services).encode() + b"\n", b"nobody\n"]
            )
        case 9:
            tree[f"{name}/consumer-for"] = rng.choice(
                [b"", rng.choice(services).encode() + b"\n", b"nobody\n"]
            )
        case 10:
            tree[f"{name}/pipeline-name"] = rng.choice(
                [b"", b"two\nnames\n", rng.choice(services).encode(), b"s6rc-z\n"]
            )
        case 11:
            tree.pop(f"{name}/contents", None)
            for path in [path for path in tree if path.startswith(f"{name}/contents.d")]:
                del tree[path]
        case 12:
            tree.pop(f"{name}/run", None)
            tree[f"{name}/run"] = None
        case _:
            tree[f"{name}/lock-fd"] = b"3\n"
            tree[f"{name}/notification-fd"] = b"3\n"
    return f"{name}: {kind}"
