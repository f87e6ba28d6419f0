"""The relay stream as a task: connects, states what is held, passes changes on, and connects again when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog

from mesh.wire import relay_pb2, relay_pb2_grpc
from rtsp_filter.backoff import LONGEST_SECONDS, Backoff
from rtsp_filter.relays.book import (
    Allocated,
    Allocation,
    ClaimRefused,
    Failed,
    Granted,
    LeaveAsked,
    MediaChanged,
    Ready,
    Receiver,
    RelayBook,
    RelayError,
    RelayFailure,
    Sender,
    SessionEndAsked,
    SessionHanded,
    TunnelFound,
)
from rtsp_filter.relays.tunnel_book import TunnelBook

# A little more than the control plane itself waits for the media proxy, so that its reason is the one that is told.
OPEN_TIMEOUT = 6.0
# Seconds after which a session's changes and its end are told: a set-up is told of once, and not while its player
# waits, and where many sessions come and go, all of them together.
REPORT_DELAY = 0.05
# The same of halves of tunnels: the other half is there within a round trip, or the client waits for what is told here.
TUNNELS_DELAY = 0.02
# Seconds to say goodbye in; a control plane that does not listen finds out by itself.
DRAIN_TIMEOUT = 1.0
# Messages that wait for the stream; one that falls further behind starts over with a State.
MAX_QUEUED = 4096
# Of those, how many go in one message: with the largest sessions, a megabyte at most.
MAX_BATCH = 256
# gRPC's own reconnect must not be slower than ours: a settling control plane waits for us.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", int(LONGEST_SECONDS * 1000)),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
)

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Relay:
    """One relay on its way to being open: `allocated` gives its ports, `ready` says that media may flow."""

    relay_id: str
    allocated: asyncio.Future[Allocation]
    ready: asyncio.Future[None]


class MediaObserver(Protocol):
    """Hears what the media proxy sees of the relays of sessions that play. A stream to the control plane that was lost
    may have swallowed some of it: what holds is then told again."""

    def on_silent(self, relay_id: str, seconds: float) -> None:
        """Nothing has come from the relay's sender for so many seconds, at least. Told every ten seconds while it
        lasts."""

    def on_flowing(self, relay_id: str) -> None:
        """Media has begun, or begun again."""

    def on_receiver_alive(self, relay_id: str) -> None:
        """The relay's receiver has sent RTCP within the last second or two. Of paused sessions too."""


class SessionObserver(Protocol):
    """Hears of sessions that change hands."""

    def on_session_handed(self, session: relay_pb2.Session, allocations: Mapping[str, Allocation]) -> None:
        """This proxy goes on with a session, and holds its relays, which have these ports."""

    def on_leave_asked(self, session_id: str) -> None:
        """Another proxy goes on with a session that is here; answered by `RelayClient.leave_session`."""

    def on_claim_refused(self, session_id: str) -> None:
        """A session that was claimed is not to be had."""


