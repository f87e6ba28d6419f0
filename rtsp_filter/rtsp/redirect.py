"""Where a 3xx answer leads (RFC 2326, 11.3, 12.25): not in circles, not out of TLS, without another's password."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtsp_filter.rtsp.errors import RTSPError, URLError
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.url import RTSPURL

MAX_REDIRECTS = 5
"""Load balancers redirect once or twice; more is a loop."""


class RedirectError(RTSPError):
    """A redirect that nobody should follow. `reason` says why without saying where it leads, which may be secret."""

    status = StatusCode.BAD_GATEWAY

    def __init__(self, reason: str, location: str | None = None) -> None:
        super().__init__(reason if location is None else f"redirected to {location!r}: {reason}")
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class Redirects:
    """The redirects of one session; `followed` so far."""

    followed: int = 0

    def follow(self, old: RTSPURL, location: str) -> RTSPURL:
        """The URL to ask next: `location` may be a path at the same server. Credentials stay with the server that
        they were given for; those in `location` itself are its own. Raises RedirectError."""
        self.followed += 1
        if self.followed > MAX_REDIRECTS:
            raise RedirectError(f"more than {MAX_REDIRECTS} redirects")
        new = _target(old, location.strip())
        if old.scheme == "rtsps" and new.scheme != "rtsps":
            raise RedirectError("it would leave TLS", location)
        same_server = (old.host.lower(), old.effective_port) == (new.host.lower(), new.effective_port)
        return replace(new, userinfo=old.userinfo) if same_server and new.userinfo is None else new


def _target(old: RTSPURL, location: str) -> RTSPURL:
    text = f"{old.scheme}://{old.authority}{location}" if location.startswith("/") else location
    try:
        return RTSPURL.parse(text)
    except URLError as error:
        raise RedirectError(str(error), location) from error
