"""One session through every way that it can go wrong: what it holds is given back once, and for what it is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Coroutine, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mesh.model import BackendTransport
from mesh.wire import relay_pb2
from rtsp_filter.proxy import Listen, ProxySettings, RTSPProxy
from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.clients.connection import ClientConnection
from rtsp_filter.proxy.limits import ProxyLimits
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.relays import Allocation, Receiver, Relay, RelayClient, RelayError, RelayFailure, Sender
from rtsp_filter.resources.access import PLAIN
from rtsp_filter.routes.table import Decision
from rtsp_filter.routes.table import Upstream as Endpoint
from rtsp_filter.rtsp import (
    Headers,
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    StatusCode,
    TransportSpec,
    parse_transports,
)

CAMERA = "rtsp://127.0.0.1:9554/cam"
CLIENT = "rtsp://127.0.0.1:8554/lobby"


class Camera:
    """Stands in for the connection to a camera: answers when the test says so."""

    def __init__(self) -> None:
        self.core = SimpleNamespace(
            session=None, public=frozenset(), version="RTSP/1.0", translate_channels=lambda table: None
        )
        self.access = PLAIN
        self.local_address = self.peer_address = "127.0.0.1"
        self.keepalive_url = self.on_media = self.on_takes = self.on_closed = self.closed = None
        self.asked: list[str] = []
        self.transports: list[str] = []
        self.waiting: dict[str, asyncio.Future[Response]] = {}
        self._asked_something = asyncio.Event()

    async def asked_to(self, method: str) -> None:
        """Wait until a request is on its way."""
        while method not in self.waiting:
            self._asked_something.clear()
            await self._asked_something.wait()

    async def request(
        self, method: str, url: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        if self.closed is not None:
            raise UpstreamError(self.closed)
        self.asked.append(method)
        self.transports += [value for name, value in headers if name == "Transport"]
        self.waiting[method] = asyncio.get_running_loop().create_future()
        self._asked_something.set()
        return await self.waiting[method]

    async def answer(self, method: str, status: int = 200, *headers: tuple[str, str]) -> None:
        """Answer the request that is, or is about to be, on its way."""
        await self.asked_to(method)
        if method == Method.SETUP and status == StatusCode.OK:
            self.core.session = SessionHeader(id="theirs")
        self.waiting.pop(method).set_result(Response(status=status, reason="", headers=Headers(headers)))

    def close(self) -> None:
        self.closed = "closed"


class Relays:
    """Stands in for the control plane."""

    media_addresses = ("127.0.0.1",)
    first_port = 20000

    def __init__(self) -> None:
        self.opened: list[Relay] = []
        self.receivers: list[Receiver | None] = []
        self.senders: list[Sender | None] = []
        self.moved = asyncio.Event()
        self.closed: list[tuple[str, bool]] = []
        self.ended: list[str] = []

    def move(self, relay_id: str, receiver: Receiver | None, sender: Sender | None = None) -> asyncio.Future[None]:
        self.receivers.append(receiver)
        self.senders.append(sender)
        self.moved.set()
        return next(relay.ready for relay in self.opened if relay.relay_id == relay_id)

    def open(self, session_id: str, media: str, receiver: Receiver | None, sender: Sender | None = None) -> Relay:
        loop = asyncio.get_running_loop()
        relay = Relay(relay_id=str(len(self.opened)), allocated=loop.create_future(), ready=loop.create_future())
        relay.ready.add_done_callback(lambda done: done.cancelled() or done.exception())
        port = self.first_port + 4 * len(self.opened)
        relay.allocated.set_result(
            Allocation(slot=0, addresses=self.media_addresses, ingress_port=port, egress_port=port + 2)
        )
        self.opened.append(relay)
        self.receivers.append(receiver)
        self.senders.append(sender)
        return relay

    def close(self, relay_ids: Collection[str], *, sender_stopped: bool) -> None:
        self.closed += [(relay_id, sender_stopped) for relay_id in sorted(relay_ids)]
        for relay in self.opened:
            if relay.relay_id in relay_ids and not relay.ready.done():
                relay.ready.set_exception(RelayError(RelayFailure.REFUSED, "given back"))

    def keep_session(self, session_id: str, describe: object) -> None:
        pass

    def end_session(self, session_id: str, reason: str) -> None:
        self.ended.append(session_id)

    def leave_session(self, session_id: str) -> None:
        pass


class Scene:
    """A proxy with one client and one session at a camera that the test plays."""

    def __init__(self, lower: LowerTransport = LowerTransport.UDP) -> None:
        listen = Listen(address="127.0.0.1", port=0)
        self.proxy = RTSPProxy(
            ProxySettings(listen=listen, control_plane="127.0.0.1:1", node_id="n", limits=ProxyLimits())
        )
        self.relays, self.camera = Relays(), Camera()
        self.proxy.relays = cast(RelayClient, self.relays)
        self.client = self.connection()
        endpoint = Endpoint(
            name="e", address="127.0.0.1", port=9554, base_path="", path="/cam", transport=BackendTransport.AUTO
        )
        decision = Decision(
            virtual_host="*", route="ns/r/0", match="", cluster="c", path="/cam", upstream=endpoint, _why=lambda: ()
        )
        described = Described(
            presentation=Presentation.undescribed(CLIENT, CAMERA),
            decision=decision,
            upstream=cast(Upstream, self.camera),
        )
        self.session: Session = self.proxy.new_session(described, self.client, lower)

    def connection(self) -> ClientConnection:
        connection = ClientConnection(self.proxy)
        connection.address = connection.local_address = "127.0.0.1"
        self.proxy.admit(connection.address)
        return connection

    def set_up(self, track: int, lower: LowerTransport = LowerTransport.UDP) -> asyncio.Task[Response]:
        offer = "RTP/AVP;unicast;client_port=5000-5001" if lower is LowerTransport.UDP else "RTP/AVP/TCP;unicast"
        spec: TransportSpec = parse_transports(offer)[0]
        return asyncio.create_task(
            self.session.setup(request(Method.SETUP), spec, f"{CAMERA}/track={track}", f"track {track}")
        )

    async def with_a_track(self) -> None:
        await self.with_an_opening_track(0)
        self.relays.opened[0].ready.set_result(None)

    async def with_an_opening_track(self, track: int) -> None:
        """A track that is set up, and whose relay is not ready yet."""
        task = self.set_up(track)
        await self.camera.answer(Method.SETUP)
        assert (await task).status == 200

    async def end(self) -> None:
        """Wait for endings that are on their way; the camera confirms TEARDOWN."""
        while self.proxy._endings:
            if Method.TEARDOWN in self.camera.waiting:
                await self.camera.answer(Method.TEARDOWN)
            await asyncio.sleep(0)


def request(method: str) -> Request:
    return Request(method=method, url=CLIENT, headers=Headers([("CSeq", "1")]))


async def test_a_track_that_the_camera_refuses_gives_its_slot_back_at_once_and_the_session_stays() -> None:
    scene = Scene()
    await scene.with_a_track()
    task = scene.set_up(1)
    await scene.camera.answer(Method.SETUP, 461)
    assert (await task).status == 461
    assert scene.relays.closed == [("1", True)]
    assert not scene.session.ended
    assert not scene.proxy._endings


async def test_a_relay_that_is_taken_back_ends_the_session_that_it_is_of() -> None:
    scene = Scene()
    await scene.with_a_track()
    for relay_id, session_id in (("0", "another"), ("another", scene.session.id)):
        scene.proxy._relay_lost(relay_id, session_id, "Envoy was restarted")
        assert not scene.proxy._endings
    scene.proxy._relay_lost("0", scene.session.id, "Envoy was restarted")
    await scene.end()
    assert scene.session.ended


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("how", ["client hangs up", "camera never answers"])
async def test_a_track_that_the_camera_may_have_ends_its_session_and_is_stopped_only_if_the_camera_says_so(
    how: str, confirmed: bool
) -> None:
    scene = Scene()
    await scene.with_a_track()
    task = scene.set_up(1)
    await scene.camera.asked_to(Method.SETUP)
    if how == "camera never answers":
        scene.camera.waiting.pop(Method.SETUP).set_exception(UpstreamError("silent"))
    else:
        task.cancel()
    with pytest.raises((RTSPError, asyncio.CancelledError)):
        await task
    assert scene.relays.closed == []
    await scene.camera.answer(Method.TEARDOWN, 200 if confirmed else 500)
    await scene.end()
    assert scene.session.ended
    assert scene.relays.closed == [("0", confirmed), ("1", confirmed)]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_relay_that_cannot_be_opened_ends_its_session_before_the_camera_is_asked_to_play(
    confirmed: bool,
) -> None:
    scene = Scene()
    await scene.with_a_track()
    await scene.with_an_opening_track(1)
    play = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    scene.relays.opened[1].ready.set_exception(RelayError(RelayFailure.REFUSED, "no"))
    with pytest.raises(RTSPError) as error:
        await play
    assert error.value.status == StatusCode.SERVICE_UNAVAILABLE
    await scene.camera.answer(Method.TEARDOWN, 200 if confirmed else 500)
    await scene.end()
    assert Method.PLAY not in scene.camera.asked
    assert scene.session.ended
    assert scene.relays.closed == [("0", confirmed), ("1", confirmed)]


async def test_a_track_that_is_set_up_while_another_connection_waits_to_play_does_no_harm() -> None:
    scene = Scene()
    await scene.with_an_opening_track(0)
    play = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    await asyncio.sleep(0)
    await scene.with_an_opening_track(1)
    for relay in scene.relays.opened:
        relay.ready.set_result(None)
    await scene.camera.answer(Method.PLAY)
    assert (await play).status == 200


async def test_whoever_hangs_up_while_he_waits_to_play_may_play_on_another_connection() -> None:
    scene = Scene()
    await scene.with_an_opening_track(0)
    gone = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    play = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    assert not scene.relays.opened[0].ready.done()
    scene.relays.opened[0].ready.set_result(None)
    await scene.camera.answer(Method.PLAY)
    assert (await play).status == 200


async def test_a_session_that_came_back_does_not_go_with_what_it_was_before() -> None:
    scene = Scene()
    before = scene.session
    await scene.with_an_opening_track(0)
    play = asyncio.create_task(before.forward(request(Method.PLAY)))
    await asyncio.sleep(0)
    before.leave("another proxy wants it", close_client=False)
    again = Session(scene.proxy, before.source, scene.client, LowerTransport.UDP, session_id=before.id)
    scene.proxy.adopt(again)
    scene.relays.opened[0].ready.set_exception(RelayError(RelayFailure.CONTROL_PLANE_UNAVAILABLE, "no answer"))
    with pytest.raises(RTSPError):
        await play
    await scene.end()
    assert scene.proxy.sessions == {before.id: again}


async def test_nobody_is_to_go_on_with_a_session_while_its_camera_is_asked_to_stop() -> None:
    scene = Scene()
    await scene.with_a_track()
    scene.proxy.session_over(scene.session, "the client ended it")
    await scene.camera.asked_to(Method.TEARDOWN)
    assert (scene.relays.ended, scene.relays.closed) == ([scene.session.id], [])
    scene.session.leave("another proxy wants it", close_client=False)
    await scene.end()
    assert (scene.relays.ended, scene.relays.closed) == ([scene.session.id], [("0", True)])


async def test_a_session_whose_relay_is_gone_cannot_be_gone_on_with() -> None:
    scene = Scene()
    told = relay_pb2.Session(session_id=scene.session.id, state=relay_pb2.PLAYING)
    told.continuation.ways.add(relay_id="gone", media="audio", upstream_url=f"{CAMERA}/track=0")
    with pytest.raises(RTSPError, match="the relay of its audio is gone"):
        scene.session.resume(told, {})
    scene.proxy.session_over(scene.session, "test")
    await scene.end()


async def test_a_client_that_hangs_up_after_teardown_still_has_its_camera_stopped() -> None:
    scene = Scene()
    await scene.with_a_track()
    task = asyncio.create_task(scene.session.teardown(request(Method.TEARDOWN)))
    await scene.camera.asked_to(Method.TEARDOWN)
    task.cancel()
    scene.proxy.connection_lost(scene.client, broken=False)
    await scene.end()
    assert scene.relays.closed == [("0", True)]


async def test_a_session_that_ends_while_a_track_is_set_up_leaves_nobody_waiting() -> None:
    scene = Scene()
    await scene.with_a_track()
    task = scene.set_up(1)
    await scene.camera.asked_to(Method.SETUP)
    scene.proxy.session_over(scene.session, "an operator ended it")
    await scene.camera.answer(Method.SETUP)
    await scene.end()
    with pytest.raises(RTSPError):
        await task
    with pytest.raises(RTSPError) as error:
        await scene.session.forward(request(Method.PLAY))
    assert error.value.status == StatusCode.SESSION_NOT_FOUND


async def test_a_second_connection_that_leaves_does_not_end_the_session() -> None:
    scene = Scene()
    await scene.with_a_track()
    other = scene.connection()
    scene.session.join(other)
    scene.proxy.connection_lost(other, broken=True)
    assert not scene.proxy._deserted._desertions
    assert not scene.proxy._endings
    scene.proxy.connection_lost(scene.client, broken=False)
    assert scene.session.id in scene.proxy._deserted._desertions
    scene.proxy.session_over(scene.session, "test")
    await scene.end()
    assert not scene.proxy._deserted._desertions


async def test_media_goes_on_until_the_camera_has_answered_teardown() -> None:
    scene = Scene(LowerTransport.TCP)
    task = scene.set_up(0, LowerTransport.TCP)
    await scene.camera.answer(Method.SETUP)
    await task
    ending = scene.proxy.session_over(scene.session, "test", close_client=False)
    await scene.camera.asked_to(Method.TEARDOWN)
    assert scene.camera.on_media is not None
    await scene.camera.answer(Method.TEARDOWN)
    await ending
    assert cast(Any, scene.camera).closed


async def test_one_client_address_may_have_only_its_share_of_sessions() -> None:
    scene = Scene()
    scene.proxy.settings = ProxySettings(
        listen=Listen(address="127.0.0.1", port=0),
        control_plane="127.0.0.1:1",
        node_id="n",
        limits=ProxyLimits(max_sessions_per_client=1),
    )
    described = Described(
        presentation=scene.session.source.presentation,
        decision=scene.session.source.decision,
        upstream=cast(Upstream, Camera()),
    )
    with pytest.raises(RTSPError) as error:
        scene.proxy.new_session(described, scene.client, LowerTransport.UDP)
    assert error.value.status == StatusCode.NOT_ENOUGH_BANDWIDTH
    scene.proxy.session_over(scene.session, "test")
    await scene.end()
    scene.proxy.new_session(described, scene.client, LowerTransport.UDP)


async def test_a_session_that_is_never_played_is_given_up_and_one_that_was_played_may_pause() -> None:
    scene = Scene()
    await scene.with_a_track()
    play = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    await scene.camera.answer(Method.PLAY)
    assert (await play).status == 200
    scene.proxy._expect_play(scene.session)
    assert not scene.proxy._endings
    idle = Scene()
    await idle.with_a_track()
    idle.proxy._expect_play(idle.session)
    await idle.end()
    assert idle.session.ended


async def test_a_camera_that_refuses_udp_is_asked_for_tcp_and_the_client_keeps_its_own() -> None:
    scene = Scene()
    task = scene.set_up(0)
    await scene.camera.answer(Method.SETUP, 461)
    await scene.camera.answer(Method.SETUP)
    scene.relays.opened[1].ready.set_result(None)
    response = await task
    assert "client_port=5000-5001" in (response.headers.get("Transport") or "")
    assert scene.relays.closed == [("0", True)]
    scene.proxy.session_over(scene.session, "test")
    await scene.end()
    assert scene.relays.closed == [("0", True), ("1", True)]


async def test_a_camera_that_grants_tcp_where_udp_was_asked_for_is_taken_at_its_word() -> None:
    scene = Scene()
    task = scene.set_up(0)
    await scene.camera.answer(Method.SETUP, 200, ("Transport", "RTP/AVP/TCP;unicast;interleaved=4-5"))
    for _ in range(5):
        await asyncio.sleep(0)
    scene.relays.opened[1].ready.set_result(None)
    assert (await task).status == 200
    [way] = scene.session.media.ways.values()
    assert way.camera_channels == (4, 5)
    scene.proxy.session_over(scene.session, "test")
    await scene.end()


async def test_a_camera_that_grants_udp_where_tcp_was_asked_for_is_refused() -> None:
    scene = Scene(LowerTransport.TCP)
    task = scene.set_up(0, LowerTransport.TCP)
    await scene.camera.answer(Method.SETUP, 200, ("Transport", "RTP/AVP;unicast;server_port=6000-6001"))
    with pytest.raises(UpstreamError, match="granted UDP where TCP"):
        await task
    await scene.end()


async def test_a_session_that_ends_while_udp_is_turned_into_tcp_frees_its_sockets() -> None:
    scene = Scene(LowerTransport.TCP)
    task = scene.set_up(0, LowerTransport.TCP)
    await scene.camera.answer(Method.SETUP, 461)
    await scene.camera.asked_to(Method.SETUP)
    scene.proxy.session_over(scene.session, "test")
    await scene.camera.answer(Method.SETUP)
    await scene.end()
    with pytest.raises(RTSPError):
        await task
    gc.collect()  # an open socket would warn, which is an error


def another_session(scene: Scene) -> tuple[Session, Camera]:
    """Of the same client address, on a connection of its own."""
    camera = Camera()
    described = Described(
        presentation=scene.session.source.presentation,
        decision=scene.session.source.decision,
        upstream=cast(Upstream, camera),
    )
    return scene.proxy.new_session(described, scene.connection(), LowerTransport.UDP), camera


def setup(session: Session, offer: str = "RTP/AVP;unicast;client_port=5000-5001") -> Coroutine[Any, Any, Response]:
    spec = parse_transports(offer)[0]
    return session.setup(request(Method.SETUP), spec, f"{CAMERA}/track=0", "video")


async def test_two_clients_of_one_address_that_name_the_same_ports_do_not_get_each_others_media() -> None:
    scene = Scene()
    await scene.with_a_track()
    second, _ = another_session(scene)
    with pytest.raises(RTSPError) as error:
        await setup(second)
    assert error.value.status == StatusCode.UNSUPPORTED_TRANSPORT
    assert not scene.session.ended
    scene.proxy.session_over(scene.session, "test")
    await scene.end()
    assert not len(scene.proxy.receiver_ports)


async def test_a_client_that_comes_back_without_its_session_gets_its_ports_again() -> None:
    scene = Scene()
    await scene.with_a_track()
    scene.proxy.connection_lost(scene.client, broken=False)
    second, camera = another_session(scene)
    task = asyncio.create_task(setup(second))
    await camera.answer(Method.SETUP)
    scene.relays.opened[1].ready.set_result(None)
    assert (await task).status == 200
    await scene.end()
    assert scene.session.ended
    assert scene.proxy.receiver_ports.owners() == {second}


@pytest.mark.parametrize("ports", ["5001-5002", "4998-5000", "6000-5000"])
async def test_no_port_of_another_client_of_the_address_is_taken(ports: str) -> None:
    scene = Scene()
    await scene.with_a_track()
    second, _ = another_session(scene)
    with pytest.raises(RTSPError) as error:
        await setup(second, f"RTP/AVP;unicast;client_port={ports}")
    assert error.value.status == StatusCode.UNSUPPORTED_TRANSPORT


async def test_one_track_is_set_up_at_a_time() -> None:
    scene = Scene()
    first = scene.set_up(0)
    await scene.camera.asked_to(Method.SETUP)
    with pytest.raises(RTSPError) as error:
        await setup(scene.session)
    assert error.value.status == StatusCode.METHOD_NOT_VALID_IN_THIS_STATE
    await scene.camera.answer(Method.SETUP)
    scene.relays.opened[0].ready.set_result(None)
    assert (await first).status == 200


@pytest.mark.parametrize("by_client", [True, False])
async def test_a_recording_client_has_stopped_only_if_it_said_so(by_client: bool) -> None:
    scene = Scene()
    offer = "RTP/AVP;unicast;client_port=5000-5001;mode=record"
    task = asyncio.create_task(setup(scene.session, offer))
    await scene.camera.answer(Method.SETUP, 200, ("Transport", "RTP/AVP;unicast;server_port=6000-6001"))
    await scene.relays.moved.wait()
    scene.relays.opened[0].ready.set_result(None)
    assert (await task).status == 200
    if by_client:
        ending = asyncio.create_task(scene.session.teardown(request(Method.TEARDOWN)))
        await scene.camera.answer(Method.TEARDOWN)
        await ending
    else:
        scene.proxy.session_over(scene.session, "an operator ended it")
    await scene.end()
    assert scene.relays.closed == [("0", by_client)]


async def test_the_end_of_one_session_takes_nothing_from_another_one_on_its_connection() -> None:
    scene = Scene()
    await scene.with_a_track()
    scene.client.camera_takes(False)  # for a session over TCP on the same connection
    scene.proxy.session_over(scene.session, "test", close_client=False)
    await scene.end()
    assert scene.client._holds


async def test_a_client_that_hangs_up_right_behind_its_teardown_has_ended_its_session() -> None:
    scene = Scene()
    await scene.with_a_track()
    client = scene.client
    teardown = Request(
        method=Method.TEARDOWN, url=CLIENT, headers=Headers([("CSeq", "9"), ("Session", scene.session.id)])
    )
    client.data_received(teardown.encode())
    client.connection_lost(None)
    assert scene.session.id not in scene.proxy.sessions
    await scene.end()
    assert "TEARDOWN" in scene.camera.asked