class RelayClient:
    """Relays and sessions of this proxy, kept in step with the control plane at `target` (host:port).

    `on_relay_lost` hears of an open relay that the control plane took back, with its id, its session's, and why;
    `on_end_session` of a session that an operator ends, `media` of what passes through relays, `sessions` of those that
    change hands, `on_tunnel_found` of tunnels that are sought. `state_endpoints` gives all that is known of endpoints;
    `tunnels` is what is told of tunnels.
    """

    def __init__(
        self,
        target: str,
        node_id: str,
        *,
        on_relay_lost: Callable[[str, str, str], None],
        on_end_session: Callable[[str, str], None],
        media: MediaObserver,
        sessions: SessionObserver,
        state_endpoints: Callable[[], list[relay_pb2.EndpointReport]] = list,
        on_tunnel_found: Callable[[TunnelFound], None] = lambda found: None,
    ) -> None:
        self.connected = False
        self.tunnels = TunnelBook(self._tell_tunnels_soon)
        self._target = target
        self._refusal = ""  # why the control plane does not take this proxy
        self._book = RelayBook(node_id, secrets.token_hex(8))
        self._on_relay_lost = on_relay_lost
        self._on_end_session = on_end_session
        self._media = media
        self._sessions = sessions
        self._state_endpoints = state_endpoints
        self._on_tunnel_found = on_tunnel_found
        self._opening: dict[str, Relay] = {}
        self._outgoing: asyncio.Queue[relay_pb2.ProxyMessage | None] | None = None  # None, at its end, ends the stream
        self._call: Any = None
        self.media_addresses: tuple[str, ...] = ()
        """Addresses of the media proxy, as the last slot named them."""
        self._granted: deque[Allocation] = deque()  # ends with the stream
        self._untold: dict[str, Callable[[], relay_pb2.Session]] = {}  # sessions that have changed
        self._ended: list[relay_pb2.ProxyMessage] = []  # what is to be told of sessions that have ended
        self._telling: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Keep a stream to the control plane until cancelled."""
        backoff = Backoff()
        async with grpc.aio.insecure_channel(self._target, options=_OPTIONS) as channel:
            while True:
                try:
                    await self._stream(channel)
                    backoff.reset()
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    # It was the stream that was cancelled, by `_send`, and not we.
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                        self._refused(error.details() or "")
                    else:
                        self._refusal = ""
                    if self.connected:
                        log.warning("lost the control plane; media goes on", error=error.details())
                        backoff.reset()
                finally:
                    self.connected = False
                    self._outgoing = None
                    self._granted.clear()
                await asyncio.sleep(backoff.next_delay(random.random()))

    def _refused(self, reason: str) -> None:
        """Another process has our name. We try again, in case that it ends; the log is told once."""
        if reason != self._refusal:
            self._refusal = reason
            log.error("the control plane refuses this RTSP proxy; it has no media over UDP", reason=reason)

    def listens(self, scheme: str, address: str, port: int) -> None:
        """Other proxies reach this one there, by TCP; to be said before `run`. `scheme` is rtsp or rtsps."""
        self._book.listens(scheme, address, port)

    def open(self, session_id: str, media: str, receiver: Receiver | None, sender: Sender | None = None) -> Relay:
        """Ask for a relay; without a receiver, for one that is moved later; without a sender, for one that takes
        whoever sends first. Its futures raise RelayError."""
        relay = self._begin(secrets.token_hex(8))
        granted = self._granted.popleft() if self._granted else None
        self._send(self._book.open(relay.relay_id, session_id, media, receiver, granted, sender))
        if granted is not None:
            relay.allocated.set_result(granted)
        return relay

    def move(self, relay_id: str, receiver: Receiver | None, sender: Sender | None = None) -> asyncio.Future[None]:
        """Let an open relay lead elsewhere, or nowhere, from this sender or any; done when it does. The future raises
        RelayError."""
        relay = self._begin(relay_id)
        try:
            self._send(self._book.move(relay_id, receiver, sender))
        except KeyError:
            del self._opening[relay_id]
            _fail(relay, RelayError(RelayFailure.REFUSED, "the relay was taken back"))
        return relay.ready

    def _begin(self, relay_id: str) -> Relay:
        loop = asyncio.get_running_loop()
        relay = Relay(relay_id=relay_id, allocated=loop.create_future(), ready=loop.create_future())
        # Whoever waits for one of the two hears of a failure; the other must not be called unheard.
        for future in (relay.allocated, relay.ready):
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._opening[relay_id] = relay
        loop.call_later(0 if self._refusal else OPEN_TIMEOUT, self._open_timed_out, relay)
        return relay

    def close(self, relay_ids: Collection[str], *, sender_stopped: bool) -> None:
        """Give relays back; `sender_stopped` when their sender has confirmed that it sends no more."""
        gone = RelayError(RelayFailure.REFUSED, "the relay was given back before it was open")
        for relay in [self._opening.pop(relay_id) for relay_id in relay_ids if relay_id in self._opening]:
            _fail(relay, gone)
        self._send(self._book.close(relay_ids, sender_stopped=sender_stopped))

    def session_of(self, relay_id: str) -> str | None:
        """The id of the session that a relay was opened for; None for one that is given back."""
        return self._book.session_of(relay_id)

    def keep_session(self, session_id: str, describe: Callable[[], relay_pb2.Session]) -> None:
        """Tell of a new or changed session, soon: what is told is what `describe` says then."""
        self._untold[session_id] = describe
        self._tell_soon()

    def end_session(self, session_id: str, reason: str) -> None:
        """Tell that a session is over, soon."""
        self._untold.pop(session_id, None)
        self._ended.append(self._book.end_session(session_id, reason))
        self._tell_soon()

    def report_endpoints(self, report: relay_pb2.EndpointReport) -> None:
        """Tell what has become of endpoints."""
        self._send(relay_pb2.ProxyMessage(endpoint_report=report))

    def claim_session(self, session_id: str, client_address: str) -> bool:
        """Ask for a session that a client at this address names; False where nobody can be asked now."""
        if self._outgoing is None:
            return False
        self._send(self._book.claim(session_id, client_address))
        return True

    def leave_session(self, session_id: str) -> None:
        """Leave a session, as it is now, and its relays, for another proxy to go on with it."""
        if session_id in self._untold:
            self._tell()
        self._send(self._book.leave(session_id))

    def begin_draining(self) -> None:
        """Take no sessions over from now on."""
        self._send(self._book.drain())

    def _tell_soon(self) -> None:
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(REPORT_DELAY, self._tell)

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        untold, self._untold = self._untold, {}
        ended, self._ended = self._ended, []
        for describe in untold.values():
            self._book.keep_session(describe())
        for message in (*self._book.sessions(untold), *ended):
            self._send(message)

    def _tell_tunnels_soon(self) -> None:
        asyncio.get_running_loop().call_later(TUNNELS_DELAY, self._tell_tunnels)

    def _tell_tunnels(self) -> None:
        for report in self.tunnels.changes():
            self._send(relay_pb2.ProxyMessage(tunnel_report=report))

    async def drain(self) -> None:
        """Wait until what was said has been sent, if the control plane takes it within DRAIN_TIMEOUT."""
        self._tell()
        if self._outgoing is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    await self._outgoing.join()

    async def finish(self) -> None:
        """Say what is left to say, and end the stream, within DRAIN_TIMEOUT. One that is cancelled may take with
        it what the control plane has not read."""
        self._tell()
        outgoing, call, self._outgoing = self._outgoing, self._call, None
        if self.connected and outgoing is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    await outgoing.put(None)
                    await call.code()

    def _send(self, message: relay_pb2.ProxyMessage) -> None:
        """Send on the stream that is there; without one, the next State says it."""
        if self._outgoing is None:
            return
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("the control plane does not read; the relay stream starts over")
            self._outgoing = None
            if self._call is not None:
                self._call.cancel()

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        outgoing: asyncio.Queue[relay_pb2.ProxyMessage | None] = asyncio.Queue(MAX_QUEUED)
        call = relay_pb2_grpc.RelayServiceStub(channel).StreamRelays(  # type: ignore[no-untyped-call]
            self._requests(outgoing)
        )
        try:
            await call.initial_metadata()
            self.connected = not call.done()
            if self.connected:
                self._refusal = ""
                log.info("connected to the control plane", target=self._target)
            self._call = call
            async for message in call:
                self._receive(message)
        finally:
            self._call = None
            call.cancel()

    async def _requests(
        self, outgoing: asyncio.Queue[relay_pb2.ProxyMessage | None]
    ) -> AsyncIterator[relay_pb2.ProxyMessage]:
        """First all that is held, as it stands at this moment; then whatever changes from it on."""
        self._tell()  # to the book, so that it is stated
        stated = (relay_pb2.ProxyMessage(endpoint_report=report) for report in self._state_endpoints())
        tunnels = (relay_pb2.ProxyMessage(tunnel_report=report) for report in self.tunnels.all())
        held = [self._book.state(), *self._book.unanswered(), *stated, *tunnels]
        self._outgoing = outgoing
        for message in held:
            yield message
        ends = False
        while not ends:
            taken = [await outgoing.get()]
            while len(taken) < MAX_BATCH and not outgoing.empty():
                taken.append(outgoing.get_nowait())
            ends = taken[-1] is None
            messages = [message for message in taken if message is not None]
            if messages:
                yield _together(messages)
            for _ in taken:
                outgoing.task_done()

    def _receive(self, message: relay_pb2.ControlMessage) -> None:
        match self._book.receive(message):
            case Allocated(relay_id=relay_id, allocation=allocation):
                self.media_addresses = allocation.addresses
                relay = self._opening.get(relay_id)
                if relay is not None and not relay.allocated.done():
                    relay.allocated.set_result(allocation)
            case Granted(allocations=allocations):
                self._granted.extend(allocations)
                self.media_addresses = allocations[-1].addresses
            case Ready(relay_id=relay_id):
                relay = self._opening.pop(relay_id, None)
                if relay is not None and not relay.ready.done():
                    relay.ready.set_result(None)
            case Failed() as failed:
                self._failed(failed)
            case SessionEndAsked(session_id=session_id, reason=reason):
                self._on_end_session(session_id, reason)
            case MediaChanged() as changed:
                self._media_changed(changed)
            case SessionHanded(session=session, allocations=allocations):
                self._sessions.on_session_handed(session, allocations)
            case LeaveAsked(session_id=session_id):
                self._sessions.on_leave_asked(session_id)
            case ClaimRefused(session_id=session_id):
                self._sessions.on_claim_refused(session_id)
            case TunnelFound() as found:
                self._on_tunnel_found(found)

    def _media_changed(self, changed: MediaChanged) -> None:
        for relay_id, seconds in changed.silent.items():
            self._media.on_silent(relay_id, seconds)
        for relay_id in changed.flowing:
            self._media.on_flowing(relay_id)
        for relay_id in changed.receivers_alive:
            self._media.on_receiver_alive(relay_id)

    def _failed(self, failed: Failed) -> None:
        relay = self._opening.pop(failed.relay_id, None)
        if relay is None:
            self._on_relay_lost(failed.relay_id, failed.session_id, str(failed.error))
            return
        _fail(relay, failed.error)

    def _open_timed_out(self, relay: Relay) -> None:
        """Nobody answers; whoever waits for the relay gives it back, and knows whether its sender has stopped."""
        if self._opening.get(relay.relay_id) is relay:
            del self._opening[relay.relay_id]
            _fail(relay, self._unavailable())

    def _unavailable(self) -> RelayError:
        if self._refusal:
            text = f"the control plane refuses this RTSP proxy: {self._refusal}"
        else:
            reason = "does not answer" if self.connected else f"cannot be reached at {self._target}"
            text = f"the control plane {reason}; is it running?"
        return RelayError(RelayFailure.CONTROL_PLANE_UNAVAILABLE, text)


def _together(messages: list[relay_pb2.ProxyMessage]) -> relay_pb2.ProxyMessage:
    """One message that says all of it."""
    return messages[0] if len(messages) == 1 else relay_pb2.ProxyMessage(batch=relay_pb2.Batch(messages=messages))


def _fail(relay: Relay, error: RelayError) -> None:
    """Whoever still waits for the relay hears of it."""
    for future in (relay.allocated, relay.ready):
        if not future.done():
            future.set_exception(error)
