"""The asyncio shell of a played session: the RTSP connection, the UDP sockets, and one timer."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import time
from collections.abc import Callable

from rtsp_filter.player.core import PlayerCore
from rtsp_filter.player.errors import PlayError
from rtsp_filter.player.events import ConnectionNeeded, Ended, PlayingBegan, PortsNeeded, ReportsMade
from rtsp_filter.player.negotiation import PlayerTrack, parse_url
from rtsp_filter.player.report import PlayReport, PlayTransport
from rtsp_filter.player.sockets import PortPair
from rtsp_filter.rtsp import RTSPURL
from rtsp_filter.udp_ports import Address

CONNECT_LIMIT = 10.0
"""Seconds for name resolution and connecting; as long as a response may take."""

READ_SIZE = 1 << 16
"""Bytes of one read: the largest interleaved frame, or a burst of fifty usual ones."""

_CNAME_BYTES = 12
"""96 bits make a name unique (RFC 7022, section 5)."""

Progress = Callable[[PlayReport], None]


async def play(
    url: str,
    *,
    transport: PlayTransport = PlayTransport.UDP,
    seconds: float | None = None,
    on_progress: Progress | None = None,
) -> PlayReport:
    """Play `url` for `seconds` from the PLAY response on, or until cancelled (None), and report.

    `on_progress` gets a report each second, and the last one, also when cancelled. The session is always torn down.
    A server that stops answering or sending after PLAY ends the session early; the report's `error` says why. One that
    hangs up while media comes over UDP is connected to again, and the session goes on.

    Raises PlayError when the session does not come to PLAY, RTSPError when `url` is no rtsp:// URL.
    """
    parsed = parse_url(url)
    report = await _Session(parsed, transport, seconds, on_progress).run()
    if report.setup_ms is None:
        raise PlayError(report)
    return report


class _Connection(asyncio.BufferedProtocol):
    """One RTSP connection, which a redirect may replace by another. Every read goes into the same buffer."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._buffer = memoryview(bytearray(READ_SIZE))
        self.current = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.current:
            self._session.data_received(self._buffer[:nbytes])

    def connection_lost(self, exc: Exception | None) -> None:
        if self.current:
            reason = f": {exc}" if exc else ""
            self._session.connection_lost(f"the server closed the connection{reason}")


class _Session:
    """Moves bytes, datagrams and time between the core and the loop, until the core has ended."""

    def __init__(
        self,
        url: RTSPURL,
        transport: PlayTransport,
        seconds: float | None,
        on_progress: Progress | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._core = PlayerCore(
            url,
            transport=transport,
            seconds=seconds,
            ssrc=secrets.randbits(32),
            cname=secrets.token_urlsafe(_CNAME_BYTES),
            now=time.monotonic(),
        )
        self._on_progress = on_progress
        self._connection: _Connection | None = None
        self._wire: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._ports: list[PortPair] = []
        self._timer: asyncio.Handle | None = None
        self._timer_at: float | None = None
        self._ended = asyncio.Event()

    async def run(self) -> PlayReport:
        """Everything from connecting to TEARDOWN."""
        try:
            self._advance()
            await self._ended.wait()
        finally:
            # When cancelled, TEARDOWN still leaves before the connection closes.
            self._core.stop(time.monotonic())
            self._write()
            self._close()
            report = self._core.report(time.monotonic())
            self._tell(report)
        return report

    def data_received(self, data: memoryview) -> None:
        """The current connection gave bytes."""
        self._core.receive_data(data, time.monotonic())
        self._advance()

    def connection_lost(self, reason: str) -> None:
        """The current connection is gone, or could not be made."""
        self._core.connection_lost(reason, time.monotonic())
        self._advance()

    def _advance(self) -> None:
        """Do what the core wants done, and come back when it wants to be woken."""
        while (event := self._core.next_event()) is not None:
            match event:
                case ConnectionNeeded():
                    self._begin_connecting(event.url)
                case PortsNeeded():
                    self._open_ports(event.pairs)
                case PlayingBegan():
                    self._learn_senders()
                case ReportsMade():
                    self._send_reports(event.datagrams)
                case Ended():
                    self._ended.set()
        self._write()
        self._set_timer()

    def _begin_connecting(self, url: RTSPURL) -> None:
        self._drop_connection()
        self._connecting = self._loop.create_task(self._connect(url), name=f"connect to {url.authority}")

    async def _connect(self, url: RTSPURL) -> None:
        connection = _Connection(self)
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                wire, _ = await self._loop.create_connection(lambda: connection, url.connect_host, url.effective_port)
        except TimeoutError:
            self.connection_lost(f"cannot connect to {url.authority}: no answer in {CONNECT_LIMIT:g} s")
            return
        except OSError as error:
            self.connection_lost(f"cannot connect to {url.authority}: {_reason(error)}")
            return
        self._connection, self._wire = connection, wire
        self._core.connected(time.monotonic())
        self._advance()

    def _open_ports(self, pairs: int) -> None:
        assert self._wire is not None
        local: Address = self._wire.get_extra_info("sockname")
        try:
            for _ in range(pairs):
                self._ports.append(PortPair(local))
        except OSError as error:
            self._core.connection_lost(f"cannot open UDP ports: {_reason(error)}", time.monotonic())
            return
        self._core.set_up([pair.ports for pair in self._ports], time.monotonic())
        for pair, track in zip(self._ports, self._core.tracks, strict=True):
            receiver = track.receiver
            pair.start(self._loop, rtp=receiver.rtp_received, rtcp=receiver.rtcp_received)

    def _learn_senders(self) -> None:
        for pair, track in zip(self._ports, self._core.tracks, strict=False):
            sender = self._rtcp_sender(track)
            if sender is not None:
                pair.send_rtcp_to(sender)

    def _rtcp_sender(self, track: PlayerTrack) -> Address | None:
        """Where the track's RTCP comes from, as far as Transport says."""
        assert self._wire is not None
        ports, source = track.transport.server_port, track.transport.source
        if ports is None or not ports.rtp:
            return None
        peer: Address = self._wire.get_extra_info("peername")
        host = source if source and _is_address(source) else peer[0]
        return (host, ports.rtcp, *peer[2:])

    def _send_reports(self, datagrams: tuple[bytes, ...]) -> None:
        for pair, datagram in zip(self._ports, datagrams, strict=False):
            pair.send_rtcp(datagram)
        self._tell(self._core.report(time.monotonic()))

    def _tell(self, report: PlayReport) -> None:
        if self._on_progress is not None:
            self._on_progress(report)

    def _write(self) -> None:
        data = self._core.data_to_send()
        if data and self._wire is not None and not self._wire.is_closing():
            self._wire.write(data)

    def _set_timer(self) -> None:
        at = self._core.next_timer()
        if at == self._timer_at:
            # Most reads of media change nothing.
            return
        if self._timer is not None:
            self._timer.cancel()
        # A handle cannot be asked when it is due: for a time that has passed, uvloop gives one without `when`.
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = self._timer_at = None
        self._core.handle_timer(time.monotonic())
        self._advance()

    def _drop_connection(self) -> None:
        if self._connection is not None and self._wire is not None:
            self._connection.current = False
            self._wire.close()
        self._connection = self._wire = None

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        self._drop_connection()
        for pair in self._ports:
            pair.close()


def _reason(error: OSError) -> str:
    """What happened, without the call and address that asyncio puts into the text."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
