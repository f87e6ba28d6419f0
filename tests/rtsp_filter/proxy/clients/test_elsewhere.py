"""Tunnels whose halves come to two RTSP proxies, which know of each other by a control plane; all in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rtsp_filter.proxy import Listen, ProxyLimits, ProxySettings, RTSPProxy, SecureListen
from tests.peers.certificates import make_certificate, trusting_context
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually
from tests.peers.tunnel_wire import Half, Place, answered, options
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.media import MediaSettings
from xds_server.relays.slots import SlotLayout

LOOPBACK = Listen(address="127.0.0.1", port=0)
FEW = 4
# Answers of 7 KB each: more than all buffers on the way take.
MANY, LONG = 2000, b"x" * 7000


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Two proxies, and places where tunnels come to each."""

    proxies: tuple[RTSPProxy, RTSPProxy]
    places: tuple[Place, Place]

    @property
    def passed_on(self) -> int:
        """POSTs that the proxies pass on to each other."""
        return sum(proxy.tunnels.meetings.passed_on.total() for proxy in self.proxies)

    async def split(self, cookie: str = "c1") -> tuple[Half, Half]:
        """A tunnel that answers: the first proxy has its GET, the second its POST."""
        get, post = await self.places[0].get(cookie), await self.places[1].post(cookie)
        await answered(get, post, 1, encoded=True)
        return get, post

    async def nothing_is_left(self) -> None:
        await eventually(lambda: not self.passed_on, "the end of what is passed on")
        for proxy in self.proxies:
            await eventually(lambda proxy=proxy: not proxy._connections, "the return of all connections")
            assert not proxy.tunnels._whole
            assert not proxy.tunnels._waiting
            meetings = proxy.tunnels.meetings
            assert not (meetings._tickets or meetings._offered or meetings._sought)


@asynccontextmanager
async def running(service: ControlPlane | RTSPProxy) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(service.run())
    try:
        await service.listening.wait()
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def control_plane(port: int) -> ControlPlane:
    media = MediaSettings(layout=SlotLayout(first_port=20000, last_port=20039), addresses=("127.0.0.1",))
    return ControlPlane(ControlPlaneSettings(listen=f"127.0.0.1:{port}", media=media, settle_time=0.0))


@asynccontextmanager
async def two_proxies(port: int, folder: Path) -> AsyncIterator[tuple[RTSPProxy, RTSPProxy]]:
    """Proxies of a control plane at this port, each with a certificate of its own."""
    async with AsyncExitStack() as stack:
        proxies = [proxy_of(port, folder, name) for name in ("first", "second")]
        for proxy in proxies:
            await stack.enter_async_context(running(proxy))
        yield proxies[0], proxies[1]


def proxy_of(port: int, folder: Path, name: str) -> RTSPProxy:
    certificate = make_certificate(folder, name)
    return RTSPProxy(
        ProxySettings(
            listen=LOOPBACK,
            secure=SecureListen(listen=LOOPBACK, certificate=certificate.chain, key=certificate.key),
            control_plane=f"127.0.0.1:{port}",
            node_id=name,
            limits=ProxyLimits(max_connections_per_client=FEW),
        )
    )


async def all_connected(proxies: tuple[RTSPProxy, RTSPProxy]) -> None:
    await eventually(lambda: all(proxy.relays.connected for proxy in proxies), "the streams to the control plane")


@pytest.fixture(params=["plain", "tls"])
async def world(request, tmp_path: Path) -> AsyncIterator[World]:
    with reserve_ports(1) as ports:
        async with running(control_plane(ports.first)), two_proxies(ports.first, tmp_path) as proxies:
            await all_connected(proxies)
            first, second = (place_of(proxy, tls=request.param == "tls") for proxy in proxies)
            made = World(proxies=proxies, places=(first, second))
            yield made
            await made.nothing_is_left()


def place_of(proxy: RTSPProxy, *, tls: bool) -> Place:
    return Place(port=proxy.secure_port, tls=trusting_context()) if tls else Place(port=proxy.port)


async def closed(*halves: Half) -> None:
    for half in halves:
        await half.close()


