"""Orders to process 1, sent: from whoever may write to its FIFO."""

from __future__ import annotations

import errno

from initfs import files, say
from initfs.pid1 import orders
from initfs.pid1.orders import Cancel, End, Failsafe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.orders import Order

FIFO = "/run/initfs/shutdown"

__all__ = ["FIFO", "Cancel", "End", "Failsafe", "send"]


def send(order: Order) -> None:
    """Hand an order to process 1. say.Fatal 100 when it does not listen, 111 when that can't be."""
    try:
        files.send(FIFO, orders.encode(order))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR):
            raise say.Fatal(say.USAGE, "process 1 is no init of ours") from error
        raise say.unable("give the order to process 1", error) from error
