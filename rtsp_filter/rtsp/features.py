"""Option tags (RFC 2326, 1.5, 12.27 and 12.32): what a request requires, and what of it nobody here has.

A camera speaks for itself, so what a request requires of the server is checked here only where it goes no further.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtsp_filter.rtsp.messages import Request

_ONVIF = "www.onvif.org/"
# What players may require of a server whose answer is our own: it takes no part in these, and does not hinder them.
_HARMLESS = frozenset({"play.basic", "onvif-replay"})


def option_tags(values: Iterable[str]) -> tuple[str, ...]:
    """The tags of all headers of one name, in order."""
    return tuple(tag.strip() for value in values for tag in value.split(",") if tag.strip())


def unsupported(request: Request, *, answered_here: bool) -> tuple[str, ...]:
    """The required tags that must be refused (551, with these in Unsupported).

    `answered_here`: no camera sees this request. ONVIF's tags concern media and are refused by nobody but the camera.
    """
    required = option_tags(request.headers.get_all("Require")) if answered_here else ()
    of_server = [tag for tag in required if tag not in _HARMLESS and not tag.lower().startswith(_ONVIF)]
    return (*option_tags(request.headers.get_all("Proxy-Require")), *of_server)