async def test_halves_at_two_proxies_are_one_connection(world: World) -> None:
    get, post = await world.split()
    for number in range(2, 5):
        await answered(get, post, number, encoded=True)
    assert world.passed_on == 1
    assert [len(proxy.tunnels._whole) for proxy in world.proxies] == [1, 0]
    await closed(get, post)


async def test_a_post_that_comes_before_its_get_waits_for_it_at_another_proxy(world: World) -> None:
    post = await world.places[1].post("c1")
    post.encoded(options(1))
    await eventually(lambda: world.proxies[1].tunnels._waiting, "the POST")
    get = await world.places[0].get("c1")
    assert b"CSeq: 1\r\n" in await get.head()
    await closed(get, post)


async def test_halves_that_meet_at_one_proxy_do_so_without_the_others(world: World) -> None:
    get, post = await world.places[0].get("c1"), await world.places[0].post("c1")
    await answered(get, post, 1, encoded=True)
    assert world.passed_on == 0
    await closed(get, post)


async def test_another_post_follows_at_whichever_proxy_also_while_the_one_before_is_open(world: World) -> None:
    get, post = await world.split()
    await closed(post)
    posts = []
    for number, place in enumerate((1, 0, 1, 1, 0), 2):
        posts.append(await world.places[place].post("c1"))
        await answered(get, posts[-1], number, encoded=True)
    assert await posts[0].rest() == b""
    await closed(get, *posts)


async def test_the_end_of_the_get_ends_the_post_at_the_other_proxy(world: World) -> None:
    get, post = await world.split()
    await closed(get)
    assert await post.rest() == b""
    await closed(post)


async def test_the_end_of_the_post_ends_what_is_passed_on_and_not_the_tunnel(world: World) -> None:
    get, post = await world.split()
    await closed(post)
    await eventually(lambda: world.passed_on == 0, "the end of what is passed on")
    again = await world.places[0].post("c1")
    await answered(get, again, 2, encoded=True)
    await closed(get, again)


async def test_a_post_is_passed_on_as_fast_as_its_tunnel_takes_it(world: World) -> None:
    get, post = await world.split()
    (onward,) = (tunnel._requests for tunnel in world.proxies[0].tunnels._whole.values())
    for number in range(MANY):
        post.encoded(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\nProxy-Require: %s\r\n\r\n" % (number, LONG))
    await eventually(lambda: not onward.is_reading(), "the POST is not read")
    for number in range(MANY):
        assert b"CSeq: %d\r\n" % number in await get.head()
    await closed(get, post)


@pytest.mark.parametrize("world", ["plain"], indirect=True)
async def test_what_a_tunnel_does_not_take_stays_with_its_client(world: World) -> None:
    get, post = await world.split()
    for number in range(MANY):
        post.encoded(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\nProxy-Require: %s\r\n\r\n" % (number, LONG))
    unsent: list[int] = []

    def rests() -> bool:
        unsent.append(post.writer.transport.get_write_buffer_size())
        return len(unsent) >= 10 and len(set(unsent[-10:])) == 1

    await eventually(rests, "nobody reads any more")
    left = unsent[-1]
    get.writer.transport.abort()
    post.writer.transport.abort()
    assert left > 0


async def test_what_is_not_base64_closes_a_tunnel_of_two_proxies(world: World) -> None:
    get, post = await world.split()
    post.write(b"****")
    assert await get.rest() == b""
    assert await post.rest() == b""
    await closed(get, post)


async def test_a_post_from_another_address_does_not_join_at_another_proxy_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.3)
    get, post = await world.split()
    there = world.places[1]
    strange = Place(port=there.port, tls=there.tls, local="127.0.0.2")
    foreign = await strange.post("c1")
    assert await foreign.rest() == b""
    await answered(get, post, 2, encoded=True)
    await closed(get, post, foreign)


async def test_a_ticket_that_nobody_gave_is_refused_and_a_get_needs_a_cookie(world: World) -> None:
    for method, status in (("POST", b"403"), ("GET", b"400")):
        half = await world.places[0].connect()
        half.write(f"{method} / HTTP/1.0\r\nx-msm-ticket: {'0' * 32}\r\n\r\n".encode())
        assert (await half.rest()).startswith(b"HTTP/1.0 " + status)
        await closed(half)


async def test_a_post_that_is_passed_on_counts_as_its_clients_connection(world: World) -> None:
    there, here = (Place(port=place.port, tls=place.tls, local="127.0.0.2") for place in world.places)
    gets = [await there.get(f"c{number}") for number in range(FEW)]
    post = await here.post("c1")
    assert (await post.rest()).startswith(b"HTTP/1.0 503 ")
    others = await world.split()
    await gets.pop().close()
    await eventually(lambda: world.proxies[0]._connections["127.0.0.2"] < FEW, "room for a connection")
    again = await here.post("c1")
    await answered(gets[1], again, 1, encoded=True)
    await closed(*gets, *others, post, again)


@pytest.mark.parametrize("limit", ["MAX_PASSED_ON", "MAX_PASSED_ON_PER_CLIENT"])
async def test_so_many_posts_are_passed_on(world: World, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"rtsp_filter.proxy.clients.elsewhere.{limit}", 1)
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.5)
    get, post = await world.split()
    with capture_logs() as logs:
        more = await world.places[0].get("c2"), await world.places[1].post("c2")
        assert await more[1].rest() == b""
    assert any("too many tunnels" in line["event"] for line in logs)
    await answered(get, post, 2, encoded=True)
    await closed(get, post, *more)
    await eventually(lambda: world.passed_on == 0, "the end of what is passed on")
    again = await world.split("c3")
    await closed(*again)


