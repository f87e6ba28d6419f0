"""What is routed: one request of a player, as routes look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rtsp_filter.rtsp import RTSPURL, Headers, Method

METHOD_HEADER = ":method"
"""Envoy's name for the method, where a condition on a header is meant for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What has failed a request already, so that it goes to another endpoint of the same cluster, by their names."""

    cluster: str
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """A request by its URL, method and headers. `path` has the query, if there is one; `host` may have a port."""

    host: str
    path: str
    method: str = Method.DESCRIBE
    headers: Headers = field(default_factory=Headers)
    client_address: str = ""
    scheme: str = "rtsp"
    tried: Tried | None = None

    @classmethod
    def of(
        cls, url: RTSPURL, method: str = Method.DESCRIBE, headers: Headers | None = None, client_address: str = ""
    ) -> RouteRequest:
        """What a player asks with `method` of `url`."""
        return cls(
            host=url.authority,
            path=url.target or "/",
            method=method,
            headers=headers or Headers(),
            client_address=client_address,
            scheme=url.scheme,
        )

    @property
    def plain_path(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0] or "/"

    @property
    def query(self) -> str:
        """The query with its "?", empty if there is none."""
        _, mark, query = self.path.partition("?")
        return mark + query

    def header(self, name: str) -> list[str]:
        """The values of all headers of a name."""
        return [self.method] if name == METHOD_HEADER else self.headers.get_all(name)

    def query_parameter(self, name: str) -> str | None:
        """The first value of a query parameter, as it is written; None where there is none."""
        return next((value for found, value in self._query_parameters() if found == name), None)

    def _query_parameters(self) -> Iterator[tuple[str, str]]:
        for pair in self.query[1:].split("&"):
            name, _, value = pair.partition("=")
            yield name, value


def bare_host(host: str) -> str:
    """A host without port and brackets: "[2001:db8::1]:554" → "2001:db8::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
