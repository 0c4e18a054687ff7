"""redirfd: open a file as a given descriptor.

Source: `spec/chainloading.md` 3.8. With FIFOs it is the heart of stage 1: `redirfd -wnb 1 fifo` does not wait for a reader.
"""

from __future__ import annotations

import os
from errno import ENXIO

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.chain.substitute import in_words
from initfs.options import parse

USAGE = (
    "redirfd -r | -w | -u | -a | -x [-n | -N] [-b] fd file prog...  (or -f [-E | -e] variable file prog...)"
)

ACCESS: dict[str, tuple[str, ...]] = {
    "r": ("read",),
    "w": ("write", "create", "trunc"),
    "u": ("read", "write"),
    "a": ("write", "create", "append"),
    "x": ("write", "create", "excl"),
}
BITS: dict[str, int] = {
    "create": os.O_CREAT,
    "append": os.O_APPEND,
    "trunc": os.O_TRUNC,
    "excl": os.O_EXCL,
}
# Each long option that has no letter gets one that nobody can type.
_BIT = {chr(1 + index): name for index, name in enumerate(("read", "write", *BITS))}
_NO_BIT = {chr(0x21 + index): name for index, name in enumerate(("read", "write", *BITS))}
LONG = {name: letter for letter, name in _BIT.items()}
LONG |= {f"no-{name}": letter for letter, name in _NO_BIT.items()}
LONG |= {
    "nonblock": "n",
    "block": "N",
    "switch-block": "b",
    "open": "f",
    "autoimport": "E",
    "no-autoimport": "e",
}


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "rwuaxnNbfEe" + "".join((*_BIT, *_NO_BIT)), USAGE, LONG)
    if len(rest) < 3:
        raise say.usage(USAGE)
    letters = [letter for letter, _ in found]
    nonblock = ([False] + [each == "n" for each in letters if each in "nN"])[-1]
    named = "f" in letters
    target = -1 if named else descriptors.number(rest[0], USAGE)
    fd = open_file(rest[1], flags(letters), nonblock=nonblock)
    if "b" in letters:
        descriptors.block(fd, blocking=nonblock)
    if not named:
        descriptors.move(target, fd)
        return chain.run(rest[2:], USAGE)
    os.set_inheritable(fd, True)
    if ([""] + [each for each in letters if each in "Ee"])[-1] == "E":
        os.environ.pop(rest[0], None)
        return chain.run(in_words(rest[2:], {rest[0]: [str(fd)]}), USAGE)
    os.environ[rest[0]] = str(fd)
    return chain.run(rest[2:], USAGE)


def flags(letters: list[str]) -> int:
    """The flags for open(2). One access letter at most; the long options add and take bits; nothing to do is an error."""
    given = [letter for letter in letters if letter in ACCESS]
    if len(given) > 1:
        raise say.usage(USAGE)
    bits = set(ACCESS[given[0]] if given else ())
    for letter in letters:
        if letter in _BIT:
            bits.add(_BIT[letter])
        elif letter in _NO_BIT:
            bits.discard(_NO_BIT[letter])
    if not bits & {"read", "write"}:
        raise say.usage(USAGE)
    both = bits >= {"read", "write"}
    access = os.O_RDWR if both else os.O_WRONLY if "write" in bits else os.O_RDONLY
    return access | sum(flag for name, flag in BITS.items() if name in bits)


def open_file(path: str, wanted: int, *, nonblock: bool) -> int:
    """Open PATH. A FIFO without a reader, opened for writing without blocking, gets a passing reader: us."""
    wanted |= os.O_NONBLOCK if nonblock else 0
    try:
        try:
            return os.open(path, wanted, 0o666)
        except OSError as error:
            if not (nonblock and error.errno == ENXIO):
                raise
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.open(path, wanted, 0o666)
        finally:
            os.close(reader)
    except OSError as error:
        raise say.unable(f"open {path}", error) from None
