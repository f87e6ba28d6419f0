"""Readers of one stream: what each of them asks for is no other one's affair, and the camera knows of one session."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from typing import cast

import pytest

from mesh.model import BackendTransport
from rtsp_filter.proxy import Listen, MulticastSettings, ProxySettings, RTSPProxy
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.clients.connection import ClientConnection
from rtsp_filter.proxy.multicast.reader import Reader
from rtsp_filter.proxy.sessions.presentation import Presentation, describe
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.relays import Receiver, RelayClient
from rtsp_filter.routes.table import Decision
from rtsp_filter.routes.table import Upstream as Endpoint
from rtsp_filter.rtsp import Headers, Method, Request, Response, RTSPError, State, parse_transports
from tests.rtsp_filter.proxy.sessions.test_session import CAMERA, CLIENT, Camera, Relays

GROUP = "239.9.9.8"
SDP = b"v=0\r\no=- 0 0 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n" + b"".join(
    b"m=%b 0 RTP/AVP 96\r\na=control:%b\r\n" % (medium, medium) for medium in (b"video", b"audio")
)


class LANRelays(Relays):
    """A media proxy that is on a network."""

    media_addresses = ("192.0.2.1",)

    def all_ready(self) -> None:
        for relay in self.opened:
            if not relay.ready.done():
                relay.ready.set_result(None)


class Stage:
    """A proxy with a few groups, and cameras that the test plays: one for each connection that a reader brings."""

    def __init__(self, groups: str = f"{GROUP}/31") -> None:
        self.proxy = RTSPProxy(
            ProxySettings(
                listen=Listen(address="127.0.0.1", port=0),
                control_plane="127.0.0.1:1",
                node_id="n",
                multicast=MulticastSettings(groups=IPv4Network(groups), ttl=5),
            )
        )
        self.relays = LANRelays()
        self.proxy.relays = cast(RelayClient, self.relays)
        self.cameras: list[Camera] = []

    def described(self, path: str = "/cam", sdp: bytes = SDP) -> Described:
        """What a reader has been shown, on a connection of its own."""
        self.cameras.append(Camera())
        endpoint = Endpoint(
            name="e", address="127.0.0.1", port=9554, base_path="", path=path, transport=BackendTransport.AUTO
        )
        decision = Decision(
            virtual_host="*", route="ns/r/0", match="", cluster="c", path=path, upstream=endpoint, _why=lambda: ()
        )
        presentation, _ = describe(CLIENT, CAMERA.replace("/cam", path), Headers(), sdp, "127.0.0.1")
        return Described(presentation=presentation, decision=decision, upstream=cast(Upstream, self.cameras[-1]))

    def reader(self, path: str = "/cam", sdp: bytes = SDP) -> Reader:
        client = ClientConnection(self.proxy)
        client.address = client.local_address = "192.0.2.50"
        self.proxy.admit(client.address)
        reader = self.proxy.new_reader(self.described(path, sdp=sdp), client)
        assert isinstance(reader, Reader)
        return reader

    def set_up(self, reader: Reader, medium: str = "video", offer: str = "") -> asyncio.Task[Response]:
        (spec,) = parse_transports(f"RTP/AVP;multicast{offer}")
        return asyncio.create_task(reader.setup(request(Method.SETUP), spec, f"{CAMERA}/{medium}", medium))

    async def granted(self, reader: Reader, medium: str = "video") -> Response:
        """The first SETUP of a track, to the end."""
        task = self.set_up(reader, medium)
        await self.cameras[0].answer(Method.SETUP)
        self.relays.all_ready()
        return await task

    async def playing(self, reader: Reader) -> None:
        """The first PLAY: the camera is asked for what nobody has asked for so far, and refuses it."""
        task = asyncio.create_task(reader.forward(request(Method.PLAY)))
        await self.cameras[0].answer(Method.SETUP, 404)
        await self.cameras[0].answer(Method.PLAY)
        assert (await task).status == 200

    async def end(self) -> None:
        """Wait for endings that are on their way; cameras confirm TEARDOWN."""
        while self.proxy._endings:
            for camera in self.cameras:
                if Method.TEARDOWN in camera.waiting:
                    await camera.answer(Method.TEARDOWN)
            await asyncio.sleep(0)


def request(method: str, *headers: tuple[str, str]) -> Request:
    return Request(method=method, url=CLIENT, headers=Headers([("CSeq", "7"), *headers]))


async def test_a_second_reader_is_told_the_same_and_the_camera_is_not_asked_again() -> None:
    stage = Stage()
    first, second = stage.reader(), stage.reader()
    one = await stage.granted(first)
    two = await stage.set_up(second)
    assert one.headers.get("Transport") == two.headers.get("Transport")
    assert (
        one.headers.get("Transport") == f"RTP/AVP;multicast;destination={GROUP};source=192.0.2.1;port=16384-16385;ttl=5"
    )
    assert stage.relays.receivers == [Receiver(address=GROUP, rtp_port=16384, rtcp_port=16385)]
    assert one.headers.get("Session") != two.headers.get("Session")
    assert [camera.asked for camera in stage.cameras] == [["SETUP"], []]
    assert stage.cameras[1].closed


async def test_the_camera_is_played_once_with_all_tracks_and_paused_for_nobody() -> None:
    stage = Stage()
    first, second = stage.reader(), stage.reader()
    await stage.granted(first)
    await stage.playing(first)
    await stage.set_up(second)
    assert (await second.forward(request(Method.PLAY))).status == 200
    assert (await first.forward(request(Method.PAUSE))).status == 200
    assert (first.state, second.state) == (State.READY, State.PLAYING)
    assert stage.cameras[0].asked == ["SETUP", "SETUP", "PLAY"]


@pytest.mark.parametrize("first_leaves", [True, False])
async def test_the_last_reader_ends_the_session_at_the_camera_and_no_other_one(first_leaves: bool) -> None:
    stage = Stage()
    readers = stage.reader(), stage.reader()
    await stage.granted(readers[0])
    await stage.playing(readers[0])
    await stage.set_up(readers[1])
    leaves, stays = readers if first_leaves else reversed(readers)
    await leaves.teardown(request(Method.TEARDOWN))
    await stage.end()
    assert "TEARDOWN" not in stage.cameras[0].asked
    assert not stays.ended

    await stays.teardown(request(Method.TEARDOWN))
    await stage.end()
    assert stage.cameras[0].asked[-1] == "TEARDOWN"
    assert stage.relays.closed[-1] == ("0", True)
    assert (len(stage.proxy.sessions), len(stage.proxy.feeds)) == (0, 0)


async def test_a_reader_who_hangs_up_while_he_is_set_up_takes_nothing_from_others() -> None:
    stage = Stage()
    first, second = stage.reader(), stage.reader()
    task = stage.set_up(first)
    await stage.cameras[0].asked_to(Method.SETUP)
    waiting = stage.set_up(second)
    task.cancel()
    stage.proxy.session_over(first, "he hung up")
    await stage.cameras[0].answer(Method.SETUP)
    stage.relays.all_ready()
    assert (await waiting).status == 200
    assert not second.feed.over


async def test_when_the_camera_is_gone_so_are_all_readers() -> None:
    stage = Stage()
    readers = [stage.reader(), stage.reader()]
    await stage.granted(readers[0])
    on_closed = stage.cameras[0].on_closed
    assert on_closed is not None
    on_closed("the cable was cut")
    await stage.end()
    assert all(reader.ended for reader in readers)
    assert len(stage.proxy.sessions) == 0


async def test_a_reader_who_comes_while_the_stream_ends_gets_a_new_one() -> None:
    stage = Stage()
    first = stage.reader()
    await stage.granted(first)
    stage.proxy.session_over(first.feed.session, "an operator ends it")
    second = stage.reader()
    assert second.feed is not first.feed
    assert second.feed.group == "239.9.9.9"
    await stage.end()
    assert (first.ended, second.ended) == (True, False)
    assert len(stage.proxy.feeds) == 1


async def test_streams_have_groups_of_their_own_as_long_as_there_are_any() -> None:
    stage = Stage()
    assert {stage.reader("/cam").feed.group, stage.reader("/other").feed.group} == {GROUP, "239.9.9.9"}
    with pytest.raises(RTSPError, match="--multicast-groups") as caught:
        stage.reader("/third")
    assert caught.value.status == 453
    assert stage.reader("/cam").feed.group == GROUP


async def test_readers_of_equal_cameras_share_one_group_and_readers_of_another_stream_have_their_own() -> None:
    stage = Stage()
    first = stage.reader()
    equal = stage.described()
    equal.presentation, _ = describe(CLIENT, "rtsp://127.0.0.9:554/cam", Headers(), SDP, "127.0.0.1")
    assert stage.proxy.feeds.join(equal) is first.feed
    assert stage.reader(sdp=SDP.replace(b"AVP 96", b"AVP 97")).feed is not first.feed
    assert len(stage.proxy.feeds) == 2


async def test_a_track_that_a_stream_has_not_is_404() -> None:
    stage = Stage()
    reader = stage.reader()
    with pytest.raises(RTSPError) as caught:
        await stage.set_up(reader, "smell")
    assert caught.value.status == 404


async def test_a_player_who_is_refused_again_and_again_uses_no_groups_up() -> None:
    stage = Stage(f"{GROUP}/32")
    for number in range(3):
        reader = stage.reader()
        task = stage.set_up(reader)
        await stage.cameras[number].answer(Method.SETUP, 454)
        assert (await task).status == 454
        stage.proxy.session_over(reader, "the camera refused")
        await stage.end()


async def test_a_stream_that_was_not_described_is_not_to_be_had() -> None:
    """The camera may want a password of whoever asks for a description."""
    stage = Stage()
    described = stage.described()
    described.presentation = Presentation.undescribed(CLIENT, CAMERA)
    with pytest.raises(RTSPError, match="DESCRIBE") as caught:
        stage.proxy.feeds.join(described)
    assert caught.value.status == 455


async def test_what_would_concern_all_readers_is_none_of_one_readers_business() -> None:
    stage = Stage()
    reader = stage.reader()
    await stage.granted(reader)
    for method in (Method.SET_PARAMETER, Method.RECORD):
        with pytest.raises(RTSPError, match="all readers of the group") as caught:
            await reader.forward(request(method))
        assert caught.value.status == 403
    with pytest.raises(RTSPError, match="is not for a client to choose") as caught:
        await stage.set_up(reader, "audio", ";destination=239.1.1.1")
    assert caught.value.status == 403
    with pytest.raises(RTSPError, match="RTP/AVP"):
        (spec,) = parse_transports("RTP/SAVP;multicast")
        await reader.setup(request(Method.SETUP), spec, f"{CAMERA}/video", "video")


async def test_transports_are_not_changed_in_mid_session() -> None:
    stage = Stage()
    reader = stage.reader()
    with pytest.raises(RTSPError) as caught:
        reader.acceptable(parse_transports("RTP/AVP;unicast;client_port=5000-5001"))
    assert caught.value.status == 461


async def test_one_readers_pace_is_not_that_of_all() -> None:
    stage = Stage()
    reader = stage.reader()
    await stage.granted(reader)
    sent: list[str] = []
    camera = stage.cameras[0]
    ask = camera.request

    async def recorded(method: str, url: str, *, headers: object = (), body: bytes = b"") -> Response:
        sent.extend(name for name, _ in cast(list[tuple[str, str]], headers))
        return await ask(method, url)

    camera.request = recorded  # type: ignore[method-assign]
    task = asyncio.create_task(reader.forward(request(Method.PLAY, ("Scale", "2"), ("Range", "npt=0-"))))
    await camera.answer(Method.SETUP, 404)
    await camera.answer(Method.PLAY)
    await task
    assert "Range" in sent
    assert "Scale" not in sent
