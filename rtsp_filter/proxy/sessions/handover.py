"""Sessions that come from other proxies, and go to them, through the control plane.

A session comes because its proxy is gone, or because its client names it here. Its media has never stopped: what is
made here is what answers its client and keeps it alive at the camera, on a connection of its own. A session goes
without a word to either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from mesh.wire import relay_pb2
from rtsp_filter.proxy.cameras.attempts import connect
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.clients.gate import Owner
from rtsp_filter.proxy.limits import CLAIM_PAUSE, CLAIM_TIMEOUT, MAX_CLAIMS, MAX_CLAIMS_PER_CLIENT, ROUTES_TIMEOUT
from rtsp_filter.proxy.sessions.continuation import camera_session_of, decision_of, presentation_of
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import AbsentClient, Described, Host
from rtsp_filter.relays import Allocation
from rtsp_filter.routes.table import RouteTable
from rtsp_filter.rtsp import LowerTransport, Method, RTSPError, StatusCode

log = structlog.get_logger()


class HandoverHost(Host, Protocol):
    """The proxy that sessions come to."""

    @property
    def drains(self) -> bool:
        """Whether it is about to end."""

    async def routes(self) -> RouteTable:
        """The routes, once they are known."""

    def adopt(self, session: Session) -> None:
        """A session of another proxy lives here from now on, without a client's connection so far."""


class Handovers:
    """Of one proxy. Needs a running event loop, but to be made."""

    def __init__(self, proxy: HandoverHost) -> None:
        self._proxy = proxy
        self._arrivals: dict[str, asyncio.Task[None]] = {}
        self._claims: dict[str, asyncio.Future[None]] = {}
        self._asking = asyncio.Semaphore(MAX_CLAIMS)
        self._clients: dict[str, tuple[asyncio.Semaphore, set[object]]] = {}

    async def find(self, session_id: str, client_address: str) -> Session | None:
        """A session that a client at this address names, from another proxy if need be."""
        if session_id not in self._proxy.sessions and session_id not in self._arrivals:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLAIM_TIMEOUT):
                    await self._claim(session_id, client_address)
        arrival = self._arrivals.get(session_id)
        if arrival is not None:
            await asyncio.wait([arrival])
        return self._proxy.sessions.get(session_id)

    async def _claim(self, session_id: str, client_address: str) -> None:
        """Ask for a session until that is answered. Whoever asks for what is not there waits a little, and with him all
        others of his address but a few: who guesses does not get far."""
        async with self._turn(client_address):
            if session_id in self._proxy.sessions or session_id in self._arrivals:
                return
            async with self._asking:
                await self._asked(session_id, client_address)
            if session_id not in self._arrivals:
                await asyncio.sleep(CLAIM_PAUSE)

    async def _asked(self, session_id: str, client_address: str) -> None:
        answer = self._claims.get(session_id)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            if not self._proxy.relays.claim_session(session_id, client_address):
                return
            self._claims[session_id] = answer
        try:
            await asyncio.shield(answer)
        finally:
            self._claims.pop(session_id, None)

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncIterator[None]:
        """One of the few that may ask for one client address at once."""
        turns, users = self._clients.setdefault(address, (asyncio.Semaphore(MAX_CLAIMS_PER_CLIENT), set()))
        user = object()
        users.add(user)
        try:
            async with turns:
                yield
        finally:
            users.discard(user)
            if not users:
                del self._clients[address]

    # The control plane (SessionObserver)

    def on_session_handed(self, session: relay_pb2.Session, allocations: Mapping[str, Allocation]) -> None:
        """This proxy goes on with a session, whose relays have these ports."""
        session_id = session.session_id
        if self._proxy.drains:  # which the control plane did not know yet
            self._proxy.relays.leave_session(session_id)
            self._answer(session_id)
            return
        arrival = asyncio.create_task(self._arrive(session, allocations), name=f"arrival of {session_id}")
        self._arrivals[session_id] = arrival
        arrival.add_done_callback(lambda _: self._arrived(session_id, arrival))
        self._answer(session_id)

    def _arrived(self, session_id: str, arrival: asyncio.Task[None]) -> None:
        if self._arrivals.get(session_id) is arrival:  # and it was not to leave and come again meanwhile
            del self._arrivals[session_id]

    def on_leave_asked(self, session_id: str) -> None:
        """Another proxy goes on with a session."""
        arrival, session = self._arrivals.get(session_id), self._proxy.sessions.get(session_id)
        if session is not None:
            session.leave("another RTSP proxy goes on with it", close_client=False)
        elif arrival is not None:
            arrival.cancel()
            self._proxy.relays.leave_session(session_id)

    def end_asked(self, session_id: str, end: Callable[[], None]) -> None:
        """An operator ends a session that may be on its way here: `end` is called once it has come, or has not."""
        arrival = self._arrivals.get(session_id)
        if arrival is not None:
            arrival.add_done_callback(lambda _: end())

    def on_claim_refused(self, session_id: str) -> None:
        """A session that was claimed is not to be had."""
        self._answer(session_id)

    def _answer(self, session_id: str) -> None:
        answer = self._claims.get(session_id)
        if answer is not None and not answer.done():
            answer.set_result(None)

    async def _arrive(self, told: relay_pb2.Session, allocations: Mapping[str, Allocation]) -> None:
        try:
            async with asyncio.timeout(ROUTES_TIMEOUT):
                decision = (await self._proxy.routes()).resumed(decision_of(told))
            owner = (
                Owner(users=self._proxy.users(decision.users), name=told.continuation.user) if decision.users else None
            )
            described = await connect(self._proxy, decision, presentation_of(told))
        except (RTSPError, TimeoutError) as error:
            reason = str(error) or "the routes are not known"
            log.warning("a session cannot be gone on with", session=told.session_id, url=told.url, reason=reason)
            self._proxy.relays.close(allocations, sender_stopped=False)
            self._proxy.relays.end_session(told.session_id, reason)
            return
        self._go_on(told, described, allocations, owner)

    def _go_on(
        self,
        told: relay_pb2.Session,
        described: Described,
        allocations: Mapping[str, Allocation],
        owner: Owner | None,
    ) -> None:
        camera = told.continuation.camera
        described.upstream.resume(camera_session_of(told), public=camera.methods, version=camera.version)
        session = Session(
            self._proxy, described, AbsentClient(told.client_address), LowerTransport.UDP, session_id=told.session_id
        )
        described.session = session
        session.owner = owner
        self._proxy.adopt(session)
        try:
            session.resume(told, allocations)
        except RTSPError as error:
            self._proxy.session_over(session, f"it cannot be gone on with: {error}")
            return
        log.info("a session goes on here", **session.identity)
        self._proxy.keep(self._look(session), f"look at {session.id}")

    async def _look(self, session: Session) -> None:
        """Whether the camera has the session still: some end it with the connection. OPTIONS would not tell."""
        upstream, url = session.source.upstream, session.source.presentation.upstream_aggregate
        try:
            answer = await upstream.request(Method.GET_PARAMETER, url)
        except UpstreamError as error:
            reason = str(error)
        else:
            reason = "the camera has forgotten the session" if answer.status == StatusCode.SESSION_NOT_FOUND else ""
        if reason and session.source.upstream is upstream:
            session.camera_failed(reason)
