"""An xDS server of one's own resources: the library's front door.

The control plane of the mesh has services of its own beside xDS and does without this; whoever wants an xDS server in
Python starts here. docs/xds.md shows how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import grpc

from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.status_discovery import StatusDiscovery
from xds_server.subscription import ConnectedProxy, Node, StreamObserver


def by_id(node: Node) -> str:
    """Every node has resources of its own."""
    return node.id


class XdsServer:
    """Serves resources to nodes, by all discovery services, and says how far they are (`proxies`, and by CSDS).

    listen: host:port (port 0: any; `port` says which, once `listening` is set).
    key: a pure function of the node; nodes with one key share one set of resources. A key that has none is refused.
    observer: is told what nodes connect, acknowledge and refuse.
    proxies: the open streams, by id; `statuses()` of each has every resource.
    credentials: TLS of the server; None: none.
    """

    def __init__(
        self,
        listen: str,
        *,
        key: Callable[[Node], str] = by_id,
        observer: StreamObserver | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.port = 0
        self.listening = asyncio.Event()
        self._listen = listen
        self._credentials = credentials
        self.proxies: dict[str, ConnectedProxy] = {}
        self._caches: dict[str, ResourceCache] = {}
        self._key = key
        self._observer = observer
        self._discovery = DiscoveryService(self._cache_of, self)

    def resources(self, key: str) -> ResourceCache:
        """What nodes of this key are served; empty at first. Update it at any time, from the event loop's thread."""
        return self._caches.setdefault(key, ResourceCache())

    async def run(self) -> None:
        """Serve until cancelled. Raises OSError when the address cannot be had."""
        server = grpc.aio.server(options=[*SERVER_OPTIONS, ("grpc.so_reuseport", 0)])
        self._discovery.add_to(server)
        StatusDiscovery(self.proxies.values, self._cache_of).add_to(server)
        self.port = bind(server, self._listen, self._credentials)
        await server.start()
        self.listening.set()
        try:
            await server.wait_for_termination()
        finally:
            self._discovery.close()
            await server.stop(None)

    # StreamObserver

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        """A stream has said who it is."""
        self.proxies[proxy.id] = proxy
        if self._observer is not None:
            self._observer.proxy_connected(proxy)

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        """The stream is gone."""
        self.proxies.pop(proxy.id, None)
        if self._observer is not None:
            self._observer.proxy_disconnected(proxy)

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        """The proxy now has these versions."""
        if self._observer is not None:
            self._observer.resources_acknowledged(proxy, type_url, versions)

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        """The proxy refuses what these names hold."""
        if self._observer is not None:
            self._observer.resources_rejected(proxy, type_url, names, message)

    def _cache_of(self, node: Node) -> ResourceCache | None:
        return self._caches.get(self._key(node))


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
    """The port that the server got. Raises OSError when it cannot have it: gRPC itself raises whatever it likes."""
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        reason = "another program has this address, or it is none of this machine: choose another"
        raise OSError(f"cannot listen at {address}: {reason}") from error
