"""What the proxy bounds, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

# Seconds for a TCP connection to a camera: on a network that works it takes milliseconds, players give up at ten.
CONNECT_TIMEOUT = 5.0
# Seconds for a camera's answer to TEARDOWN; the client is answered without it then.
TEARDOWN_TIMEOUT = 2.0
# A client that lost its control connection in UDP mode may come back on another within this many seconds, or half of
# the session timeout where that is shorter: whoever does not come back is gone before the timeout.
RESUME_GRACE = 10.0
# A connection without a session that asks for nothing is closed after this many seconds.
IDLE_TIMEOUT = 60.0
# Requests of one connection that wait their turn; after that it is not read until one is answered.
MAX_PIPELINED = 32
# Streams that one connection has described and not set up: each holds a connection to a camera.
MAX_DESCRIBED = 4
# Messages for a client that wait for the end of an interleaved frame.
MAX_HELD_MESSAGES = 64
# Interleaved bytes that a client has not taken yet: about a second of high-definition video. The camera is not read
# beyond it, so that its own flow control decides.
WRITE_BUFFER_BYTES = 1024 * 1024
# A client that takes nothing for this many seconds is gone.
STALLED_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLimits:
    """Bounds that an operator may move: sessions and connections of the whole proxy, connections of one client
    address, and seconds after which a client that shows no sign of life has lost its session."""

    max_sessions: int = 4096
    max_connections: int = 8192
    max_connections_per_client: int = 2048
    session_timeout: int = 60

    @property
    def resume_grace(self) -> float:
        """Seconds for a client to come back on another connection."""
        return min(RESUME_GRACE, self.session_timeout / 2)
