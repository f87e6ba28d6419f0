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
# Seconds in which the control plane answers whether another proxy has a session that a client names: it asks that
# proxy, and waits for it half a second at most.
CLAIM_TIMEOUT = 1.0
# Such questions at once, of all clients and of one address, and the seconds that one who named what is not there keeps
# his place: so an address that guesses asks 160 times a second at most, and players who all lost their proxy wait for
# each other a few milliseconds.
MAX_CLAIMS = 256
MAX_CLAIMS_PER_CLIENT = 16
CLAIM_PAUSE = 0.1
# A proxy that has just started gets sessions of one that is gone, and knows where they lead within seconds.
ROUTES_TIMEOUT = 10.0
# Seconds for another camera to take over from one that failed: players give up after ten without media.
MOVE_TIMEOUT = 8.0
# A session moves so often within so many seconds, and ends with the next failure: then it is not the cameras' fault.
MAX_MOVES = 8
MOVES_WINDOW = 60.0
# A camera that is played over TCP and sends nothing for this many seconds has failed.
SILENT_AFTER = 3.0
# A session that is set up and never played holds slots and a camera: players send PLAY at once.
PLAY_TIMEOUT = 30.0
# Seconds for a TLS handshake, and for the other side's farewell at the end: both take round trips, and no thought.
HANDSHAKE_TIMEOUT = 10.0
TLS_CLOSE_TIMEOUT = 3.0
# Seconds from the beginning of a connection to its first whole request. Players ask at once; who sends a byte now and
# then holds a file of ours for nothing.
FIRST_REQUEST_TIMEOUT = 10.0
# RTSP over HTTP: bytes of a half's head (players send 300), and of its cookie (players send 16 to 33).
MAX_HTTP_HEAD = 8192
MAX_COOKIE = 128
# Seconds that one half of a tunnel waits for the other, which comes a round trip later.
JOIN_TIMEOUT = 10.0
# Halves of one client address that wait for their other half at once.
MAX_WAITING_HALVES = 128
# Bytes that a POST may have brought before its GET is there: a request or two.
MAX_EARLY_BYTES = 16 * 1024
# POSTs that this proxy passes on to those that have their GETs, in all and of one client address: each takes another
# socket, beside the client's own.
MAX_PASSED_ON = 2048
MAX_PASSED_ON_PER_CLIENT = 512
# A connection without a session that asks for nothing is closed after this many seconds.
IDLE_TIMEOUT = 60.0
# Requests of one connection that wait their turn, and the bytes of their bodies; it is not read beyond either.
MAX_PIPELINED = 32
MAX_PIPELINED_BYTES = 256 * 1024
# Requests of cameras that a client has not answered yet, and the seconds that it has for each.
MAX_QUESTIONS_TO_CLIENT = 8
ANSWER_TIMEOUT = 5.0
# Streams that one connection has described and not set up: each holds a connection to a camera.
MAX_DESCRIBED = 4
# Tracks of a stream: cameras have a handful. Every URL of a session description is compared with that of each.
MAX_TRACKS = 32
# What one player of a stream is shown, the next is shown too: so many descriptions are kept, none of which is longer
# than this in bytes, URLs included. Each track has some of those URLs: one of MAX_TRACKS may come to 256 KiB, and all
# to 32 MiB; usual ones have 2 KiB.
KNOWN_DESCRIPTIONS = 128
LONGEST_KNOWN_DESCRIPTION = 8192
# Seconds until a wrong password is answered: somebody who mistyped it hardly notices, and a connection cannot guess
# faster than once in as many.
WRONG_PASSWORD_SECONDS = 1.0
# Sessions of one connection: players have one, recorders that share a connection a few.
MAX_SESSIONS_PER_CONNECTION = 16
# Sessions of the proxy's own, of mirrors and probes, at once: media that nobody watches takes the time of media that
# somebody does. At 25 µs a packet so many streams of 4 Mbit/s take a third of a processor.
MAX_SHADOWS = 32
# Bytes that a peer has not taken yet: about a second of high-definition video. Beyond that a client's frames are
# dropped whole until a quarter is left, and a client that feeds a server is not read.
WRITE_BUFFER_BYTES = 1024 * 1024
# A client that takes nothing for this many seconds is gone.
STALLED_TIMEOUT = 30.0
# Seconds that a multicast group without a stream is given to no other one: switches ask twice, a second apart, before
# they believe that nobody listens (RFC 2236, section 8), and receivers that stop late do so within seconds.
GROUP_REST = 10.0
# Tracks of multicast cameras that this proxy receives at once; each takes two sockets with large buffers.
MAX_JOINED_TRACKS = 256
# A URL, or what should have been one, in a log line or a refusal.
MAX_SHOWN_URL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLimits:
    """Bounds of the whole proxy and of one client address, and the seconds after which a client that shows no sign of
    life has lost its session. Many players may share an address, so one address may have a quarter of everything."""

    max_sessions: int = 4096
    max_sessions_per_client: int = 1024
    max_connections: int = 12288
    max_connections_per_client: int = 3072
    session_timeout: int = 60

    @property
    def resume_grace(self) -> float:
        """Seconds for a client to come back on another connection."""
        return min(RESUME_GRACE, self.session_timeout / 2)
