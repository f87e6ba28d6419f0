"""Sessions outlive their proxy: what was its business is another proxy's, and media over UDP flows on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import SIGCONT, SIGINT, SIGSTOP, SIGTERM, Signals

import pytest

from rtsp_filter.rtsp import RTSPURL, LowerTransport
from tests.peers.marked_camera import FilmedSession, MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, receivers
from tests.peers.ports import reserve_ports
from tests.peers.process import Process
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

PACKETS = 15
# A proxy that lost its stream has three seconds to come back; then others go on with its sessions.
HANDED_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoProxies:
    """A mesh with two RTSP proxies, a camera whose sessions outlive connections, and Envoy."""

    mesh: Mesh
    camera: MarkedCamera
    envoy: Process
    first: Process
    second: Process
    other: str

    def player(self, name: str) -> MarkedPlayer:
        """One of the first proxy."""
        return MarkedPlayer(self.mesh.url(f"/live/{name}"))

    async def come_to_the_other(self, player: MarkedPlayer) -> None:
        """The player's next connection leads to the second proxy."""
        await player.come_back(f"rtsp://{self.other}/")

    def owners(self) -> dict[str, str]:
        """The proxy of each session, by the session's URL."""
        return {item["url"]: item["proxy"] for item in self.mesh.items("/v1/sessions")}

    def filmed(self, player: MarkedPlayer) -> FilmedSession:
        return self.camera.session(player.name)


@asynccontextmanager
async def two_proxies(*options: str, lasting: bool = True) -> AsyncIterator[TwoProxies]:
    async with MarkedCamera(rate=20, lasting=lasting) as camera:
        with Mesh() as mesh, reserve_ports(1) as ports:
            try:
                yield await asyncio.to_thread(start, mesh, camera, f"127.0.0.1:{ports.first}", options)
            finally:
                await asyncio.to_thread(mesh.close)


def start(mesh: Mesh, camera: MarkedCamera, other: str, options: tuple[str, ...]) -> TwoProxies:
    control_plane = mesh.serve("--route", f"/live={camera.url}/")
    envoy, first = mesh.envoy(), mesh.proxy("--rtsp-node", "first", *options)
    mesh.wait_ready(control_plane)
    second = mesh.start("proxy", "--rtsp", other, "--xds", mesh.xds, "--rtsp-node", "second", *options)
    second.wait_for_line("connected to the control plane")
    return TwoProxies(mesh=mesh, camera=camera, envoy=envoy, first=first, second=second, other=other)


async def hear_on(player: MarkedPlayer, packets: int = PACKETS) -> None:
    """Wait until every track has so many packets more."""
    goal = min(len(track.arrivals) for track in player.tracks.values()) + packets
    await eventually(lambda: player.heard(goal), f"{packets} packets more")


async def assert_nothing_is_left(world: TwoProxies) -> None:
    await eventually(lambda: world.mesh.items("/v1/sessions") == [], "the end of all sessions")
    await eventually(lambda: world.mesh.items("/v1/relays") == [], "the end of all relays")
    await eventually(lambda: receivers(world.envoy) == {}, "the end of all receivers")
    assert all(session.over for session in world.camera.all_sessions)


async def assert_every_packet_arrives(player: MarkedPlayer, filmed: FilmedSession) -> None:
    """It still hears; then the camera pauses, so that what it sent and what arrived can be compared to the last
    packet."""
    await hear_on(player)
    assert (await player.ask("PAUSE")).status == 200
    await eventually(lambda: player.received == sum(track.sent for track in filmed.tracks.values()), "all packets", 2)
    for number, track in filmed.tracks.items():
        assert player.tracks[number].numbers == list(range(track.sent))
    assert player.foreign == []


async def playing(world: TwoProxies, name: str = "one") -> MarkedPlayer:
    """A player of the first proxy that hears something."""
    player = world.player(name)
    await player.__aenter__()
    await hear_on(player)
    return player


async def stopped(world: TwoProxies, player: MarkedPlayer) -> None:
    """TEARDOWN reaches the camera, and nothing is left."""
    filmed = world.filmed(player)
    await player.stop()
    assert filmed.torn_down
    await assert_nothing_is_left(world)


