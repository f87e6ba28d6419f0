"""HTTP/1.1 for what a TCPRoute carries: a server that says its name and keeps connections open, and a question."""

from __future__ import annotations

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LOOPBACK = "127.0.0.1"


class WebServer:
    """Answers every GET with its name, as long as it is `healthy`; with 503 when not. Runs until left."""

    def __init__(self, name: str) -> None:
        class Handler(_Handler):
            owner = self

        self.name = name
        self.healthy = True
        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=f"web server {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def ask(connection: socket.socket) -> str:
    """The name of the server that answers on a connection; empty when the connection was ended."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
        if not (more := connection.recv(4096)):
            return ""
        answer += more
    return answer.rpartition(b"\r\n\r\n")[2].decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes, which otherwise wait for each other for 40 ms.
    disable_nagle_algorithm = True
    owner: WebServer
    # A client that is gone without a word does not hold the server's end up.
    timeout = 60

    def do_GET(self) -> None:
        body = self.owner.name.encode()
        self.send_response(HTTPStatus.OK if self.owner.healthy else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests print what matters."""
