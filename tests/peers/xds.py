"""Our discovery service for real clients: over one cache, and able to end, come back and cut its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

from tests.peers.envoy_messages import CLUSTER, LISTENER
from tests.peers.eventually import eventually
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resources import Resource
from xds_server.subscription import ConnectedProxy, ResourceStatus, SyncState

WAIT_SECONDS = 20.0


@dataclass(eq=False)
class Recorder:
    """An observer that remembers, and lets a test wait for what it wants to see.

    `proxies` are all streams that there were, `live` those that there are; `answers` counts what clients said.
    """

    proxies: list[ConnectedProxy] = field(default_factory=list)
    live: list[ConnectedProxy] = field(default_factory=list)
    acknowledged: dict[tuple[str, str], str | None] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    disconnected: int = 0
    answers: int = 0
    _waiting: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool], timeout: float = WAIT_SECONDS) -> None:
        """Wait until what was recorded makes `condition` true. Raises TimeoutError."""
        waiting = (condition, asyncio.Event())
        self._waiting.append(waiting)
        self._check()
        try:
            async with asyncio.timeout(timeout):
                await waiting[1].wait()
        finally:
            self._waiting.remove(waiting)

    def has(self, *resources: Resource) -> Callable[[], bool]:
        """Has a client acknowledged these?"""
        return lambda: all(self.acknowledged.get((r.type_url, r.name)) == r.version for r in resources)

    def statuses(self) -> list[ResourceStatus]:
        """What all streams that are open say of all resources."""
        return [status for proxy in self.live for status in proxy.statuses()]

    def behind(self) -> list[ResourceStatus]:
        """What clients still have to take."""
        done = (SyncState.SYNCED, SyncState.REJECTED)
        return [status for status in self.statuses() if status.state not in done]

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.proxies.append(proxy)
        self.live.append(proxy)
        self._check()

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        self.live.remove(proxy)
        self.disconnected += 1
        self._check()

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        self.acknowledged.update({(type_url, name): version for name, version in versions.items()})
        self.answers += 1
        self._check()

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        self.rejected.update(dict.fromkeys(names, message))
        self.answers += 1
        self._check()

    def _check(self) -> None:
        for condition, event in self._waiting:
            if condition():
                event.set()


@dataclass(eq=False)
class XdsServer:
    """Use it as an asynchronous context manager. `port` must be the caller's own for as long."""

    port: int
    cache: ResourceCache = field(default_factory=ResourceCache)
    recorder: Recorder = field(default_factory=Recorder)
    _service: DiscoveryService | None = None
    _server: Any = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serve the cache by a service that knows nothing of earlier ones."""
        self._service = DiscoveryService(lambda node: self.cache, self.recorder)
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._service.add_to(self._server)
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        await self._server.start()

    async def stop(self) -> None:
        """End all streams and stop listening; the cache stays."""
        if self._service is not None:
            self._service.close()
            await self._server.stop(None)
            self._service = None

    def cut(self) -> None:
        """End all streams; clients may come back at once, to the same service."""
        assert self._service is not None
        self._service.close()

    async def settle(self, timeout: float = WAIT_SECONDS) -> None:
        """Wait until clients have asked for all that everybody gets, and have, or refuse, all that they should have."""

        async def settled() -> bool:
            return not self.not_asked_for() and not self.recorder.behind()

        await eventually(settled, timeout, "agreement of the clients")

    def not_asked_for(self) -> list[tuple[str, str]]:
        """Listeners and clusters, which everybody gets, that no client has asked for yet, as those who come back."""
        asked = {(status.type_url, status.name) for status in self.recorder.statuses()}
        wanted = {(kind, name) for kind in (CLUSTER, LISTENER) for name in self.cache.resources(kind)}
        return sorted(wanted - asked)
