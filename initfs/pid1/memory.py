"""Memory that process 1 has when nobody has any.

Its pages: where there is swap, they stay in memory (mlockall(2)); without swap, and with a root in memory, there is nowhere for them to go.
Children: the kernel picks the largest by /proc/PID/oom_score_adj, which they inherit from us; process 1 itself it never picks.
"""

from __future__ import annotations

from initfs import files, say

AFFORDABLE = 64 << 10  # kB of memory from which on our few MB may be locked
SWAPS, MEMINFO = "/proc/swaps", "/proc/meminfo"


def worth_locking(swaps: str, meminfo: str) -> bool:
    """Whether there is swap, and memory enough. Pure; the arguments are the files' contents."""
    total = next((int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemTotal:")), 0)
    return len(swaps.strip().splitlines()) > 1 and total >= AFFORDABLE


def lock() -> bool:
    """Lock the working set, present and future, if that is worth it; True when it is done."""
    try:
        swaps, meminfo = ((files.read(path) or b"").decode(errors="replace") for path in (SWAPS, MEMINFO))
    except OSError:
        return False
    if not worth_locking(swaps, meminfo):
        return False
    from initfs import kernel

    return files.tried("lock our memory", kernel.lock_memory)


def be_fair(score: int = 0) -> None:
    """Have children judged by their size: whatever we were started with is not theirs."""
    try:
        old = (files.read("/proc/self/oom_score_adj") or b"").strip()
        if old != b"%d" % score:
            files.put("/proc/self/oom_score_adj", b"%d" % score)
    except OSError as error:
        say.warning(f"unable to set oom_score_adj: {say.reason(error)}")
