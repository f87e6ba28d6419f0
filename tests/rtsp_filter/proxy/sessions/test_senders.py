"""Whose packets a relay takes, by the policy and by what the camera says of itself."""

from __future__ import annotations

import pytest

from mesh.gateways import MediaSource
from rtsp_filter.proxy.sessions.senders import camera_address, sender_at
from rtsp_filter.relays import Sender
from rtsp_filter.rtsp import Pair, TransportError, parse_transports

CAMERA = "192.0.2.1"
PORTS = Pair(5000, 5001)


@pytest.mark.parametrize("ports", [PORTS, Pair(0, 0), Pair(0, 1), None])
def test_ports_count_only_where_the_policy_asks_for_them(ports: Pair | None) -> None:
    assert sender_at(MediaSource.ANY, CAMERA, ports) is None
    assert sender_at(MediaSource.ADDRESS, CAMERA, ports) == Sender(address=CAMERA)


def test_named_ports_are_the_only_ones_where_the_policy_asks_for_them() -> None:
    expected = Sender(address=CAMERA, rtp_port=5000, rtcp_port=5001)
    assert sender_at(MediaSource.ADDRESS_AND_PORTS, CAMERA, PORTS) == expected


@pytest.mark.parametrize("ports", [Pair(0, 0), Pair(0, 1), None])
def test_who_names_no_usable_port_is_refused_where_the_policy_asks_for_ports(ports: Pair | None) -> None:
    with pytest.raises(TransportError, match="mediaSource"):
        sender_at(MediaSource.ADDRESS_AND_PORTS, CAMERA, ports)


@pytest.mark.parametrize("source", [MediaSource.ADDRESS, MediaSource.ADDRESS_AND_PORTS])
def test_an_address_with_a_zone_cannot_be_checked(source: MediaSource) -> None:
    with pytest.raises(TransportError, match="link-local"):
        sender_at(source, "fe80::1%eth0", PORTS)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", CAMERA),
        (";source=", CAMERA),
        (";source=192.0.2.9", "192.0.2.9"),
        (";source=2001:DB8::0:9", "2001:db8::9"),
        (";source=camera.example.com", CAMERA),
        (";source=0.0.0.0", CAMERA),
        (";source=::", CAMERA),
    ],
)
def test_a_camera_sends_from_the_address_that_it_names_else_from_that_of_its_connection(
    named: str, expected: str
) -> None:
    (granted,) = parse_transports(f"RTP/AVP;unicast;client_port=1000-1001{named}")
    assert camera_address(CAMERA, granted) == expected
    assert camera_address(CAMERA, None) == CAMERA
