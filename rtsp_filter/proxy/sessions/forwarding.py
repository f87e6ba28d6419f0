"""Messages on their way through: which headers go on, and what of an answer must not name the camera.

Pure. Whatever is not listed here passes unchanged, in order and spelling.
"""

from __future__ import annotations

from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.rtsp import Headers, Request, Response, rewrite_rtp_info

# Of this connection only, or said anew for the other one.
_NOT_FORWARDED = frozenset(
    {"cseq", "session", "transport", "connection", "content-length", "proxy-require", "proxy-authorization", "via"}
)
_NOT_RETURNED = _NOT_FORWARDED | {"content-base", "content-location", "location", "public", "rtp-info"}


def request_headers(request: Request) -> list[tuple[str, str]]:
    """The client's headers as the camera gets them."""
    return [(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED]


def client_response(
    request: Request,
    response: Response,
    presentation: Presentation,
    extra: list[tuple[str, str]],
    body: bytes | None = None,
) -> Response:
    """The camera's answer as the client gets it: `extra` headers first, URLs replaced, `body` in place of its own."""
    headers = Headers([("CSeq", str(request.cseq)), *extra])
    for name, value in response.headers.items():
        if name.lower() not in _NOT_RETURNED:
            headers.add(name, presentation.hide(value))
    info = response.headers.get("RTP-Info")
    if info is not None:
        headers.add("RTP-Info", rewrite_rtp_info(info, presentation.client))
    return Response(
        status=response.status,
        reason=presentation.hide(response.reason),
        headers=headers,
        body=hidden_body(response.body, presentation) if body is None else body,
    )


def hidden_body(body: bytes, presentation: Presentation) -> bytes:
    """A body without the camera's URLs; whatever else is in it stays to the byte."""
    return presentation.hide(body.decode("latin-1")).encode("latin-1", "replace")
