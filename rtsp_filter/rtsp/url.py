"""RTSP URLs (RFC 2326, 3.2): taken apart, changed and put together again, path and query kept to the byte."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rtsp_filter.rtsp.errors import URLError

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
"""Ports that a URL leaves out (RFC 2326, 3.2; RFC 7826, 22.14 for rtsps)."""

_URL = re.compile(
    r"(?P<scheme>rtsps?)://"
    r"(?:(?P<userinfo>[^/?\s]*)@)?"
    r"(?P<host>\[[0-9a-f.]*:[0-9a-f:.]*(?:%[^\]\[@\s/?]+)?\]|[^/?#@:\[\]\s]+)"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[^?]*)?"
    r"(?P<query>\?.*)?",
    re.IGNORECASE | re.DOTALL,
)
_FORBIDDEN = re.compile(r"[\0-\x1f\x7f]")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class RTSPURL:
    """An absolute RTSP URL.

    `host` is a name or an address, an IPv6 literal without brackets and with its zone as written. `port` is None
    where the URL names none. `path` and `query` (without "?"; None where there is none) are kept to the byte.
    `userinfo` is `user:password` as written; do not log it.
    """

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    query: str | None = None
    userinfo: str | None = None

    @classmethod
    def parse(cls, text: str) -> RTSPURL:
        """Raises URLError for what is no absolute rtsp or rtsps URL."""
        found = _URL.fullmatch(text)
        if found is None or _FORBIDDEN.search(text):
            raise URLError("not an RTSP URL (rtsp://host[:port]/path)")
        port = int(found["port"]) if found["port"] else None
        if port is not None and not 0 < port <= _MAX_PORT:
            raise URLError(f"{port} is not a port")
        return cls(
            scheme=found["scheme"].lower(),
            host=found["host"].strip("[]"),
            port=port,
            path=found["path"] or "",
            query=found["query"][1:] if found["query"] is not None else None,
            userinfo=found["userinfo"],
        )

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def connect_host(self) -> str:
        """The host as a socket takes it: `%25` in front of a zone (RFC 6874) becomes `%`."""
        return self.host.replace("%25", "%", 1) if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """host[:port], IPv6 in brackets, without userinfo."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query as written."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def with_host(self, host: str, port: int | None) -> RTSPURL:
        """The same resource at another server, without credentials: they belong to the old one."""
        return replace(self, host=host, port=port, userinfo=None)

    def with_path(self, path: str) -> RTSPURL:
        return replace(self, path=path)

    def with_query(self, query: str | None) -> RTSPURL:
        return replace(self, query=query)

    def without_userinfo(self) -> RTSPURL:
        """Safe to log and to put on a request line."""
        return self if self.userinfo is None else replace(self, userinfo=None)

    def __str__(self) -> str:
        userinfo = "" if self.userinfo is None else f"{self.userinfo}@"
        return f"{self.scheme}://{userinfo}{self.authority}{self.target}"
