"""The options that instance-maker and usertree-maker share, and what both write."""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.supervise import scripts
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS = "r:l:t:n:s:S:P:"


@value
class Sources:
    """Names for the service manager: a service, its logger, their pipeline; "" for what there is not."""

    service: str
    logger: str = ""
    pipeline: str = ""


def log(given: Mapping[str, str], usage_line: str) -> scripts.Log:
    """How the options want a log to be kept; say.Fatal 100 for what can't be."""

    def number(letter: str, default: int) -> int:
        return options.number(given[letter], usage_line) if letter in given else default

    found = scripts.Log(
        number("t", 1), number("n", 10), number("s", 1_000_000), number("S", 0), given.get("P", "")
    )
    if found.stamp not in scripts.STAMPS or "\n" in found.prefix:
        raise say.usage(usage_line)
    return found


def sources(text: str, usage_line: str) -> Sources:
    """The names in SERVICE[/LOGGER[/PIPELINE]]."""
    names = text.split("/")
    if len(names) > 3 or not all(
        name and not name.startswith(".") and name.split() == [name] for name in names
    ):
        raise say.usage(usage_line)
    return Sources(*names)


def account(name: str) -> str:
    """The name of an account as a shell can take it; say.Fatal 100 for any other."""
    if not name.replace("-", "a").replace(".", "a").replace("_", "a").isalnum() or name[0] in "-.":
        raise say.Fatal(say.USAGE, f"invalid account name: {name!r}")
    return name


def absolute(path: str, what: str) -> str:
    if not path.startswith("/") or "\n" in path:
        raise say.Fatal(say.USAGE, f"{what} must be an absolute path: {path!r}")
    return path


def write(directory: str, texts: Mapping[str, str]) -> None:
    """Make a directory with these files; `run` is executable."""
    os.mkdir(directory, 0o755)
    for name, text in texts.items():
        mode = 0o755 if name == "run" else 0o644
        files.write(f"{directory}/{name}", text.encode(errors="surrogateescape"), mode=mode)
        os.chmod(f"{directory}/{name}", mode)


def write_pair(directory: str, service: Mapping[str, str], logger: str, names: Sources | None) -> str:
    """Write a service with its files, and its logger's run script unless that is ""; returns the service's directory.

    Below DIRECTORY itself as a service directory with log/, or with NAMES as sources of the service manager.
    """
    if names is None:
        write(directory, service)
        if logger:
            write(f"{directory}/log", {"run": logger, "notification-fd": "3\n"})
        return directory
    os.mkdir(directory, 0o755)
    more = {"type": "longrun\n"} | ({"producer-for": f"{names.logger}\n"} if logger else {})
    write(f"{directory}/{names.service}", {**service, **more})
    if logger:
        consumer = {
            "type": "longrun\n",
            "consumer-for": f"{names.service}\n",
            "notification-fd": "3\n",
            "run": logger,
        }
        if names.pipeline:
            consumer["pipeline-name"] = f"{names.pipeline}\n"
        write(f"{directory}/{names.logger}", consumer)
    return f"{directory}/{names.service}"
