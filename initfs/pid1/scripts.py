"""The scripts of process 1: children that are no services. Each has a name, so that its end finds us after an execution anew."""

from __future__ import annotations

from initfs import process, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initfs.supervise.tree import Tree

NOT_RUN = 127 << 8  # the wait status of what could not be run


class Scripts:
    """Runs scripts; ENDED says whom their wait status is for, by name. Their output goes where ours goes, to the catch-all."""

    def __init__(self, tree: Tree, ended: Mapping[str, Callable[[int], None]]) -> None:
        self._tree = tree
        self._ended = ended
        self.running: dict[str, int] = {}  # pids

    def run(self, name: str, path: str, *arguments: str) -> int:
        """Run the program PATH as NAME; returns its pid, 0 when it can't be run: then it has ended already."""
        try:
            pid = process.spawn(path, [path, *arguments], self._tree.environment)
        except OSError as error:
            say.warning(f"unable to run {path}: {say.reason(error)}")
            self._ended[name](NOT_RUN)
            return 0
        self.follow(name, pid)
        return pid

    def follow(self, name: str, pid: int) -> None:
        """Wait for the end of a child that runs as NAME."""
        self.running[name] = pid
        self._tree.own(pid, Script(self, name))

    def died(self, name: str, status: int) -> None:
        """It has ended."""
        self.running.pop(name, None)
        self._ended[name](status)


class Script:
    """The owner of one such child."""

    def __init__(self, scripts: Scripts, name: str) -> None:
        self._scripts = scripts
        self._name = name

    def died(self, status: int) -> None:
        self._scripts.died(self._name, status)
