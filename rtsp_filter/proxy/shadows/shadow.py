"""Sessions of the proxy's own, whose media nobody watches: it is received, measured and thrown away.

A shadow is what a mirror makes of a player's session, or a look at how an endpoint does. It is a client of the camera
like any other, and whatever becomes of it is nobody else's affair: no player waits for it or ends with it.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import structlog

from rtsp_filter.player.errors import SessionFailedError
from rtsp_filter.player.negotiation import Presentation as Offer
from rtsp_filter.player.negotiation import require_ok
from rtsp_filter.proxy.cameras.attempts import Router, connect_anew
from rtsp_filter.proxy.cameras.redirects import followed
from rtsp_filter.proxy.limits import MAX_SHADOWS, TEARDOWN_TIMEOUT
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.proxy.shadows.shadow_core import Quality, measured
from rtsp_filter.proxy.shadows.shadow_samples import ShadowSamples
from rtsp_filter.proxy.shadows.shadow_tracks import ShadowTracks
from rtsp_filter.routes.table import Decision
from rtsp_filter.rtsp import Method, Request, Response, RTSPError, TransportSpec

SAMPLE_INTERVAL = 1.0
"""Seconds between two looks at what has come: as often as the control plane is told."""

log = structlog.get_logger()


class Shadows:
    """All of a proxy. Needs a running event loop, but to be made."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._running: set[Shadow] = set()

    def start(self, decision: Decision, client_url: str) -> Shadow | None:
        """A session of its own with the endpoint of `decision`, until its `close`; None: there are MAX_SHADOWS.

        `client_url` is what a player asks for to get the same; it is for the log.
        """
        if len(self._running) >= MAX_SHADOWS:
            return None
        shadow = Shadow(self._router, decision, client_url)
        self._running.add(shadow)
        shadow.task.add_done_callback(lambda _: self._running.discard(shadow))
        return shadow

    async def end_all(self) -> None:
        """End them in order: cameras are told."""
        for shadow in self._running:
            shadow.close()
        if self._running:
            await asyncio.wait([shadow.task for shadow in self._running], timeout=TEARDOWN_TIMEOUT + 1)


class Shadow:
    """One of them. `close` it when it is of no use any more."""

    def __init__(self, router: Router, decision: Decision, client_url: str) -> None:
        self.decision = decision
        self._id = secrets.token_hex(8)
        self._router = router
        self._client_url = client_url
        self._source: Described | None = None
        self._tracks: ShadowTracks | None = None
        self._setup_failed: str | None = None
        self._playing_since: float | None = None
        self._closed_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self._camera_gone: asyncio.Future[str] = self._loop.create_future()
        self._samples = ShadowSamples(router.endpoints.tally(decision))
        self._sampling: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run(), name=f"shadow {self._id}")

    def quality(self, now: float) -> Quality:
        """What was found out until `now`, the loop's time; of one that is closed, until then."""
        if self._tracks is None or self._playing_since is None:
            return Quality(setup_failed=self._setup_failed)
        at = now if self._closed_at is None else self._closed_at
        return measured(self._tracks.receivers, playing_since=self._playing_since, now=at)

    def close(self) -> None:
        """End the session; more than once does no harm."""
        if self._closed_at is None:
            self._closed_at = self._loop.time()
            self.task.cancel()

    async def _run(self) -> None:
        endpoints = self._router.endpoints
        try:
            endpoints.admit(self.decision)
            endpoints.session_began(self._id, self.decision)
            await self._play()
            reason = await self._camera_gone
            log.warning("a shadow session has lost its camera", **self._identity, reason=reason)
        except (RTSPError, SessionFailedError, OSError, UnicodeError) as error:
            self._setup_failed = str(error)
            log.warning("a shadow session could not be set up", **self._identity, reason=str(error))
        finally:
            await self._end()

    async def _play(self) -> None:
        """From a connection to PLAY. Raises RTSPError, SessionFailedError, OSError, UnicodeError."""
        source, offer = await self._describe()
        upstream = source.upstream
        source.presentation = replace(source.presentation, upstream_aggregate=offer.aggregate_url)
        upstream.on_closed = self._lost
        upstream.keepalive_url = offer.aggregate_url
        self._tracks = ShadowTracks(upstream, self.decision.upstream.transport)
        await self._tracks.set_up(offer, self._ask_setup)
        play = Request(method=Method.PLAY, url=offer.aggregate_url)
        require_ok(play, await upstream.request(play.method, play.url, headers=[("Range", "npt=0.000-")]))
        self._playing_since = self._loop.time()
        log.info("a shadow session plays", **self._identity)
        self._sample()

    def _sample(self) -> None:
        self._samples.take(self.quality(self._loop.time()))
        self._sampling = self._loop.call_later(SAMPLE_INTERVAL, self._sample)

    async def _describe(self) -> tuple[Described, Offer]:
        """An open connection to the camera, and what it has to offer."""

        async def ask(described: Described) -> Response:
            self._source = described
            return await described.upstream.request(
                Method.DESCRIBE, described.presentation.upstream_url, headers=[("Accept", "application/sdp")]
            )

        self._source = described = await connect_anew(self._router, self.decision, self._client_url)
        with self._router.endpoints.attempt(self.decision) as attempt:
            described, response = await followed(described, await ask(described), ask)
            attempt.answered(response.status)
        request = Request(method=Method.DESCRIBE, url=described.presentation.upstream_url)
        require_ok(request, response)
        return described, Offer.of(request, response)

    async def _ask_setup(self, url: str, wanted: TransportSpec) -> Response:
        assert self._source is not None
        with self._router.endpoints.attempt(self.decision) as attempt:
            response = await self._source.upstream.request(Method.SETUP, url, headers=[("Transport", wanted.encode())])
            attempt.answered(response.status)
        return response

    def _lost(self, reason: str) -> None:
        if not self._camera_gone.done():
            self._camera_gone.set_result(reason)

    async def _end(self) -> None:
        """Give back everything. Takes TEARDOWN_TIMEOUT at most."""
        try:
            if self._source is not None:
                await self._source.stop()
        finally:
            if self._source is not None:
                self._source.upstream.close()
            if self._tracks is not None:
                self._tracks.close()
            self._router.endpoints.session_ended(self._id)
            if self._sampling is not None:
                self._sampling.cancel()
                self._samples.take(self.quality(self._loop.time()))
            self._log_quality()

    def _log_quality(self) -> None:
        if self._playing_since is None:
            return
        quality = self.quality(self._loop.time())
        log.info(
            "a shadow session ended",
            **self._identity,
            packets=quality.packets,
            lost=round(quality.lost, 6),
            jitter_ms=round(quality.jitter * 1000, 3),
            silent_seconds=round(quality.silent_seconds, 1),
        )

    @property
    def _identity(self) -> dict[str, str]:
        """What a log line says of the session."""
        return {
            "shadow": self._id,
            "url": self._client_url,
            "route": self.decision.route,
            "backend": self.decision.cluster,
            "endpoint": self.decision.upstream.name,
            "camera": f"{self.decision.upstream.address}:{self.decision.upstream.port}",
        }
