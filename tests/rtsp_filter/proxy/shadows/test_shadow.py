"""A session that nobody watches measures its camera and gives everything back, on real cameras."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format
from structlog.testing import capture_logs

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player.negotiation import MAXIMUM_TRACKS
from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.limits import MAX_SHADOWS
from rtsp_filter.proxy.shadows.shadow import Shadow, Shadows
from rtsp_filter.proxy.shadows.shadow_core import Quality
from rtsp_filter.routes.table import Answer, Decision, RouteRequest, RouteTable
from rtsp_filter.rtp import build_header
from rtsp_filter.rtsp import Request, Response, StatusCode, respond
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually
from tests.peers.scripted_camera import ScriptedCamera, plays_nothing

URL = "rtsp://h/cam"
FACTS = "mediastreamingmesh.io"


class Place:
    """Shadows of one endpoint, at a port of the loopback."""

    def __init__(self, port: int, transport: str = "auto", **cluster: Any) -> None:
        route = {"name": "r", "match": {"prefix": "/"}, "route": {"cluster": "cams"}}
        hosts = [{"name": "any", "domains": ["*"], "routes": [route]}]
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        metadata = {"filter_metadata": {FACTS: {"name": "cam", "transport": transport}}}
        lb_endpoint = {"endpoint": {"address": address}, "metadata": metadata}
        assignment = {"cluster_name": "cams", "endpoints": [{"lb_endpoints": [lb_endpoint]}]}
        self.endpoints = Endpoints()
        self.endpoints.update(
            RouteTable.from_xds(
                json_format.ParseDict({"name": "rtsp", "virtual_hosts": hosts}, route_pb2.RouteConfiguration()),
                [json_format.ParseDict({"name": "cams", "type": "EDS", **cluster}, cluster_pb2.Cluster())],
                [json_format.ParseDict(assignment, endpoint_pb2.ClusterLoadAssignment())],
            )
        )
        self.shadows = Shadows(self)

    def decide(self, request: RouteRequest) -> Answer:
        return self.endpoints.decide(request)

    def decision(self) -> Decision:
        answer = self.decide(RouteRequest(host="h", path="/cam"))
        assert isinstance(answer, Decision)
        return answer

    def start(self) -> Shadow:
        shadow = self.shadows.start(self.decision(), URL)
        assert shadow is not None
        return shadow


def quality(shadow: Shadow) -> Quality:
    return shadow.quality(asyncio.get_running_loop().time())


async def finished(shadow: Shadow) -> None:
    await asyncio.wait([shadow.task])


@asynccontextmanager
async def camera(**settings: Any) -> AsyncIterator[int]:
    """The bundled camera, and its port."""
    async with Camera(CameraSettings(port=0, **settings)) as running:
        yield running.port


def answers(**by_method: StatusCode) -> Callable[[Request], Response]:
    """A camera that plays nothing, and refuses requests of these methods."""

    def answer(request: Request) -> Response:
        status = by_method.get(request.method)
        return plays_nothing(request) if status is None else respond(request, status)

    return answer


@pytest.mark.parametrize("transport", ["tcp", "udp", "auto"])
async def test_what_the_camera_loses_is_measured_by_tcp_and_udp(transport: str) -> None:
    async with camera(loss=0.2) as port:
        shadow = Place(port, transport).start()
        assert quality(shadow) == Quality()
        await eventually(lambda: quality(shadow).packets > 100, "media")
        found = quality(shadow)
        shadow.close()
        await finished(shadow)
    assert 0.05 < found.lost < 0.4
    assert (found.setup_failed, found.silent) == (None, False)


async def test_one_that_is_closed_keeps_what_it_found_out() -> None:
    async with camera() as port:
        shadow = Place(port).start()
        await eventually(lambda: quality(shadow).packets > 10, "media")
        shadow.close()
        await finished(shadow)
        found = quality(shadow)
        assert found.packets > 10
        assert shadow.quality(asyncio.get_running_loop().time() + 100) == found


async def test_the_session_is_torn_down_and_counts_no_more() -> None:
    async with ScriptedCamera(plays_nothing) as peer:
        place = Place(peer.port, circuit_breakers={"thresholds": [{"max_connections": 1}]})
        decision = place.decision()
        shadow = place.start()
        await eventually(lambda: [each.method for each in peer.requests][-1:] == ["PLAY"], "PLAY")
        second = place.shadows.start(decision, URL)
        assert second is not None
        await finished(second)
        assert quality(second).setup_failed == "the backend cams has its 1 sessions already"
        shadow.close()
        shadow.close()
        await finished(shadow)
        assert [each.method for each in peer.requests] == ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
        await eventually(lambda: not peer.connections, "the end of the connection")
        place.endpoints.admit(decision)


async def test_a_camera_that_sends_nothing_is_silent() -> None:
    async with ScriptedCamera(plays_nothing) as peer:
        shadow = Place(peer.port).start()
        await eventually(lambda: [each.method for each in peer.requests][-1:] == ["PLAY"], "PLAY")
        now = asyncio.get_running_loop().time
        await eventually(lambda: shadow.quality(now() + 100).silent, "silence")
        assert not quality(shadow).silent
        assert quality(shadow).packets == 0
        shadow.close()
        await finished(shadow)


@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY"])
async def test_a_refusal_is_the_reason_why_it_failed_and_of_500_the_endpoints_failure(method: str) -> None:
    async with ScriptedCamera(answers(**{method: StatusCode.INTERNAL_SERVER_ERROR})) as peer:
        place = Place(peer.port, outlier_detection={"consecutive_5xx": 1, "max_ejection_percent": 100})
        with capture_logs() as logs:
            shadow = place.start()
            await finished(shadow)
        assert quality(shadow) == Quality(setup_failed=f"{method}: 500 Internal Server Error")
        await eventually(lambda: not peer.connections, "the end of the connection")
    events = [line["event"] for line in logs]
    assert "a shadow session could not be set up" in events
    assert ("an endpoint is left out" in events) is (method != "PLAY")


async def test_nobody_there_and_nonsense_are_reasons_too() -> None:
    with reserve_ports(1) as ports:
        shadow = Place(ports.take()).start()
        await finished(shadow)
        assert "the camera cannot be reached" in (quality(shadow).setup_failed or "")
    async with ScriptedCamera(lambda request: respond(request, StatusCode.OK, body=b"nonsense")) as peer:
        shadow = Place(peer.port).start()
        await finished(shadow)
        assert "not a session description" in (quality(shadow).setup_failed or "")
        await eventually(lambda: not peer.connections, "the end of the connection")


async def test_one_that_is_closed_on_its_way_tears_down_what_it_has() -> None:
    def never_plays(request: Request) -> Response:
        return respond(request, StatusCode.CONTINUE) if request.method == "PLAY" else plays_nothing(request)

    async with ScriptedCamera(never_plays) as peer:
        shadow = Place(peer.port).start()
        await eventually(lambda: [each.method for each in peer.requests][-1:] == ["PLAY"], "PLAY")
        shadow.close()
        await finished(shadow)
        assert peer.requests[-1].method == "TEARDOWN"
        assert quality(shadow) == Quality()


async def test_a_camera_that_takes_no_tcp_is_asked_for_udp_unless_the_backend_says_tcp() -> None:
    def only_udp(request: Request) -> Response:
        tcp = request.method == "SETUP" and "interleaved" in (request.headers.get("Transport") or "")
        return respond(request, StatusCode.UNSUPPORTED_TRANSPORT) if tcp else plays_nothing(request)

    async with ScriptedCamera(only_udp) as peer:
        shadow = Place(peer.port).start()
        await eventually(lambda: [each.method for each in peer.requests][-1:] == ["PLAY"], "PLAY")
        shadow.close()
        await finished(shadow)
        shadow = Place(peer.port, "tcp").start()
        await finished(shadow)
        assert quality(shadow).setup_failed == "SETUP: 461 Unsupported transport"


async def test_a_shadow_session_has_a_bounded_number_of_tracks() -> None:
    def many(request: Request) -> Response:
        if request.method != "DESCRIBE":
            return plays_nothing(request)
        tracks = b"".join(b"m=video 0 RTP/AVP 96\r\na=control:%d\r\n" % number for number in range(MAXIMUM_TRACKS + 1))
        return respond(request, StatusCode.OK, [], b"v=0\r\n" + tracks)

    async with ScriptedCamera(many) as peer:
        shadow = Place(peer.port, "udp").start()
        await finished(shadow)
        reason = f"DESCRIBE: {MAXIMUM_TRACKS + 1} tracks, at most {MAXIMUM_TRACKS} are played"
        assert quality(shadow).setup_failed == reason
        assert [each.method for each in peer.requests] == ["DESCRIBE"]
        await eventually(lambda: not peer.connections, "the end of the connection")


async def test_what_is_sent_to_a_group_is_not_received() -> None:
    async with camera() as port:
        shadow = Place(port, "multicast").start()
        await finished(shadow)
    assert quality(shadow).setup_failed == "the backend wants a transport by which no shadow session receives"


async def test_datagrams_of_others_than_the_camera_count_for_nothing() -> None:
    async with ScriptedCamera(plays_nothing) as peer:
        shadow = Place(peer.port, "udp").start()
        await eventually(lambda: [each.method for each in peer.requests][-1:] == ["PLAY"], "PLAY")
        transport = next(each.headers.get("Transport") or "" for each in peer.requests if each.method == "SETUP")
        port = int(transport.partition("client_port=")[2].partition("-")[0])
        for sequence, address in enumerate(("127.0.0.2", "127.0.0.1")):
            header = build_header(payload_type=96, marker=False, sequence=sequence, timestamp=0, ssrc=1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((address, 0))
                sender.sendto(header + b"media", ("127.0.0.1", port))
        await eventually(lambda: quality(shadow).packets, "the camera's packet")
        assert quality(shadow).packets == 1
        shadow.close()
        await finished(shadow)


async def test_a_camera_that_dies_in_mid_play_is_silent_from_then_on() -> None:
    with capture_logs() as logs:
        async with camera() as port:
            shadow = Place(port).start()
            await eventually(lambda: quality(shadow).packets > 10, "media")
        await finished(shadow)
    assert "a shadow session has lost its camera" in [line["event"] for line in logs]
    now = asyncio.get_running_loop().time()
    assert shadow.quality(now + 10).silent
    assert shadow.quality(now).setup_failed is None


async def test_there_are_only_so_many_at_once_and_all_end_with_the_proxy() -> None:
    async with ScriptedCamera(plays_nothing) as peer:
        place = Place(peer.port)
        decision = place.decision()
        started = [place.shadows.start(decision, URL) for _ in range(MAX_SHADOWS)]
        assert all(started)
        assert place.shadows.start(decision, URL) is None
        await eventually(lambda: sum(each.method == "PLAY" for each in peer.requests) == MAX_SHADOWS, "all to play")
        await place.shadows.end_all()
        assert sum(each.method == "TEARDOWN" for each in peer.requests) == MAX_SHADOWS
        assert place.shadows.start(decision, URL) is not None
        await place.shadows.end_all()
