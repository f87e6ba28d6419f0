"""A camera that redirects (RFC 2326, 11.3) is followed on the same host only.

Its answer must not make this proxy connect to wherever it likes: another host is for whoever runs the mesh to name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rtsp_filter.proxy.presentation import Presentation
from rtsp_filter.proxy.session import Described
from rtsp_filter.proxy.upstream import Upstream, UpstreamError
from rtsp_filter.rtsp import RTSPURL, Response
from rtsp_filter.rtsp.redirect import Redirects

REDIRECTS = range(300, 400)

Ask = Callable[[Described], Awaitable[Response]]
"""Asks over the connection of what it is given. Raises UpstreamError where no answer comes."""


async def followed(described: Described, response: Response, ask: Ask) -> tuple[Described, Response]:
    """The first answer that redirects no further, and the connection that it came by. Raises UpstreamError or
    RedirectError (502); no connection is left open then."""
    redirects = Redirects()
    while response.status in REDIRECTS:
        described.upstream.close()
        old = RTSPURL.parse(described.presentation.upstream_url)
        new = redirects.follow(old, response.headers.get("Location") or "")
        if (new.scheme, new.host.lower()) != (old.scheme, old.host.lower()):
            raise UpstreamError("the camera redirects to another server; set its new address", camera=str(old))
        described = await _connected(described, new.without_userinfo())
        try:
            response = await ask(described)
        except BaseException:
            described.upstream.close()
            raise
    return described, response


async def _connected(before: Described, url: RTSPURL) -> Described:
    return Described(
        presentation=Presentation.undescribed(before.presentation.client_url, str(url)),
        decision=before.decision,
        upstream=await Upstream.connect(url.host, url.effective_port, before.decision.headers),
    )
