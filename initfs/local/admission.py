"""How many connections there are, in all and of each user, and whether one more may come in. Pure."""

from __future__ import annotations

TYPE_CHECKING = False


class Admission:
    """At most MOST connections, and EACH of one user; users are uids, None for one that was not asked for and has no limit."""

    __slots__ = ("_each", "_most", "_users", "count")

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self.count = 0
        self._users: dict[int | None, int] = {}

    def room(self) -> bool:
        """Whether anybody at all may come in."""
        return self.count < self._most

    def enter(self, user: int | None) -> int:
        """Count one in: the number of this user's connections, with this one; 0 when there are too many, and it does not count."""
        there = self._users.get(user, 0)
        if user is not None and there >= self._each:
            return 0
        self._users[user] = there + 1
        self.count += 1
        return there + 1

    def leave(self, user: int | None) -> int:
        """Count one out: how many this user has left."""
        left = self._users[user] - 1
        if left:
            self._users[user] = left
        else:
            del self._users[user]
        self.count -= 1
        return left
