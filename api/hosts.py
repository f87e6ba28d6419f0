"""Refuses requests that a web page of another host made its browser send here.

An API on loopback is out of reach for other machines, but not for web pages in this machine's browsers: a page whose
host's name is made to lead to 127.0.0.1 (DNS rebinding) is of the same origin as the API. Its requests name that host.
"""

from __future__ import annotations

import ipaddress
import socket

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import FOREIGN_HOST, ProblemError, problem_response


class HostCheck:
    """ASGI middleware: what comes in over loopback must be for an IP address, localhost or this machine's own name.

    What comes in from elsewhere may be for any name: whoever listens there chose to be reached.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._own_name = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _over_loopback(scope) or self._is_ours(_host(scope)):
            await self._app(scope, receive, send)
            return
        detail = f'"{_host(scope)}" is no name of this server; ask by an IP address or localhost'
        response = problem_response(Request(scope), FOREIGN_HOST, ProblemError(FOREIGN_HOST, detail))
        await response(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        # Only browsers matter here, and they always say which host they want.
        return host in ("", "localhost", self._own_name) or host.endswith(".localhost") or _is_address(host)


def _over_loopback(scope: Scope) -> bool:
    """Whether the local address of the connection is one of loopback."""
    local = (scope.get("server") or ("", None))[0]
    return _is_address(local) and ipaddress.ip_address(local).is_loopback


def _host(scope: Scope) -> str:
    """The host that the request is for, without port and brackets, in lower case."""
    host = Headers(scope=scope).get("host", "").strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
