"""How long a session over UDP lives without a control connection.

Its client may come back on another connection within a grace. Or it needs none: receiver reports are a sign of life
(RFC 2326 section 12.37, RFC 3550 section 6.4), and a player that sends them every few seconds is there. Reports are
told of a little late, so one that is told right after the client hung up may have been sent before that.

Pure: time comes in as an argument, in seconds of one clock that never goes back.
"""

from __future__ import annotations

# Seconds within which what the media proxy has counted is told of here: it reports once a second.
RECEIVER_LAG = 2.0


class Desertion:
    """One session from the loss of its last connection on; it is over at `deadline`.

    grace: seconds for a client to come back, or to be heard. timeout: seconds that a session lives from each sign of
    life on.
    """

    def __init__(self, *, now: float, grace: float, timeout: float) -> None:
        self.deadline = now + grace
        self.heard = False
        self._since = now
        self._timeout = timeout

    def receiver_alive(self, now: float) -> None:
        """The media proxy has told of a receiver report."""
        if now - self._since >= RECEIVER_LAG:
            self.heard = True
            self.deadline = max(self.deadline, now + self._timeout)
