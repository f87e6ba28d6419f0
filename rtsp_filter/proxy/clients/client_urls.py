"""URLs as clients write them: what is asked for, and how that stands in log lines."""

from __future__ import annotations

from rtsp_filter.proxy.limits import MAX_SHOWN_URL
from rtsp_filter.rtsp import RTSPURL, Request, URLError


def client_url(request: Request) -> RTSPURL:
    """The URL of a request, without credentials. Raises URLError for bytes that are no UTF-8, which nobody can show."""
    if not request.url.isprintable():
        raise URLError("the URL has characters that no URL has")
    return RTSPURL.parse(request.url).without_userinfo()


def shown_url(url: str) -> str:
    """A URL without its password, and not endless."""
    try:
        return str(RTSPURL.parse(url).without_userinfo())[:MAX_SHOWN_URL]
    except URLError:
        return url[:MAX_SHOWN_URL]
