"""A mesh whose parts are processes of their own, so that the RTSP proxy's processor time and memory are its alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from tests.bench.client import Client
from tests.peers.mesh import WORKERS, Mesh, children
from tests.peers.process import START_SECONDS, wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Process ids, and the URL at which the mesh shows the camera that it was started with."""

    url: str
    mesh: Mesh
    control: int
    proxy: int
    envoy: int


@contextmanager
def mesh_in_parts(camera_url: str, *, slots: int) -> Iterator[Parts]:
    """`msm serve`, `msm envoy` and `msm proxy` in front of one camera, with room for `slots` tracks; ready."""
    with Mesh(slots=slots) as mesh:
        # They start together, and wait for each other.
        supervisor = mesh.start("envoy", "--xds", mesh.xds, *WORKERS)
        proxy = mesh.start("proxy", "--rtsp", mesh.rtsp, "--xds", mesh.xds)
        control = mesh.serve("--route", f"/bench={camera_url}")
        proxy.wait_for_line("RTSP proxy listens")
        control.wait_until(mesh.ready, START_SECONDS, "the mesh was ready")
        wait_until(lambda: _plays(mesh.url("/bench")), START_SECONDS, "a session through the mesh")
        (envoy,) = children(supervisor, "envoy")
        yield Parts(url=mesh.url("/bench"), mesh=mesh, control=control.pid, proxy=proxy.pid, envoy=envoy)


def _plays(url: str) -> bool:
    """Whether the RTSP proxy, which the API's readiness knows nothing of, has its routes and slots."""
    with Client(url, PlayTransport.UDP) as client:
        try:
            client.play()
        except RuntimeError:
            return False
        client.teardown()
    return True
