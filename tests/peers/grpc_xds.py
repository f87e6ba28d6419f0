"""gRPC's own xDS client, which is not Envoy: a program with an `xds:` target, backends, and the resources for both.

Source: https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from tests.peers.envoy_messages import assignment, eds_cluster, route
from tests.peers.process import START_SECONDS, Process

METHOD = "/test.Echo/Say"
_ROOT = Path(__file__).parents[2]


class GrpcBackend:
    """A gRPC server that answers with its name. Runs until left."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._server = grpc.server(ThreadPoolExecutor(2))
        service, method = METHOD.strip("/").split("/")
        say = grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode())
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: say}),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class GrpcCaller:
    """Calls a service by xDS, again and again, in a process of its own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def outcomes(self) -> list[str]:
        """Of all calls so far: "answer NAME" or "error CODE REASON"."""
        return [line for line in self._process.lines if line.startswith(("answer ", "error "))]

    def wait_for(self, pattern: str) -> str:
        """Wait for the outcome of a call that begins from now on."""
        begun = len(self._process.lines) + 1
        return self._process.wait_for_line(f"^{pattern}", START_SECONDS, start=begun).string


@contextmanager
def grpc_caller(service: str, xds_port: int, features: Sequence[str] = ()) -> Iterator[GrpcCaller]:
    """A program that calls `service`, which the xDS server at `xds_port` knows."""
    server = {
        "server_uri": f"127.0.0.1:{xds_port}",
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3", *features],
    }
    bootstrap = {"xds_servers": [server], "node": {"id": "grpc-1", "cluster": "test"}}
    argv = [sys.executable, "-m", "tests.peers.grpc_caller", f"xds:///{service}"]
    with Process(argv, env={"GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap)}, cwd=_ROOT) as process:
        yield GrpcCaller(process)


def service_messages(service: str, source: Any, *backends: GrpcBackend, cluster: str = "") -> list[Any]:
    """What a gRPC client asks for to call `service`: listener, routes, cluster and endpoints."""
    cluster = cluster or service
    return [
        api_listener(service, source),
        route(service, cluster),
        eds_cluster(cluster, source),
        endpoints(cluster, *backends),
    ]


def api_listener(service: str, source: Any) -> Any:
    """A listener without a socket, whose routes have its name."""
    manager = hcm.HttpConnectionManager()
    manager.rds.route_config_name = service
    manager.rds.config_source.CopyFrom(source)
    manager.http_filters.add(name="router").typed_config.Pack(router_pb2.Router())
    message = listener_pb2.Listener(name=service)
    message.api_listener.api_listener.Pack(manager)
    return message


def endpoints(cluster: str, *backends: GrpcBackend) -> Any:
    """gRPC ignores localities without a weight, and wants each only once."""
    message = assignment(cluster, *(backend.port for backend in backends), udp=False)
    for number, group in enumerate(message.endpoints):
        group.locality.zone = f"zone-{number}"
        group.load_balancing_weight.value = 1
    return message
