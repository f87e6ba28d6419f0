"""Which of the offered transports a camera takes."""

from __future__ import annotations

import pytest

from rtsp_filter.camera.negotiation import Peer, negotiate
from rtsp_filter.camera.session import TCPTarget, UDPTarget
from rtsp_filter.rtsp import Pair, RTSPError, StatusCode

PEER = Peer(connection=3, remote=("192.0.2.9", 40000), local="192.0.2.1", server_ports=Pair(6000, 6001))


def test_the_first_offer_that_can_be_met_is_taken() -> None:
    offer = "RTP/AVP;multicast,RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=4-5,RTP/AVP;client_port=1-2"
    target, answer = negotiate(offer, PEER, set(), 0xAB)
    assert target == TCPTarget(connection=3, channels=Pair(4, 5))
    assert answer.ssrc == "000000AB"


def test_media_goes_to_the_player_itself() -> None:
    target, _ = negotiate("RTP/AVP;unicast;destination=192.0.2.9;client_port=7000", PEER, set(), 1)
    assert target == UDPTarget(local="192.0.2.1", rtp=("192.0.2.9", 7000), rtcp=("192.0.2.9", 7001))


def test_media_for_a_third_party_is_refused() -> None:
    with pytest.raises(RTSPError) as error:
        negotiate("RTP/AVP;unicast;destination=198.51.100.1;client_port=7000", PEER, set(), 1)
    assert error.value.status is StatusCode.FORBIDDEN


def test_an_ipv6_scope_is_kept() -> None:
    linked = Peer(connection=1, remote=("fe80::2", 1, 0, 4), local="fe80::1", server_ports=Pair(2, 3))
    target, _ = negotiate("RTP/AVP;unicast;client_port=7000-7001", linked, set(), 1)
    assert isinstance(target, UDPTarget)
    assert target.rtcp == ("fe80::2", 7001, 0, 4)


@pytest.mark.parametrize(
    "offer",
    ["", "RTP/AVP;unicast", "RTP/AVP;unicast;client_port=0-1", "RTP/AVP;unicast;client_port=1-2;mode=record",
     "RTP/AVP/TCP;interleaved=8-8", "RTP/AVP/TCP;interleaved=1-2"],
)  # fmt: skip
def test_what_cannot_be_met_is_461(offer: str) -> None:
    with pytest.raises(RTSPError) as error:
        negotiate(offer, PEER, {1}, 1)
    assert error.value.status is StatusCode.UNSUPPORTED_TRANSPORT


def test_channels_are_assigned_where_none_are_asked_for() -> None:
    target, answer = negotiate("RTP/AVP/TCP;unicast", PEER, {0, 3}, 1)
    assert answer.interleaved == Pair(4, 5)
    assert target == TCPTarget(connection=3, channels=Pair(4, 5))
    with pytest.raises(RTSPError):
        negotiate("RTP/AVP/TCP;unicast", PEER, set(range(256)), 1)
