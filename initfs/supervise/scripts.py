"""Run scripts that this suite writes: POSIX shell, in which every word that came from outside is quoted. Pure.

The scripts call `initfs`, so that is to be found through PATH where they run. `logger` is the one place that knows which program
writes logs: svlog. Its words are directives of a logging script (`spec/logging.md`).
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = "#!/bin/sh\n"
VARIABLES = ("USER", "HOME", "UID", "GID", "GIDLIST")
STAMPS = {0: (), 1: ("t",), 2: ("T",), 3: ("t", "T")}


@value
class Log:
    """How a log is kept: stamps (0 none, 1 TAI64N, 2 ISO, 3 both), files, bytes of one, of all (0: no limit), prefix."""

    stamp: int = 1
    files: int = 10
    size: int = 1_000_000
    total: int = 0
    prefix: str = ""

    def directives(self) -> list[str]:
        """The same as words of a log script."""
        found = [*STAMPS[self.stamp], f"n{self.files}", f"s{self.size}"]
        found += [f"S{self.total}"] * bool(self.total) + [f"p{self.prefix}"] * bool(self.prefix)
        return found


def quote(word: str) -> str:
    """WORD as one word of the shell."""
    return "'" + word.replace("'", "'\\''") + "'"


def words(*command: str) -> str:
    """A command line of the shell."""
    return " ".join(word if word.replace("-", "").isalnum() else quote(word) for word in command)


def expanded(text: str) -> str:
    """TEXT as one word of the shell in which ${USER} and its like are replaced, and nothing else is special."""
    parts, rest = [], text
    while rest:
        at = {rest.find("${" + name + "}"): name for name in VARIABLES if "${" + name + "}" in rest}
        if not at:
            parts.append(quote(rest))
            break
        first = min(at)
        parts += [quote(rest[:first])] * bool(first) + [f'"${at[first]}"']
        rest = rest[first + len(at[first]) + 3 :]
    return "".join(parts) or "''"


def logger(directives: Sequence[str], directory: str, user: str, fifo: str = "") -> str:
    """The run script of a logger that reads its standard input into DIRECTORY as USER ("": as who starts it).

    It is ready, on descriptor 3, once it has locked the directory. With FIFO it reads that one, and only its end ends it: opened without waiting
    for a writer, for at the end of a tree there is none; and it is no writer itself, or the FIFO would never end.
    """
    source = ["redirfd", "-rnb", "0", fifo, "redirfd", "-w", "1", "/dev/null"] if fifo else []
    drop = ["setuidgid", user] if user else []
    program = ["initfs", "svlog", "-bpd3" if fifo else "-bd3", "--", *directives, directory]
    return f"{HEAD}exec {words('initfs', *source, 'emptyenv', '-p', *drop, *program)}\n"


def nested(user: str, most: int) -> str:
    """The run script of an instanced service: a tree of its own on `instance`."""
    drop = ["initfs", "setuidgid", user] if user else []
    return f"{HEAD}exec 2>&1\nexec {words(*drop, 'initfs', 'svscan', '-d3', f'-C{most}', '--', 'instance')}\n"


REPLACE = """replace() {
    rest=$1 result=
    while [ "$rest" != "${rest#*"$2"}" ]; do
        result=$result${rest%%"$2"*}$3 rest=${rest#*"$2"}
    done
    result=$result$rest
}
"""


def user_tree(user: str, scandir: str, path: str, directory: str, names: Sequence[str]) -> str:
    """The run script of USER's tree on SCANDIR, with PATH and the environment DIRECTORY ("": none), of which NAMES are filled in.

    USER must be a plain account name: the shell looks up its home.
    """
    inner = REPLACE if names else ""
    for name in names:
        inner += f"result=${{{name}-}}\n"
        inner += "".join(f'replace "$result" \'${{{one}}}\' "${one}"\n' for one in VARIABLES)
        inner += f'export {name}="$result"\n'
    inner += f"export PATH={expanded(path)}\n" + f'exec "$1" svscan -d3 -- {expanded(scandir)}\n'
    load = words("envdir", directory) + " " if directory else ""
    return (
        f"{HEAD}exec 2>&1\nhome=~{user}\nprogram=$(command -v initfs) || exit 111\n"
        f'exec "$program" emptyenv -p export USER {user} export HOME "$home" '
        f'envuidgid {user} applyuidgid -U {load}sh -c {quote(inner)} sh "$program"\n'
    )
