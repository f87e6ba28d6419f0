"""RTSP over HTTP behind a load balancer that leads the two connections of a tunnel to different RTSP proxies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.balancer import Balancer
from tests.peers.cameras import MsmCamera
from tests.peers.certificates import Certificate, make_certificate, trusting_context
from tests.peers.clip import bundled_clip
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Tunnel, play
from tests.peers.ports import reserve_ports
from tests.peers.process import Process
from tests.peers.rtsp_wire import eventually
from tests.peers.tunnel_wire import Half, Place, answered

pytestmark = pytest.mark.integration

FRAMES = 50
SESSION_END_SECONDS = 5.0
# A half that is alone is let go after ten.
ALONE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """A mesh with two RTSP proxies, each with its addresses for RTSP and RTSPS, an Envoy and a camera at /lobby."""

    mesh: Mesh
    control_plane: Process
    proxies: tuple[Process, Process]
    plain: tuple[str, str]
    secure: tuple[str, str]
    start: Callable[[int], Process]

    def place(self, number: int, *, tls: bool = False) -> Place:
        """Where tunnels come to one of the proxies."""
        port = int((self.secure if tls else self.plain)[number].rpartition(":")[2])
        return Place(port=port, tls=trusting_context() if tls else None)


@contextmanager
def replicas(folder: Path) -> Iterator[Replicas]:
    certificates = [make_certificate(folder, name) for name in ("first", "second")]
    with ExitStack() as stack:
        camera, mesh = stack.enter_context(MsmCamera()), stack.enter_context(Mesh())
        ports = stack.enter_context(reserve_ports(4))
        control_plane = mesh.serve("--route", f"/lobby={camera.url}")
        mesh.envoy()
        plain = f"127.0.0.1:{ports.first}", f"127.0.0.1:{ports.first + 1}"
        secure = f"127.0.0.1:{ports.first + 2}", f"127.0.0.1:{ports.first + 3}"

        def start(number: int) -> Process:
            return start_proxy(mesh, plain[number], secure[number], certificates[number])

        proxies = start(0), start(1)
        mesh.wait_ready(control_plane)
        yield Replicas(mesh=mesh, control_plane=control_plane, proxies=proxies, plain=plain, secure=secure, start=start)


def start_proxy(mesh: Mesh, plain: str, secure: str, certificate: Certificate) -> Process:
    proxy = mesh.start(
        *("proxy", "--rtsp", plain, "--xds", mesh.xds, "--rtsp-node", certificate.name, "--log-level", "debug"),
        *("--rtsps", secure, "--rtsps-certificate", str(certificate.chain), "--rtsps-key", str(certificate.key)),
    )
    proxy.wait_for_line("connected to the control plane")
    return proxy


@asynccontextmanager
async def two_replicas(folder: Path) -> AsyncIterator[Replicas]:
    """The same, for tests whose peers run on the event loop."""
    made = replicas(folder)
    world = await asyncio.to_thread(made.__enter__)
    try:
        yield world
    finally:
        await asyncio.to_thread(made.__exit__, None, None, None)


async def split(world: Replicas, cookie: str, *, tls: bool = False) -> tuple[Half, Half]:
    """A tunnel that answers, with its GET at the first proxy and its POST at the second."""
    get = await world.place(0, tls=tls).get(cookie)
    post = await world.place(1, tls=tls).post(cookie)
    await answered(get, post, 1, encoded=True)
    return get, post


@pytest.mark.parametrize("tunnel", Tunnel)
@pytest.mark.parametrize("player", [Player.FFMPEG, Player.GSTREAMER])
async def test_player_whose_connections_reach_different_proxies_decodes_every_frame(
    player: Player, tunnel: Tunnel, tmp_path: Path
) -> None:
    clip = bundled_clip()
    async with two_replicas(tmp_path) as world:
        servers = world.plain if tunnel is Tunnel.HTTP else world.secure
        async with Balancer(servers, turns=True) as balancer:
            url = f"rtsp://127.0.0.1:{balancer.port}/lobby"
            played = await asyncio.to_thread(play, player, url, tunnel, frames=FRAMES)
            assert balancer.connections == 2
        await eventually(lambda: world.mesh.items("/v1/sessions") == [], "the end of the session", SESSION_END_SECONDS)
        assert "a tunnel is open" in world.proxies[0].output
        assert "a tunnel's POST is passed on" in world.proxies[1].output
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_the_end_of_one_half_or_of_its_proxy_ends_the_other(tls: bool, tmp_path: Path) -> None:
    """The proxies are killed in turn, and their places taken by new ones, of whom everything is known again."""
    async with two_replicas(tmp_path) as world:
        get, post = await split(world, "c1", tls=tls)
        await get.close()
        assert await post.rest() == b""
        await post.close()

        get, post = await split(world, "c2", tls=tls)
        bystander = [await world.place(1, tls=tls).get("c3"), await world.place(1, tls=tls).post("c3")]
        world.proxies[0].kill()
        assert await get.rest() == b""
        assert await post.rest() == b""
        await answered(*bystander, 1, encoded=True)
        for half in (get, post, *bystander):
            await half.close()

        again = await asyncio.to_thread(world.start, 0)
        get, post = await split(world, "c4", tls=tls)
        world.proxies[1].kill()
        assert await post.rest() == b""
        other = await world.place(0, tls=tls).post("c4")
        await answered(get, other, 2, encoded=True)
        for half in (get, post, other):
            await half.close()
        assert "c4" not in again.output


async def test_a_tunnel_of_two_proxies_outlives_the_control_plane(tmp_path: Path) -> None:
    """New ones wait in vain while it is away, as they do for a half that never comes."""
    async with two_replicas(tmp_path) as world:
        get, post = await split(world, "c1")
        await asyncio.to_thread(world.control_plane.stop)
        await answered(get, post, 2, encoded=True)
        lone = await world.place(0).get("c2"), await world.place(1).post("c2")
        async with asyncio.timeout(ALONE_SECONDS):
            await lone[1].reader.read()
            await lone[0].reader.read()
        await eventually(lambda: "got no other half" in world.proxies[1].output, "the reason in the log")
        await answered(get, post, 3, encoded=True)
        for half in (get, post, *lone):
            await half.close()
