"""The relay stream as a task: connects, states what is held, passes changes on, and connects again when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from mesh.wire import relay_pb2, relay_pb2_grpc
from rtsp_filter.backoff import LONGEST_SECONDS, Backoff
from rtsp_filter.relays.book import (
    Allocated,
    Allocation,
    Failed,
    Granted,
    Ready,
    Receiver,
    RelayBook,
    RelayError,
    RelayFailure,
    SessionEndAsked,
)

# A little more than the control plane itself waits for the media proxy, so that its reason is the one that is told.
OPEN_TIMEOUT = 6.0
# Seconds after which a session's changes are told: a set-up is told of once, and not while its player waits.
REPORT_DELAY = 0.05
# Seconds to say goodbye in; a control plane that does not listen finds out by itself.
DRAIN_TIMEOUT = 1.0
# Messages that wait for the stream; one that falls further behind starts over with a State.
MAX_QUEUED = 4096
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


class RelayClient:
    """Relays and sessions of this proxy, kept in step with the control plane at `target` (host:port).

    `on_relay_lost` hears of an open relay that the control plane took back, `on_end_session` of a session that an
    operator ends.
    """

    def __init__(
        self,
        target: str,
        node_id: str,
        *,
        on_relay_lost: Callable[[str, str], None],
        on_end_session: Callable[[str, str], None],
    ) -> None:
        self.connected = False
        self._target = target
        self._refusal = ""  # why the control plane does not take this proxy
        self._book = RelayBook(node_id, secrets.token_hex(8))
        self._on_relay_lost = on_relay_lost
        self._on_end_session = on_end_session
        self._opening: dict[str, Relay] = {}
        self._outgoing: asyncio.Queue[relay_pb2.ProxyMessage] | None = None
        self._call: Any = None
        self.media_addresses: tuple[str, ...] = ()
        """Addresses of the media proxy, as the last slot named them."""
        self._granted: deque[Allocation] = deque()  # ends with the stream
        self._untold: set[str] = set()  # sessions that have changed
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

    def open(self, session_id: str, media: str, receiver: Receiver | None) -> Relay:
        """Ask for a relay; without a receiver, for one that is moved later. Its futures raise RelayError."""
        relay = self._begin(secrets.token_hex(8))
        granted = self._granted.popleft() if self._granted else None
        self._send(self._book.open(relay.relay_id, session_id, media, receiver, granted))
        if granted is not None:
            relay.allocated.set_result(granted)
        return relay

    def move(self, relay_id: str, receiver: Receiver) -> asyncio.Future[None]:
        """Let an open relay lead elsewhere; done when it does. Raises RelayError, as the future does."""
        relay = self._begin(relay_id)
        try:
            self._send(self._book.move(relay_id, receiver))
        except KeyError:
            del self._opening[relay_id]
            raise RelayError(RelayFailure.REFUSED, "the relay was taken back") from None
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

    def keep_session(self, session: relay_pb2.Session) -> None:
        """Tell of a new or changed session, soon: what is told is how it is then."""
        self._book.keep_session(session)
        self._untold.add(session.session_id)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(REPORT_DELAY, self._tell)

    def end_session(self, session_id: str, reason: str) -> None:
        """Tell that a session is over."""
        self._untold.discard(session_id)
        self._send(self._book.end_session(session_id, reason))

    def _tell(self) -> None:
        self._telling = None
        untold, self._untold = self._untold, set()
        for message in self._book.sessions(untold):
            self._send(message)

    async def drain(self) -> None:
        """Wait until what was said has been sent, if the control plane takes it within DRAIN_TIMEOUT."""
        if self._outgoing is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    await self._outgoing.join()

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
        outgoing: asyncio.Queue[relay_pb2.ProxyMessage] = asyncio.Queue(MAX_QUEUED)
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

    async def _requests(self, outgoing: asyncio.Queue[relay_pb2.ProxyMessage]) -> AsyncIterator[relay_pb2.ProxyMessage]:
        """First all that is held, as it stands at this moment; then whatever changes from it on."""
        held = [self._book.state(), *self._book.unanswered()]
        self._outgoing = outgoing
        for message in held:
            yield message
        while True:
            yield await outgoing.get()
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
            case Failed(relay_id=relay_id, error=error):
                self._failed(relay_id, error)
            case SessionEndAsked(session_id=session_id, reason=reason):
                self._on_end_session(session_id, reason)

    def _failed(self, relay_id: str, error: RelayError) -> None:
        relay = self._opening.pop(relay_id, None)
        if relay is None:
            self._on_relay_lost(relay_id, str(error))
            return
        _fail(relay, error)

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


def _fail(relay: Relay, error: RelayError) -> None:
    """Whoever still waits for the relay hears of it."""
    for future in (relay.allocated, relay.ready):
        if not future.done():
            future.set_exception(error)
