"""accessrules-cdb-from-fs and accessrules-fs-from-cdb: access rules from a directory into one file, and back.

What goes in comes out: the rules as they are read, not the files' bytes. Source: `spec/localservices.md` 5.3.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.local import compiled, rules
from initfs.local.ipcserver_socketbinder import mode

USAGE = "accessrules-cdb-from-fs [-m mode] file dir, or accessrules-fs-from-cdb dir file"


def main(argv: list[str]) -> int:
    if argv[0] == "accessrules-fs-from-cdb":
        _, rest = options.parse(argv[1:], "", USAGE)
        _two(rest)
        restore(rest[0], rest[1])
    else:
        found, rest = options.parse(argv[1:], "m:", USAGE)
        _two(rest)
        compile_rules(rest[0], rest[1], mode(dict(found).get("m", "0644"), USAGE))
    return say.OK


def compile_rules(file: str, directory: str, rights: int) -> None:
    """Write the rules in DIRECTORY to FILE, atomically. Fatal 111, before any rule is read where it is that FILE cannot be
    written; 100 when a rule does not fit.
    """
    new = f"{file}.{os.getpid()}.new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, rights)
    except OSError as error:
        raise say.unable(f"write {file}", error) from error
    try:
        database = _compiled(directory)
        with open(fd, "wb", closefd=False) as whole:
            whole.write(database)
        os.fchmod(fd, rights)
        os.fsync(fd)
        os.rename(new, file)
    except (say.Fatal, OSError) as error:
        os.unlink(new)
        raise error if isinstance(error, say.Fatal) else say.unable(f"write {file}", error) from error
    finally:
        os.close(fd)


def _compiled(directory: str) -> bytes:
    try:
        return compiled.encode(rules.walk(directory))
    except OSError as error:
        raise say.unable(f"read {error.filename or directory}", error) from error
    except compiled.TooLarge as error:
        raise say.Fatal(say.USAGE, f"unable to compile {directory}: {error}") from error


def restore(directory: str, file: str) -> None:
    """Make DIRECTORY, which must not exist, of the rules in FILE; when that fails nothing is left of it. Fatal 111."""
    try:
        found = list(compiled.items(rules.Compiled(file).database))
    except compiled.Corrupt as error:
        raise say.Fatal(say.TEMPORARY, f"unable to read {file}: {error}") from error
    except OSError as error:
        raise say.unable(f"read {file}", error) from error
    for key, rule in found:
        for name in (*key.split("/"), *(os.fsdecode(variable) for variable, _ in rule.environment)):
            if name in ("", ".", "..") or "/" in name or "\0" in name:  # it would be a file elsewhere
                raise say.Fatal(say.TEMPORARY, f"unable to read {file}: not the name of a file: {name!r}")
    try:
        os.mkdir(directory)
    except OSError as error:
        raise say.unable(f"make {directory}", error) from error
    try:
        for key, rule in found:
            rules.write(f"{directory}/{key}", rule)
    except OSError as error:
        import shutil  # only when something fails

        shutil.rmtree(directory, ignore_errors=True)
        raise say.unable(f"write {error.filename or directory}", error) from error


def _two(rest: list[str]) -> None:
    if len(rest) != 2:
        raise say.usage(USAGE)
