"""A mesh in several files, control planes over it, and clients that remember what they have across servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from mesh.documents import compile_documents, load_documents
from tests.peers.eventually import eventually
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.media import MediaSettings
from xds_server.relays.slots import SlotLayout
from xds_server.resource_types import CLUSTER, RESOURCE_TYPES, ROUTE, ResourceType
from xds_server.scopes import RTSP_CLUSTER

SOURCE = "files"
_MESSAGES: dict[str, Any] = {CLUSTER.type_url: cluster_pb2.Cluster, ROUTE.type_url: route_pb2.RouteConfiguration}
PATIENCE = 30.0
"""Seconds for what takes a few at most."""
Files = Mapping[str, str]
"""Documents by the name of their file."""

_CAMERA = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: {name}}}
spec:
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /{name}}}}}]
    backendRefs: [{{kind: Backend, name: {name}, weight: 3}}, {{kind: Backend, name: spare}}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{endpoints: [{{name: b, address: {address}, port: 554}}, {{name: a, address: 192.0.2.2, port: 554}}]}}
"""
_SPARE = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: spare}
spec: {endpoints: [{name: only, address: 192.0.2.9, port: 554}]}
"""
_GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: media-streaming-mesh
  listeners: [{name: game, protocol: UDP, port: 7777}, {name: chat, protocol: TCP, port: 7778}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: UDPRoute
metadata: {name: game}
spec:
  parentRefs: [{name: edge, sectionName: game}]
  rules: [{backendRefs: [{kind: Backend, name: spare, weight: 3}, {kind: Backend, name: cam-1}]}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: edge, sectionName: chat}]
  rules: [{backendRefs: [{kind: Backend, name: cam-2}]}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {name: game}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: UDPRoute, name: game}]
  balancing: {algorithm: Maglev}
"""


def camera(name: str, address: str = "192.0.2.1") -> str:
    """A route to a backend of the same name."""
    return _CAMERA.format(name=name, address=address)


def mesh_files(cameras: int) -> dict[str, str]:
    """Cameras `cam-0`, `cam-1`, ..., each in a file, and a gateway."""
    files = {f"{number}.yaml": camera(f"cam-{number}") for number in range(cameras)}
    return {**files, "spare.yaml": _SPARE, "edge.yaml": _GATEWAY}


def new_plane(port: int = 0) -> ControlPlane:
    """A control plane that has not heard from its files yet, so that its caches are held."""
    media = MediaSettings(layout=SlotLayout(first_port=20000, last_port=20015), addresses=("127.0.0.1",))
    settings = ControlPlaneSettings(
        listen=f"127.0.0.1:{port}", media=media, settle_time=0.0, sources=frozenset({SOURCE})
    )
    return ControlPlane(settings)


def publish(plane: ControlPlane, files: Files) -> None:
    """The files are read anew, in the order given."""
    plane.set_slice(compile_documents(load_documents(list(files.items())), source=SOURCE))
    assert not plane.source_errors


def versions_of(plane: ControlPlane) -> list[dict[str, dict[str, str]]]:
    """The versions of all resources, by type and name: for RTSP proxies, gateways and the media proxy."""
    caches = (plane.routes, plane.caches.gateways, plane.media.cache)
    return [{type_url: dict(cache.versions(type_url)) for type_url in RESOURCE_TYPES} for cache in caches]


@asynccontextmanager
async def served(plane: ControlPlane) -> AsyncIterator[ControlPlane]:
    """Serve until left; all streams end then."""
    running = asyncio.create_task(plane.run())
    await plane.listening.wait()
    try:
        yield plane
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def heard(plane: ControlPlane, *, proxies: int, requests: int) -> None:
    """Wait until so many clients have made so many requests, all together."""

    async def all_heard() -> bool:
        streams = plane.proxies.values()
        return len(streams) == proxies and sum(each.traffic.requests for each in streams) == requests

    await eventually(all_heard, PATIENCE, "the clients' requests")


@asynccontextmanager
async def stubs(port: int, count: int) -> AsyncIterator[list[Any]]:
    """Aggregated discovery over so many connections."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(count)]
    try:
        yield [ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel) for channel in channels]
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


class Client(Protocol):
    """An RTSP proxy's xDS client. `told` is what every response since `connect` held: type URL and names."""

    told: list[tuple[str, tuple[str, ...]]]

    @property
    def types(self) -> int:
        """How many types it asks for."""

    async def connect(self, stub: Any) -> None:
        """Ask on a new stream, and say what there is from streams before."""

    async def follow(self, until: Callable[[], bool]) -> None:
        """Take and acknowledge responses until something holds."""

    async def ended(self) -> grpc.StatusCode:
        """How the stream ends."""


class DeltaClient:
    """See `Client`. Asks for some names of each type, or for "*"."""

    def __init__(self, node: str, names: Mapping[ResourceType, Iterable[str]]) -> None:
        self.node = base_pb2.Node(id=node, cluster=RTSP_CLUSTER)
        self.names = names
        self.has: dict[str, dict[str, str]] = {kind.type_url: {} for kind in names}
        self.told: list[tuple[str, tuple[str, ...]]] = []

    @property
    def types(self) -> int:
        return len(self.names)

    async def connect(self, stub: Any) -> None:
        self.told.clear()
        self.call = stub.DeltaAggregatedResources()
        for kind, names in self.names.items():
            request = discovery_pb2.DeltaDiscoveryRequest(
                node=self.node,
                type_url=kind.type_url,
                resource_names_subscribe=names,
                initial_resource_versions=self.has[kind.type_url],
            )
            await self.call.write(request)

    async def follow(self, until: Callable[[], bool]) -> None:
        while not until():
            response = await self.call.read()
            has = self.has[response.type_url]
            has.update((entry.name, entry.version) for entry in response.resources)
            for name in response.removed_resources:
                has.pop(name, None)
            names = (*(entry.name for entry in response.resources), *response.removed_resources)
            self.told.append((response.type_url, tuple(sorted(names))))
            await self.call.write(
                discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
            )

    async def ended(self) -> grpc.StatusCode:
        return await self.call.code()  # type: ignore[no-any-return]


class SotwClient:
    """See `Client`. Asks for everything of some types."""

    def __init__(self, node: str, kinds: Iterable[ResourceType]) -> None:
        self.node = base_pb2.Node(id=node, cluster=RTSP_CLUSTER)
        self.version = {kind.type_url: "" for kind in kinds}
        self.told: list[tuple[str, tuple[str, ...]]] = []

    @property
    def types(self) -> int:
        return len(self.version)

    async def connect(self, stub: Any) -> None:
        self.told.clear()
        self.call = stub.StreamAggregatedResources()
        for type_url in self.version:
            await self._ask(type_url, "")

    async def follow(self, until: Callable[[], bool]) -> None:
        while not until():
            response = await self.call.read()
            self.version[response.type_url] = response.version_info
            names = (_MESSAGES[response.type_url].FromString(each.value).name for each in response.resources)
            self.told.append((response.type_url, tuple(sorted(names))))
            await self._ask(response.type_url, response.nonce)

    async def ended(self) -> grpc.StatusCode:
        return await self.call.code()  # type: ignore[no-any-return]

    async def _ask(self, type_url: str, nonce: str) -> None:
        request = discovery_pb2.DiscoveryRequest(
            node=self.node,
            type_url=type_url,
            resource_names=["*"],
            version_info=self.version[type_url],
            response_nonce=nonce,
        )
        await self.call.write(request)
