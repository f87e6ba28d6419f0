"""Transport headers of RTSP 2.0, and what they say in RTSP 1.0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import Delivery, Pair, TransportSpec, parse_transports
from rtsp_filter.rtsp.version2.transport import names_addresses, to_addresses, to_ports

PORTS = st.builds(Pair, st.integers(0, 65535), st.integers(0, 65535))
HOSTS = st.none() | st.sampled_from(["192.0.2.1", "2001:db8::1", "camera.example"])


def ports(parameters: str) -> TransportSpec | None:
    (spec,) = parse_transports(f"RTP/AVP;{parameters}")
    return to_ports(spec)


@pytest.mark.parametrize(
    ("written", "host", "pair"),
    [
        ('":4588"/":4589"', None, Pair(4588, 4589)),
        ('"192.0.2.5:3456"/"192.0.2.5:3459"', "192.0.2.5", Pair(3456, 3459)),
        ('"[2001:db8::5]:3456"/"[2001:db8::5]:3457"', "2001:db8::5", Pair(3456, 3457)),
        ('":5000"', None, Pair(5000, 5001)),
        ('"player.example:6000" / "player.example:6001"', "player.example", Pair(6000, 6001)),
    ],
)
def test_addresses_are_the_ports_of_version_1(written: str, host: str | None, pair: Pair) -> None:
    spec = ports(f"unicast;dest_addr={written};x-vendor=1")
    assert spec is not None
    assert (spec.destination, spec.client_port, spec.others) == (host, pair, ("x-vendor=1",))


def test_both_ends_are_read_from_an_answer() -> None:
    spec = ports('unicast;dest_addr=":8000"/":8001";src_addr="192.0.2.9:6970"/"192.0.2.9:6971";ssrc=2A3F93ED')
    assert spec is not None
    assert (spec.client_port, spec.source, spec.server_port) == (Pair(8000, 8001), "192.0.2.9", Pair(6970, 6971))
    assert spec.ssrc == "2A3F93ED"


def test_a_group_has_its_own_ports() -> None:
    spec = ports('multicast;dest_addr="233.252.0.54:3456"/"233.252.0.54:3457";ttl=127')
    assert spec is not None
    assert (spec.delivery, spec.destination, spec.port) == (Delivery.MULTICAST, "233.252.0.54", Pair(3456, 3457))


@pytest.mark.parametrize(
    "written",
    [
        'dest_addr="192.0.2.5:1"/"192.0.2.6:2"',
        'dest_addr="192.0.2.5"',
        'dest_addr=":65535"',
        'dest_addr=":99999"/":5"',
        "dest_addr=:1",
        "dest_addr",
        'dest_addr=":5000";RTCP-mux',
        'dest_addr=":5000"/":5001";src_addr="x"',
    ],
)
def test_what_version_1_cannot_say_is_no_offer(written: str) -> None:
    assert ports(f"unicast;{written}") is None


def test_a_player_that_could_share_one_port_gets_two() -> None:
    spec = ports('unicast;dest_addr=":5000"/":5001";RTCP-mux')
    assert spec is not None
    assert (spec.client_port, spec.others) == (Pair(5000, 5001), ())


def test_parameters_of_version_1_are_read_too_and_told_apart() -> None:
    spec = ports("unicast;client_port=5000-5001")
    assert spec is not None
    assert spec.client_port == Pair(5000, 5001)
    assert not names_addresses(spec)
    assert names_addresses(to_addresses(spec))


def test_an_answer_is_written_with_addresses() -> None:
    spec = TransportSpec(client_port=Pair(8000, 8001), source="2001:db8::9", server_port=Pair(6970, 6971), ssrc="0A")
    addresses = 'dest_addr=":8000"/":8001";src_addr="[2001:db8::9]:6970"/"[2001:db8::9]:6971"'
    assert to_addresses(spec).encode() == f"RTP/AVP;unicast;ssrc=0A;{addresses}"


def test_interleaved_channels_are_written_alike_in_both() -> None:
    (spec,) = parse_transports("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1")
    assert to_addresses(spec) == to_ports(spec) == spec


@given(HOSTS, PORTS, st.none() | PORTS)
def test_what_is_written_is_read_as_it_was(host: str | None, client: Pair, server: Pair | None) -> None:
    spec = TransportSpec(destination=host, client_port=client, server_port=server, source=host if server else None)
    (written,) = parse_transports(to_addresses(spec).encode())
    assert to_ports(written) == spec


@given(st.text(max_size=40))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for spec in parse_transports(f"RTP/AVP;dest_addr={text};src_addr={text}"):
        to_ports(spec)