async def handed_to(world: TwoProxies, player: MarkedPlayer, proxy: str) -> None:
    await eventually(lambda: world.owners() == {player.url: proxy}, f"{proxy} goes on", HANDED_SECONDS)


async def test_player_of_a_killed_proxy_goes_on_at_another_one_and_loses_no_packet() -> None:
    """It comes back before the control plane has given up its proxy: keep-alive and TEARDOWN work at once."""
    async with two_proxies() as world:
        player = await playing(world)
        world.first.kill()
        await world.come_to_the_other(player)
        assert (await player.ask("GET_PARAMETER")).status == 200
        assert world.owners() == {player.url: "second"}
        filmed = world.filmed(player)
        await eventually(lambda: ("GET_PARAMETER", filmed.id) in world.camera.asked, "a sign of life at the camera")
        await assert_every_packet_arrives(player, filmed)
        await stopped(world, player)


async def test_session_of_a_killed_proxy_is_kept_alive_by_another_one_before_its_player_asks_for_anything() -> None:
    async with two_proxies() as world:
        player = await playing(world)
        filmed = world.filmed(player)
        world.first.kill()
        await handed_to(world, player, "second")
        await eventually(lambda: ("GET_PARAMETER", filmed.id) in world.camera.asked, "a sign of life at the camera")
        await hear_on(player)
        await world.come_to_the_other(player)
        await assert_every_packet_arrives(player, filmed)
        await stopped(world, player)


async def test_session_of_the_only_proxy_waits_for_it_to_be_started_again() -> None:
    async with two_proxies() as world:
        player = await playing(world)
        world.second.stop()
        world.first.kill()
        await eventually(lambda: world.owners() == {player.url: ""}, "nobody goes on", HANDED_SECONDS)
        await hear_on(player)
        await asyncio.to_thread(world.mesh.proxy, "--rtsp-node", "first")
        await handed_to(world, player, "first")
        await player.come_back()
        await assert_every_packet_arrives(player, world.filmed(player))
        await stopped(world, player)


async def test_proxy_that_is_started_again_at_once_gets_its_sessions_back() -> None:
    """Nobody waits: a new process under the old name is the end of the old one."""
    async with two_proxies() as world:
        player = await playing(world)
        world.second.stop()
        world.first.kill()
        await asyncio.to_thread(world.mesh.proxy, "--rtsp-node", "first")
        await player.come_back()
        assert (await player.ask("GET_PARAMETER")).status == 200
        await assert_every_packet_arrives(player, world.filmed(player))
        await stopped(world, player)


async def test_session_follows_its_player_from_one_living_proxy_to_the_other_and_back() -> None:
    """As a load balancer may send each of its connections elsewhere; the camera hears of no TEARDOWN."""
    async with two_proxies() as world:
        player = await playing(world)
        before = player.wire
        await world.come_to_the_other(player)
        assert (await player.ask("GET_PARAMETER")).status == 200
        assert world.owners() == {player.url: "second"}
        after, player.wire = player.wire, before
        assert (await player.ask("GET_PARAMETER")).status == 200
        assert world.owners() == {player.url: "first"}
        await after.close()
        filmed = world.filmed(player)
        assert not filmed.over
        await assert_every_packet_arrives(player, filmed)
        await stopped(world, player)


async def test_camera_that_ends_its_sessions_with_their_connections_is_asked_for_the_stream_again() -> None:
    """The player hears it on the ports that it has, from the same ports as before."""
    async with two_proxies(lasting=False) as world:
        player = await playing(world)
        world.first.kill()
        await handed_to(world, player, "second")
        await eventually(lambda: len(world.camera.sessions[player.name]) > 1, "another session at the camera")
        before = player.received
        await eventually(lambda: player.received > before + PACKETS, "media again")
        assert player.foreign == []
        assert world.owners() == {player.url: "second"}
        await world.come_to_the_other(player)
        await stopped(world, player)


