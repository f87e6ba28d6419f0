"""How a server is spoken to, besides where it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mesh.model import BackendTLS
from rtsp_filter.rtsp import RTSPURL, Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """By TLS, unless `tls` is None; in RTSP over HTTP, if it is `tunnelled`. `credentials` are what the server is told
    where it asks for a password. Where there are none, whoever asks here is asked, unless they are `withheld`: then
    nobody is."""

    tls: BackendTLS | None = None
    tunnelled: bool = False
    credentials: Credentials | None = None
    withheld: bool = False

    @property
    def scheme(self) -> str:
        """Of URLs that are asked for. Inside HTTP it is rtsp, whatever carries that: so players have it."""
        return "rtsp" if self.tls is None or self.tunnelled else "rtsps"

    @property
    def interleaved_only(self) -> bool:
        """Whether no media may go beside the connection, which is encrypted, or all that gets through."""
        return self.tls is not None or self.tunnelled

    @property
    def knows_password(self) -> bool:
        """Whether passwords are between the mesh and the server, and no business of players."""
        return self.credentials is not None or self.withheld

    def led_to(self, url: RTSPURL, port: int) -> Access:
        """For a URL that a server at `port` has led to, on the same host: credentials stay at the port that they are
        for; TLS that nobody asked for is taken where the system's authorities prove that it is that host."""
        access = self if url.effective_port == port else replace(self, credentials=None, withheld=self.knows_password)
        if url.scheme == "rtsps" and access.tls is None:
            return replace(access, tls=BackendTLS(hostname=url.host))
        return access


PLAIN = Access()
"""As it is by default."""
