"""Routes that send the player elsewhere: what it is told to ask for instead.

Envoy's rules (config.route.v3.RedirectAction). A player that came by TLS is never sent away from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.routes.request import RouteRequest, bare_host
from rtsp_filter.rtsp import StatusCode
from rtsp_filter.rtsp.url import DEFAULT_PORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """What is different in the new URL; what is empty or 0 stays. `host` may have a port, `path` a query."""

    status: StatusCode
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    strip_query: bool = False

    def location(self, request: RouteRequest, rewritten: str) -> str:
        """The new URL; `rewritten` is the request's path after the route's rewrite."""
        scheme = self.scheme or request.scheme
        port = f":{self.port}" if self.port else ""
        return f"{scheme}://{self.host or self._same_host(request, scheme)}{port}{self._path(request, rewritten)}"

    def _same_host(self, request: RouteRequest, scheme: str) -> str:
        """The host that was asked, with its port unless that is replaced, or was the default of another scheme."""
        name = bare_host(request.host)
        name = f"[{name}]" if ":" in name else name
        default = f"{name}:{DEFAULT_PORTS[request.scheme]}"
        replaced = self.port or (scheme != request.scheme and request.host == default)
        return name if replaced else request.host

    def _path(self, request: RouteRequest, rewritten: str) -> str:
        if "?" in self.path:
            return self.path
        return (self.path or rewritten) + ("" if self.strip_query else request.query)

    def __str__(self) -> str:
        changes = {"scheme": self.scheme, "host": self.host, "port": self.port, "path": self.path}
        said = [f"{name} {value}" for name, value in changes.items() if value]
        query = ["no query"] if self.strip_query else []
        return f"redirect ({self.status.value}) to {', '.join([*said, *query]) or 'the rewritten path'}"
