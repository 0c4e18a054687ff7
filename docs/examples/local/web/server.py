"""An HTTP server for a socket that somebody else has bound: descriptor 3, sd_listen_fds(3). Descriptor 4 is told when it serves.

TERM: it accepts no more, finishes what it has accepted, and ends. What comes meanwhile waits in the socket's backlog for the next one.
"""

from __future__ import annotations

import http.server
import os
import select
import signal
import socket
import threading

BODY = f"served by {os.getpid()}\n".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Says who has served."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def address_string(self) -> str:
        return "-"

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    reading, writing = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(writing, b"t"))
    os.write(4, b"\n")
    os.close(4)
    while reading not in select.select([listener, reading], [], [])[0]:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            continue  # somebody else was faster
        connection.setblocking(True)
        threading.Thread(target=serve, args=(connection,)).start()


def serve(connection: socket.socket) -> None:
    with connection:
        Handler(connection, "", None)  # type: ignore[arg-type]


main()  # the interpreter waits for the threads at its end
