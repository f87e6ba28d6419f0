"""The camera's session description, and which track a control URL means."""

from __future__ import annotations

import re

from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import RTSPURL

SESSION_NAME = "Media Streaming Mesh camera"

_CONTROL = re.compile(r"(?P<front>.*)/trackID=(?P<number>[0-9]{1,2})(?P<query>\?.*)?", re.DOTALL)


def describe(clip: Clip, address: str) -> bytes:
    """The description of a live stream of this clip. `address` is the camera's own (RFC 8866, 5.2)."""
    family = "IP6" if ":" in address else "IP4"
    lines = [
        "v=0",
        f"o=- 1 1 IN {family} {address}",
        f"s={SESSION_NAME}",
        f"c=IN {family} {'::' if family == 'IP6' else '0.0.0.0'}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
    ]
    for number, track in enumerate(clip.tracks):
        lines += [*track.sdp_lines, f"a=control:trackID={number}"]
    return ("\r\n".join(lines) + "\r\n").encode()


def split_control(url: str) -> tuple[str, int | None]:
    """Path and query of the stream, and the number of the track that a URL names; None: all of them.

    Players put the control attribute behind the path or behind the query; both mean the same track. Raises URLError.
    """
    target = RTSPURL.parse(url).target
    found = _CONTROL.fullmatch(target)
    if found is None:
        return _normal(target), None
    return _normal(found["front"] + (found["query"] or "")), int(found["number"])


def same_path(path: str, target: str) -> bool:
    """Whether a request for `target` (path and query) is for the stream at `path`."""
    return _normal(target.partition("?")[0]) == _normal(path)


def _normal(target: str) -> str:
    path, mark, query = target.partition("?")
    return f"/{path.strip('/')}{mark}{query.rstrip('/')}"
