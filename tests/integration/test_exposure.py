"""Nothing is open that need not be: what a mesh that was told nothing listens on."""

from __future__ import annotations

import subprocess

import pytest

from tests.peers.mesh import MSM, fetch
from tests.peers.namespaces import network
from tests.peers.process import START_SECONDS, Process, wait_until

pytestmark = pytest.mark.integration

API = "127.0.0.1:8080"
DEFAULT_TCP_PORTS = {8554, 8080, 18000}
DEFAULT_MEDIA_PORTS = range(20000, 24000)


def test_mesh_with_default_options_listens_on_loopback_only() -> None:
    """On a host of its own, so that every socket there is the mesh's, and the default ports are free."""
    with network("alone") as net:
        inside = net["alone"].command([])
        with Process([*inside, MSM, "up", "--route", "/x=rtsp://127.0.0.1:1/"]) as up:
            up.wait_for_line("REST API listens")
            wait_until(lambda: fetch(API, "GET", "/readyz", prefix=inside)[0] == 200, START_SECONDS, "readiness")
            listing = subprocess.run(
                [*inside, "ss", "-Hanltu"], check=True, capture_output=True, text=True, timeout=10
            ).stdout
    bound = {(line.split()[0], *line.split()[4].rsplit(":", 1)) for line in listing.splitlines()}
    assert {unmapped(address) for _, address, _ in bound} == {"127.0.0.1"}
    assert {int(port) for kind, _, port in bound if kind == "tcp"} == DEFAULT_TCP_PORTS
    media = {int(port) for kind, _, port in bound if kind == "udp"}
    assert media
    assert media <= set(DEFAULT_MEDIA_PORTS)


def unmapped(address: str) -> str:
    """gRPC binds an IPv6 socket to the IPv4 address."""
    return address.strip("[]").removeprefix("::ffff:")
