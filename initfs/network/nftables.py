"""libnftables(3): the library that nft(8) is a command line for. Without the program, its line editor and its terminal library
an image is 0.2 MB smaller, and a run of fw starts no process for it.
"""

from __future__ import annotations

import ctypes

from initfs import say

LIBRARY = "libnftables.so.1"


class Nftables:
    """A context. `run` takes what `nft -f -` takes: all of it is one transaction."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise say.Fatal(say.TEMPORARY, f"unable to load {LIBRARY}: {error}") from None
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(self._library, name).restype = ctypes.c_char_p
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> tuple[bool, str]:
        """Whether the commands were carried out, all or none; and what they printed, or what was wrong."""
        good = self._library.nft_run_cmd_from_buffer(self._context, commands.encode()) == 0
        said = self._library.nft_ctx_get_output_buffer(self._context) or b""
        complaints = self._library.nft_ctx_get_error_buffer(self._context) or b""
        return good, (said if good else complaints).decode(errors="replace")

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)
