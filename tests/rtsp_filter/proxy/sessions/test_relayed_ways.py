"""Whose packets the relays of a way take, whoever its sender is, and when that is said."""

from __future__ import annotations

from typing import cast

import pytest

from mesh.gateways import MediaSource
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.way import Legs, Way
from rtsp_filter.proxy.sessions.ways import make_way
from rtsp_filter.relays import Receiver, RelayClient, Sender
from rtsp_filter.rtp.splice import Splice
from rtsp_filter.rtsp import TransportError, TransportSpec, parse_transports
from tests.rtsp_filter.proxy.sessions.test_group_ways import Frames
from tests.rtsp_filter.proxy.sessions.test_session import Camera, Relays

CLIENT, CAMERA, HERE = "192.0.2.1", "127.0.0.1", "127.0.0.1"
PLAYED = "RTP/AVP;unicast;client_port=5000-5001"
RECORDED = "RTP/AVP;unicast;client_port=5000-5001;mode=record"
NAMED = "RTP/AVP;unicast;server_port=7000-7001"
PLAYER = Receiver(address=HERE, rtp_port=5000, rtcp_port=5001)
ADDRESS, PORTS = MediaSource.ADDRESS, MediaSource.ADDRESS_AND_PORTS


class Scene:
    """One way, and what was asked of the control plane for it."""

    def __init__(
        self, source: MediaSource, offer: str = PLAYED, camera: CameraLeg = CameraLeg.UDP, *, movable: bool = False
    ) -> None:
        self.relays = Relays()
        legs = Legs(
            session_id="s",
            client_address=HERE,
            client=Frames(),
            upstream=cast(Upstream, Camera()),
            relays=cast(RelayClient, self.relays),
            groups=CameraGroups(None),
            hold=lambda _: None,
            release=lambda _: None,
            splice=Splice(90_000) if movable else None,
            source=source,
        )
        self.way: Way = make_way(legs, _spec(offer), camera, "video")

    async def set_up(self, granted: str) -> None:
        await self.way.prepare()
        self.way.granted(_spec(granted))
        for relay in self.relays.opened:
            relay.ready.set_result(None)
        try:
            self.way.finish()
            await self.way.opened()
        finally:
            self.way.close()


def _spec(text: str) -> TransportSpec:
    (spec,) = parse_transports(text)
    return spec


@pytest.mark.parametrize("granted", [NAMED, "RTP/AVP;unicast;server_port=0-0", "RTP/AVP;unicast"])
async def test_a_camera_is_known_by_its_address_before_it_is_asked_and_whatever_ports_it_names(granted: str) -> None:
    scene = Scene(ADDRESS)
    await scene.set_up(granted)
    assert (scene.relays.receivers, scene.relays.senders) == ([PLAYER], [Sender(address=CAMERA)])


async def test_where_anybody_may_send_a_relay_is_for_nobody_alone() -> None:
    scene = Scene(MediaSource.ANY)
    await scene.set_up(f"{NAMED};source=192.0.2.9")
    assert (scene.relays.receivers, scene.relays.senders) == ([PLAYER], [None])


async def test_a_camera_that_names_another_source_is_expected_there() -> None:
    scene = Scene(ADDRESS)
    await scene.set_up(f"{NAMED};source=192.0.2.9")
    assert scene.relays.receivers == [PLAYER, PLAYER]
    assert scene.relays.senders == [Sender(address=CAMERA), Sender(address="192.0.2.9")]


async def test_where_ports_count_a_relay_leads_nowhere_until_the_camera_has_named_them() -> None:
    scene = Scene(PORTS)
    await scene.set_up(NAMED)
    assert scene.relays.receivers == [None, PLAYER]
    assert scene.relays.senders == [None, Sender(address=CAMERA, rtp_port=7000, rtcp_port=7001)]


@pytest.mark.parametrize("granted", ["RTP/AVP;unicast;server_port=0-1", "RTP/AVP;unicast"])
async def test_where_ports_count_and_the_camera_names_none_its_relay_never_leads_anywhere(granted: str) -> None:
    scene = Scene(PORTS)
    with pytest.raises(TransportError):
        await scene.set_up(granted)
    assert scene.relays.receivers == [None]


@pytest.mark.parametrize(
    ("source", "expected"),
    [(ADDRESS, Sender(address=HERE)), (PORTS, Sender(address=HERE, rtp_port=5000, rtcp_port=5001))],
)
async def test_a_recording_is_taken_from_the_client_alone(source: MediaSource, expected: Sender) -> None:
    scene = Scene(source, RECORDED)
    await scene.set_up(NAMED)
    assert scene.relays.senders == [expected, expected]
    assert scene.relays.receivers == [None, Receiver(address=CAMERA, rtp_port=7000, rtcp_port=7001)]


async def test_what_a_camera_sends_over_tcp_is_taken_from_this_process_alone() -> None:
    scene = Scene(PORTS, PLAYED, CameraLeg.TCP)
    await scene.set_up("RTP/AVP/TCP;unicast;interleaved=0-1")
    (sender,) = scene.relays.senders
    assert sender is not None
    assert (sender.address, sender.rtcp_port) == (HERE, sender.rtp_port + 1)


async def test_of_two_relays_the_first_is_for_the_camera_and_the_second_for_this_process() -> None:
    scene = Scene(ADDRESS, movable=True)
    await scene.set_up(NAMED)
    assert scene.relays.senders == [Sender(address=CAMERA), Sender(address=HERE)]
