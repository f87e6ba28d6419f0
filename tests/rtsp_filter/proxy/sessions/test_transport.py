"""What the proxy grants, and asks of the camera, for each offer of a client."""

from __future__ import annotations

import pytest

from rtsp_filter.proxy.sessions import transport
from rtsp_filter.relays import Allocation
from rtsp_filter.rtsp import Delivery, LowerTransport, Pair, RTSPError, StatusCode, TransportError, parse_transports

BOTH = frozenset(LowerTransport)
UDP = frozenset({LowerTransport.UDP})
CLIENT = "192.0.2.7"


def allocation(*addresses: str) -> Allocation:
    return Allocation(slot=1, addresses=addresses, ingress_port=20004, egress_port=20006)


def chosen(value: str, allowed: frozenset[LowerTransport] = BOTH) -> str:
    return transport.choose(parse_transports(value), CLIENT, allowed).encode()


def test_the_first_offer_that_is_possible_wins() -> None:
    offers = "RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast;client_port=5000-5001"
    assert chosen(offers) == "RTP/AVP/TCP;unicast;interleaved=0-1"
    assert chosen(offers, UDP) == "RTP/AVP;unicast;client_port=5000-5001"


@pytest.mark.parametrize(
    "offers", ["RTP/AVP;multicast", "RAW/RAW/UDP", "", "RTP/AVP;unicast", "RTP/AVP;client_port=0-0"]
)
def test_without_a_possible_offer_the_answer_is_461(offers: str) -> None:
    with pytest.raises(TransportError) as error:
        chosen(offers)
    assert error.value.status == StatusCode.UNSUPPORTED_TRANSPORT


def test_multicast_is_chosen_in_its_turn_where_it_is_possible() -> None:
    offers = parse_transports("RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=0-1")
    assert transport.choose(offers, CLIENT, BOTH, no_multicast="").delivery is Delivery.MULTICAST
    assert transport.choose(tuple(reversed(offers)), CLIENT, BOTH, no_multicast="").delivery is Delivery.UNICAST


def test_who_wants_multicast_only_is_told_why_there_is_none() -> None:
    with pytest.raises(TransportError, match="unicast TCP or unicast UDP is; multicast is not: no groups"):
        transport.choose(parse_transports("RTP/AVP;multicast"), CLIENT, BOTH, no_multicast="no groups")


@pytest.mark.parametrize("offer", ["RTP/AVP/TCP;multicast", "RTP/AVP;multicast;mode=RECORD"])
def test_nobody_records_to_a_group_or_has_one_over_tcp(offer: str) -> None:
    with pytest.raises(TransportError):
        transport.choose(parse_transports(offer), CLIENT, BOTH, no_multicast="")


def test_readers_are_told_of_group_ports_and_time_to_live() -> None:
    [told] = parse_transports("RTP/AVP;unicast;source=192.0.2.1;client_port=1-2;server_port=3-4;ssrc=0A;mode=PLAY")
    answer = transport.answer_multicast(told, "239.1.2.3", Pair(16384, 16385), 3)
    assert answer.encode() == "RTP/AVP;multicast;destination=239.1.2.3;source=192.0.2.1;port=16384-16385;ttl=3;ssrc=0A"


@pytest.mark.parametrize("destination", ["198.51.100.9", "victim.example", "2001:db8::1"])
def test_media_for_a_third_party_is_refused(destination: str) -> None:
    with pytest.raises(RTSPError) as error:
        chosen(f"RTP/AVP;unicast;destination={destination};client_port=5000-5001")
    assert error.value.status == StatusCode.FORBIDDEN


def test_a_destination_that_is_the_client_itself_is_fine() -> None:
    assert "client_port=5000-5001" in chosen(f"RTP/AVP;unicast;destination={CLIENT};client_port=5000-5001")


def test_the_camera_is_asked_to_send_to_the_media_proxy() -> None:
    [spec] = parse_transports('RTP/AVP;unicast;client_port=5000-5001;mode="PLAY"')
    asked = transport.upstream_udp(spec, allocation("192.0.2.1"), "192.0.2.1", "192.0.2.10")
    assert asked.encode() == 'RTP/AVP;unicast;client_port=20004-20005;mode="PLAY"'


def test_a_media_proxy_elsewhere_is_named_to_both_sides() -> None:
    [spec] = parse_transports("RTP/AVP;unicast;client_port=5000-5001")
    media = allocation("192.0.2.1")
    assert transport.upstream_udp(spec, media, "192.0.2.99", "192.0.2.10").destination == "192.0.2.1"
    [granted] = parse_transports(
        "RTP/AVP;unicast;client_port=20004-20005;server_port=9000-9001;ssrc=1F;source=192.0.2.10"
    )
    answer = transport.answer_udp(spec, granted, media, CLIENT)
    assert answer.encode() == "RTP/AVP;unicast;source=192.0.2.1;client_port=5000-5001;server_port=20006-20007;ssrc=1F"


def test_a_wildcard_media_address_is_whatever_each_side_sees() -> None:
    [spec] = parse_transports("RTP/AVP;unicast;client_port=5000-5001")
    media = allocation("0.0.0.0", "::")
    assert transport.upstream_udp(spec, media, "192.0.2.1", "192.0.2.10").destination is None
    assert transport.answer_udp(spec, None, media, "2001:db8::7").source is None


@pytest.mark.parametrize("peer", ["192.0.2.10", "2001:db8::10"])
def test_media_that_could_not_arrive_is_refused_with_the_remedy(peer: str) -> None:
    [spec] = parse_transports("RTP/AVP;unicast;client_port=5000-5001")
    with pytest.raises(TransportError, match="--media-address"):
        transport.upstream_udp(spec, allocation("127.0.0.1"), "192.0.2.1", peer)
    with pytest.raises(TransportError, match="--media-address"):
        transport.answer_udp(spec, None, allocation("127.0.0.1"), peer)


def test_channels_are_those_asked_for_or_the_next_free_ones() -> None:
    [plain] = parse_transports("RTP/AVP/TCP;unicast")
    [odd] = parse_transports("RTP/AVP/TCP;unicast;interleaved=3-4")
    assert transport.channels(plain, []) == (0, 1)
    assert transport.channels(plain, [Pair(0, 1), Pair(3, 4)]) == (6, 7)
    assert transport.channels(odd, [Pair(0, 1)]) == (3, 4)
    with pytest.raises(RTSPError) as error:
        transport.channels(odd, [Pair(4, 5)])
    assert error.value.status == StatusCode.BAD_REQUEST


def test_channels_are_translated_only_where_the_camera_chose_others() -> None:
    assert transport.channel_table([(Pair(0, 1), Pair(0, 1))]) is None
    table = transport.channel_table([(Pair(0, 1), Pair(2, 3)), (Pair(2, 3), Pair(0, 1))])
    assert table is not None
    assert list(table[:5]) == [2, 3, 0, 1, 4]


@pytest.mark.parametrize("mode", ["record", '"RECORD"', "RECORD"])
def test_who_records_sends_to_the_relays_entrance_and_the_server_receives_from_its_exit(mode: str) -> None:
    [spec] = parse_transports(f"RTP/AVP/UDP;unicast;client_port=5000-5001;mode={mode}")
    media = allocation("192.0.2.1")
    asked = transport.upstream_udp(spec, media, "192.0.2.1", "192.0.2.10")
    assert asked.encode() == "RTP/AVP;unicast;client_port=20006-20007;mode=record"
    answer = transport.answer_udp(spec, None, media, CLIENT)
    assert (answer.server_port, answer.client_port) == (Pair(20004, 20005), Pair(5000, 5001))