async def test_nobody_else_gets_a_session_by_its_id() -> None:
    async with two_proxies() as world:
        player = await playing(world)
        url = RTSPURL.parse(f"rtsp://{world.other}/")
        stranger = await RTSPWire.open(url.connect_host, url.effective_port, local="127.0.0.2")
        for method in ("GET_PARAMETER", "TEARDOWN"):
            assert (await stranger.ask(method, player.url, ("Session", player.session))).status == 454
        await stranger.close()
        assert world.owners() == {player.url: "first"}
        await assert_every_packet_arrives(player, world.filmed(player))
        await stopped(world, player)


async def test_proxy_that_hung_leaves_what_another_one_has_gone_on_with() -> None:
    """It was not dead, and is told: it says nothing to the camera, and its player goes on wherever it asks."""
    async with two_proxies() as world:
        player = await playing(world)
        filmed, before = world.filmed(player), player.wire
        world.first.send(SIGSTOP)
        await world.come_to_the_other(player)
        assert (await player.ask("GET_PARAMETER")).status == 200
        assert world.owners() == {player.url: "second"}
        world.first.send(SIGCONT)
        await asyncio.to_thread(world.first.wait_for_line, "session left")
        assert "TEARDOWN" not in [method for method, _ in world.camera.asked]
        await hear_on(player)
        await before.close()
        await assert_every_packet_arrives(player, filmed)
        await stopped(world, player)


async def test_draining_proxy_leaves_its_sessions_to_another_one_and_ends() -> None:
    async with two_proxies("--drain-time", "1") as world:
        player, tcp = await playing(world), MarkedPlayer(world.mesh.url("/live/tcp"), LowerTransport.TCP)
        await tcp.__aenter__()
        await hear_on(tcp)
        world.first.send(SIGTERM)
        await asyncio.to_thread(world.first.wait_for_line, "draining")
        assert (await player.ask("GET_PARAMETER")).status == 200
        assert (await player.ask("DESCRIBE")).status == 503
        await asyncio.wait_for(player.wire.closed.wait(), 5)
        assert await asyncio.to_thread(world.first.wait, 10) == 0
        assert world.camera.session("tcp").torn_down
        await tcp.vanish()
        await handed_to(world, player, "second")
        await world.come_to_the_other(player)
        await assert_every_packet_arrives(player, world.filmed(player))
        await stopped(world, player)


async def test_proxy_without_sessions_does_not_drain() -> None:
    async with two_proxies() as world:
        loop = asyncio.get_running_loop()
        before = loop.time()
        world.first.send(SIGTERM)
        assert await asyncio.to_thread(world.first.wait, 5) == 0
        assert loop.time() - before < 3


async def test_draining_ends_with_the_last_session() -> None:
    async with two_proxies("--drain-time", "60") as world:
        player = await playing(world)
        world.first.send(SIGTERM)
        await asyncio.to_thread(world.first.wait_for_line, "draining")
        await hear_on(player)
        await stopped(world, player)
        assert await asyncio.to_thread(world.first.wait, 5) == 0


@pytest.mark.parametrize("second", [SIGTERM, SIGINT])
async def test_second_signal_ends_a_draining_proxy_with_its_sessions(second: Signals) -> None:
    async with two_proxies("--drain-time", "60") as world:
        player = await playing(world)
        world.first.send(SIGTERM)
        await asyncio.to_thread(world.first.wait_for_line, "draining")
        world.first.send(second)
        assert await asyncio.to_thread(world.first.wait, 5) == 0
        assert world.filmed(player).torn_down
        await player.vanish()
        await assert_nothing_is_left(world)


async def test_restart_of_the_only_proxy_loses_no_session() -> None:
    """SIGTERM, the end, and a new process, as a rolling update does."""
    async with two_proxies("--drain-time", "0") as world:
        player = await playing(world)
        world.second.stop()
        world.first.send(SIGTERM)
        assert await asyncio.to_thread(world.first.wait, 10) == 0
        await hear_on(player)
        await asyncio.to_thread(world.mesh.proxy, "--rtsp-node", "next")
        await handed_to(world, player, "next")
        await player.come_back()
        await assert_every_packet_arrives(player, world.filmed(player))
        await stopped(world, player)
