"""Media of a camera's group on its way to a client, and what happens to it when another camera takes over."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.way import Legs, Way
from rtsp_filter.proxy.sessions.ways import make_way
from rtsp_filter.relays import RelayClient
from rtsp_filter.rtsp import Payload, TransportSpec, parse_transports
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually
from tests.rtsp_filter.proxy.sessions.test_session import Camera, Relays

HERE = "127.0.0.1"
GROUP, OTHER_GROUP = "239.66.4.1", "239.66.4.2"


class Frames:
    """Stands in for a client's connection."""

    def __init__(self) -> None:
        self.got: list[tuple[int, bytes]] = []

    def write_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        self.got += [(channel, bytes(payload)) for payload in payloads]


class Scene:
    """One way from a group to a client, and somebody who sends to groups."""

    def __init__(self, offer: str, port: int) -> None:
        self.port = port
        self.client, self.relays, self.groups = Frames(), Relays(), CameraGroups(None)
        self.relays.first_port = port + 2
        (spec,) = parse_transports(offer)
        self.way: Way = make_way(self._legs(), spec, CameraLeg.MULTICAST, "video")

    def _legs(self) -> Legs:
        return Legs(
            session_id="s",
            client_address=HERE,
            client=self.client,
            upstream=cast(Upstream, Camera()),
            relays=cast(RelayClient, self.relays),
            groups=self.groups,
            hold=lambda _: None,
            release=lambda relay_id: None,
        )

    def granted(self, group: str) -> None:
        (spec,) = parse_transports(f"RTP/AVP;multicast;destination={group};port={self.port}-{self.port + 1}")
        self.way.granted(spec)

    async def set_up(self) -> TransportSpec:
        assert (await self.way.prepare()).encode() == "RTP/AVP;multicast"
        self.granted(GROUP)
        for relay in self.relays.opened:
            relay.ready.set_result(None)
        await self.way.opened()
        return self.way.finish()

    def send(self, group: str, datagram: bytes, kind: int = 0) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
            sock.sendto(datagram, (group, self.port + kind))


@pytest.fixture
def port() -> Iterator[int]:
    with reserve_ports(4) as ports:
        yield ports.first


async def test_datagrams_of_a_group_become_frames_of_the_channels_that_the_client_asked_for(port: int) -> None:
    scene = Scene("RTP/AVP/TCP;unicast;interleaved=6-7", port)
    assert str((await scene.set_up()).interleaved) == "6-7"
    scene.send(GROUP, b"rtp")
    scene.send(GROUP, b"rtcp", 1)
    await eventually(lambda: len(scene.client.got) == 2, "both frames")
    assert sorted(scene.client.got) == [(6, b"rtp"), (7, b"rtcp")]
    assert scene.relays.opened == []
    scene.way.close()
    assert len(scene.groups) == 0


async def test_datagrams_of_a_group_go_into_a_relay_and_reports_of_the_client_nowhere(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ingress:
        ingress.bind((HERE, port + 2))
        ingress.setblocking(False)
        scene = Scene("RTP/AVP;unicast;client_port=5000-5001", port)
        assert str((await scene.set_up()).client_port) == "5000-5001"
        scene.send(GROUP, b"rtp")

        got: list[bytes] = []

        def arrived() -> bool:
            try:
                got.append(ingress.recv(100))
            except BlockingIOError:
                return False
            return True

        await eventually(arrived, "the datagram")
        scene.way.from_client(1, [b"report"])
        assert got == [b"rtp"]
        assert scene.way.quiet_relays(camera=False, client=False) == {"0"}
        scene.way.close()
    assert len(scene.groups) == 0


async def test_another_camera_s_group_takes_the_place_of_one_that_has_failed(port: int) -> None:
    scene = Scene("RTP/AVP/TCP;unicast;interleaved=0-1", port)
    await scene.set_up()
    await scene.way.vacate()
    assert len(scene.groups) == 0
    assert scene.way.ask_another(cast(Upstream, Camera())).encode() == "RTP/AVP;multicast"
    scene.granted(OTHER_GROUP)
    await scene.way.refill()
    scene.send(GROUP, b"of the one that failed")
    scene.send(OTHER_GROUP, b"rtp")
    await eventually(lambda: scene.client.got, "a frame")
    assert scene.client.got == [(0, b"rtp")]
    scene.way.close()