@pytest.mark.parametrize("world", ["tls"], indirect=True)
async def test_a_post_is_not_passed_on_to_who_shows_another_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.5)
    files = world.proxies[0]._certificate_files
    assert files is not None
    monkeypatch.setattr(files, "fingerprint", b"another")
    with capture_logs() as logs:
        get, post = await world.places[0].get("c1"), await world.places[1].post("c1")
        assert await post.rest() == b""
    assert any("another certificate" in line.get("error", "") for line in logs)
    await closed(get, post)


async def test_a_proxy_that_cannot_be_reached_costs_its_clients_their_tunnels_and_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.elsewhere.CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.5)
    get = await world.places[0].get("c1")
    await world.proxies[0].drain(0.0)  # it listens no more
    with capture_logs() as logs:
        post = await world.places[1].post("c1")
        assert await post.rest() == b""
    assert any("cannot be reached" in line["event"] for line in logs)
    mine = await world.places[1].get("c2"), await world.places[1].post("c2")
    await answered(*mine, 1, encoded=True)
    await closed(get, post, *mine)


async def test_no_cookie_is_in_the_log(world: World) -> None:
    with capture_logs() as logs:
        get, post = await world.split("secretcookie")
        await closed(get, post)
        await eventually(lambda: world.passed_on == 0, "the end of what is passed on")
    assert any("passed on" in line["event"] for line in logs)
    assert "secretcookie" not in str(logs)
    assert all("ticket" not in line for line in logs)


async def test_halves_find_each_other_once_the_control_plane_is_there_and_none_is_needed_where_they_meet(
    tmp_path: Path,
) -> None:
    with reserve_ports(1) as ports:
        async with two_proxies(ports.first, tmp_path) as proxies:
            world = World(proxies=proxies, places=(Place(port=proxies[0].port), Place(port=proxies[1].port)))
            get, post = await world.places[0].get("c1"), await world.places[1].post("c1")
            post.encoded(options(1))
            together = await world.places[0].get("c2"), await world.places[0].post("c2")
            await answered(*together, 1, encoded=True)
            async with running(control_plane(ports.first)):
                assert b"CSeq: 1\r\n" in await get.head()
            await answered(get, post, 2, encoded=True)  # what was joined needs no control plane any more
            await closed(get, post, *together)
            await world.nothing_is_left()


async def test_without_a_control_plane_a_post_without_its_get_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.tunnels.JOIN_TIMEOUT", 0.3)
    with reserve_ports(1) as ports:
        async with two_proxies(ports.first, tmp_path) as proxies:
            world = World(proxies=proxies, places=(Place(port=proxies[0].port), Place(port=proxies[1].port)))
            get, post = await world.places[0].get("c1"), await world.places[1].post("c1")
            assert await post.rest() == b""
            assert await get.rest() == b""
            await closed(get, post)
            await world.nothing_is_left()
