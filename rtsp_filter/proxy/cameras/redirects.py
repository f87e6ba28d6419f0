"""A camera that redirects (RFC 2326, 11.3) is followed on the same host only.

Its answer must not make this proxy connect to wherever it likes: another host is for whoever runs the mesh to name. So
is another port, where there is a password for the camera: it is told at the port that it is for, and nowhere else. A
redirect may lead to TLS, and none leads out of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.rtsp import RTSPURL, Response
from rtsp_filter.rtsp.redirect import RedirectError, Redirects

REDIRECTS = range(300, 400)

Ask = Callable[[Described], Awaitable[Response]]
"""Asks over the connection of what it is given. Raises UpstreamError where no answer comes."""


async def followed(described: Described, response: Response, ask: Ask) -> tuple[Described, Response]:
    """The first answer that redirects no further, and the connection that it came by. Raises UpstreamError (502), which
    does not say where the camera wants its clients; no connection is left open then."""
    redirects = Redirects()
    while response.status in REDIRECTS:
        described.upstream.close()
        old = RTSPURL.parse(described.presentation.upstream_url)
        try:
            new = redirects.follow(old, response.headers.get("Location") or "")
        except RedirectError as error:
            raise UpstreamError(f"the camera's redirect is not followed: {error.reason}", camera=str(old)) from error
        if new.host.lower() != old.host.lower():
            raise UpstreamError("the camera redirects to another server; set its new address", camera=str(old))
        described = await _connected(described, new.without_userinfo())
        try:
            response = await ask(described)
        except BaseException:
            described.upstream.close()
            raise
    return described, response


async def _connected(before: Described, url: RTSPURL) -> Described:
    access = before.upstream.access.led_to(url, before.decision.upstream.port)
    upstream = await Upstream.connect(url.host, url.effective_port, before.decision.headers, access, url.target or "/")
    if before.upstream.tally is not None:
        upstream.counted_in(before.upstream.tally)
    return Described(
        presentation=Presentation.undescribed(before.presentation.client_url, str(url)),
        decision=before.decision,
        upstream=upstream,
    )
