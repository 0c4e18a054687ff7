"""What ipcserver-access decides about one connection: in, with which variables and which command line, or out.

It is a function of the variables of the connection, so the program does it once and then becomes the next, and a server whose command
line begins with it does it in its loop: who is kept out costs no process. Source: `spec/localservices.md` 5.3.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import identity, substitute, words
from initfs.local import access, compiled, rules
from initfs.options import parse
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initfs.local.rules import Rules

USAGE = "ipcserver-access [-v 0 | 1 | 2] [-E | -e] [-l localname] [-i dir | -x file] prog..."
NAME_MAX = 99
ITS = ("REMOTEEUID", "REMOTEEGID", "REMOTEPATH", "CONNNUM", "LOCALPATH")


@value
class Passed:
    """Let in: the environment, and the command line to become."""

    environment: dict[str, str]
    program: list[str]


class Check:
    """One command line of ipcserver-access, understood."""

    def __init__(self, argv: list[str]) -> None:
        """Fatal 100 for wrong usage, 111 when the rules cannot be read."""
        found, self.program = parse(argv[1:], "v:Eel:i:x:", USAGE)
        given = dict(found)
        if not self.program or given.get("v", "1") not in ("0", "1", "2") or {"i", "x"} <= given.keys():
            raise say.usage(USAGE)
        self._name = argv[0]
        self._verbose = int(given.get("v", "1"))
        self._bare = ["e", *(letter for letter, _ in found if letter in "Ee")][-1] == "E"
        self._local = given.get("l")
        try:
            self._rules: Rules | None = rules.opened(given.get("i"), given.get("x"))
        except OSError as error:
            raise say.unable("read the rules", error) from error

    def judge(self, environment: Mapping[str, str], local: Callable[[], str]) -> Passed | None:
        """Decide about the connection that the variables of ENVIRONMENT describe; None keeps it out. Fatal: 100, 111.

        LOCAL finds the server's own address.
        """
        prefix = environment.get("PROTO", "")
        uid, gid = (
            identity.number(environment.get(prefix + name, "")) for name in ("REMOTEEUID", "REMOTEEGID")
        )
        if not prefix or uid is None or gid is None:
            raise say.Fatal(say.USAGE, "PROTO, and the client's REMOTEEUID and REMOTEEGID, must be set")
        rule = self._rule(uid, gid)
        if rule is None:
            return None
        changed = dict(environment)
        for variable, content in rule.environment:
            if content is None:
                changed.pop(os.fsdecode(variable), None)
            else:
                changed[os.fsdecode(variable)] = os.fsdecode(content)
        if self._bare:
            for name in (prefix + each for each in ITS):
                changed.pop(name, None)
            changed.pop("PROTO", None)
        else:
            changed[prefix + "LOCALPATH"] = local()[:NAME_MAX] if self._local is None else self._local
        return Passed(changed, self._line(rule, changed))

    def _rule(self, uid: int, gid: int) -> access.Rule | None:
        """The rule that lets this client in, or None."""
        if self._rules is None:
            if self._verbose >= 2:
                say.warning("no rules: everybody is let in")
            self._tell(1, f"allow uid {uid} gid {gid}")
            return access.Rule(allowed=True)
        keys = access.account_keys(uid, gid, os.geteuid(), os.getegid())
        try:
            self._rules.refresh()
            key, rule = access.decide(keys, self._rules.look_up)
        except compiled.Corrupt as error:
            raise say.Fatal(say.TEMPORARY, f"unable to read {self._rules.path}: {error}") from error
        except OSError as error:
            raise say.unable(f"believe the rules in {error.filename or self._rules.path}", error) from error
        verdict = "allow" if rule.allowed else "deny"
        self._tell(1 if rule.allowed else 2, f"{verdict} uid {uid} gid {gid} by {key or 'no rule'}")
        return rule if rule.allowed else None

    def _line(self, rule: access.Rule, environment: Mapping[str, str]) -> list[str]:
        if not rule.exec:
            return self.program
        try:
            line = words.lex(rule.exec)
        except words.BadScript as error:
            raise say.Fatal(say.USAGE, f"unable to understand the rule's exec: {error}") from error
        if not line:
            raise say.Fatal(say.USAGE, "the rule's exec is empty")
        return substitute.in_words(line, {name: [text] for name, text in environment.items()})

    def _tell(self, level: int, text: str) -> None:
        if self._verbose >= level:
            say.info(text)
