"""When a shutdown is to be: `now`, `+5` or `5` minutes, `23:15`; and who may ask for one. Pure. Source: `spec/init.md` 7.6."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

DAY = 86400
MINUTES_MAX = 9_999_999  # some nineteen years
ALLOWED_SIZE, ALLOWED_USERS = 4095, 64


def until(text: str, second_of_day: int) -> int | None:
    """Seconds from now until the moment TEXT, when it is SECOND_OF_DAY, local time; None when it names none."""
    if text == "now":
        return 0
    if ":" in text:
        return _clock(text, second_of_day)
    minutes = text.removeprefix("+")
    if not minutes.isascii() or not minutes.isdigit() or int(minutes) > MINUTES_MAX:
        return None
    return int(minutes) * 60


def _clock(text: str, second_of_day: int) -> int | None:
    hours, _, minutes = text.partition(":")
    if not (hours + minutes).isascii() or not (hours + minutes).isdigit():
        return None
    if len(hours) not in (1, 2) or len(minutes) != 2 or int(hours) > 23 or int(minutes) > 59:
        return None
    return (int(hours) * 3600 + int(minutes) * 60 - second_of_day) % DAY


def allowed(content: bytes, logged_in: Collection[str]) -> bool | None:
    """Whether a shutdown.allow names one of those LOGGED_IN. None when it is larger than such a file may be."""
    if len(content) > ALLOWED_SIZE:
        return None
    lines = [line.partition("#")[0].strip() for line in content.decode(errors="replace").splitlines()]
    users = [line for line in lines if line]
    if len(users) > ALLOWED_USERS:
        return None
    return any(user in logged_in for user in users)
