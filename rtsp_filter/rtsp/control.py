"""From a session description's control attributes to the URLs of SETUP and PLAY (RFC 2326, C.1.1).

The RFC refers to relative URLs (RFC 1808), but players do not: ffmpeg, GStreamer and live555 put the attribute behind
the base with a "/" between, even when the base has a query. Servers expect what players do, so this does too; and
a server must recognize both forms, because newer players keep the query at the end.
"""

from __future__ import annotations

import re

from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.url import RTSPURL

_ABSOLUTE = re.compile(r"rtsps?://", re.IGNORECASE)


def is_absolute(reference: str) -> bool:
    """Whether a control attribute or header names a server by itself."""
    return _ABSOLUTE.match(reference) is not None


def base_url(request_url: str, headers: Headers) -> str:
    """What relative control URLs are relative to: Content-Base, Content-Location or the URL of DESCRIBE, in that
    order (RFC 2326, C.1.1). A base that is only a path is taken to be on the same server."""
    for name in ("Content-Base", "Content-Location"):
        value = (headers.get(name) or "").strip()
        if is_absolute(value):
            return value
        if value.startswith("/"):
            url = RTSPURL.parse(request_url)
            return f"{url.scheme}://{url.authority}{value}"
    return request_url


def resolve(base: str, reference: str | None) -> str:
    """The URL that players make of a control attribute; None, "" and "*" mean the base itself."""
    if not reference or reference == "*":
        return base
    if is_absolute(reference):
        return reference
    joined = base.endswith("/") or reference.startswith(("/", "?"))
    return f"{base}{reference}" if joined else f"{base}/{reference}"


def aggregate_url(base: str, session_control: str | None) -> str:
    """The URL of PLAY, PAUSE and TEARDOWN for all tracks. Players heed session-level control only when it is
    absolute."""
    return session_control if session_control and is_absolute(session_control) else base


def track_url(base: str, session_control: str | None, media_control: str | None) -> str:
    """The URL to SETUP a track with: relative to the aggregate URL."""
    return resolve(aggregate_url(base, session_control), media_control)


def control_forms(base: str, reference: str) -> tuple[str, ...]:
    """Every URL by which players may ask for a track: behind the base, and, where the base has a query, in front of
    that query as well. For servers, to recognize the track of a SETUP."""
    plain = resolve(base, reference)
    path, mark, query = base.partition("?")
    if not mark or is_absolute(reference):
        return (plain,)
    return (plain, f"{resolve(path, reference)}?{query}")
