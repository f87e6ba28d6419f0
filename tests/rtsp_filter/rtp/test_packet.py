import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp import HeaderExtension, RTPError, RTPPacket, build_header, parse_header

WORD = st.integers(0, 2**32 - 1)
EXTENSION = st.builds(
    HeaderExtension,
    profile=st.integers(0, 2**16 - 1),
    data=st.integers(0, 5).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4)),
)
PACKET = st.builds(
    RTPPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 2**16 - 1),
    timestamp=WORD,
    ssrc=WORD,
    payload=st.binary(max_size=64),
    marker=st.booleans(),
    csrcs=st.lists(WORD, max_size=15).map(tuple),
    extension=st.none() | EXTENSION,
    padding=st.integers(0, 255),
)


@given(PACKET)
def test_a_packet_survives_serializing_and_parsing(packet: RTPPacket) -> None:
    assert RTPPacket.parse(packet.serialize()) == packet


@given(PACKET)
def test_the_header_alone_reads_the_same_as_the_whole_packet(packet: RTPPacket) -> None:
    header = parse_header(packet.serialize())
    assert header == (packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc)


@given(st.binary(max_size=80))
def test_garbage_gives_only_our_error(data: bytes) -> None:
    try:
        RTPPacket.parse(data)
    except RTPError:
        return


def test_a_built_header_is_a_packet_with_its_payload() -> None:
    header = build_header(payload_type=96, marker=True, sequence=65_537, timestamp=2**32 + 5, ssrc=7)
    expected = RTPPacket(payload_type=96, marker=True, sequence=1, timestamp=5, ssrc=7, payload=b"media")
    assert RTPPacket.parse(header + b"media") == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80" + bytes(10), "at least 12 bytes"),
        (bytes(12), "version is 0"),
        (b"\x81" + bytes(11), "no room for 1 CSRCs"),
        (b"\x90" + bytes(11), "extension is cut off"),
        (b"\x90" + bytes(13) + b"\x00\x01", "claims 1 words"),
        (b"\xa0" + bytes(11) + b"\x02", "padding of 2 bytes"),
        (b"\xa0" + bytes(11) + b"\x00", "padding of 0 bytes"),
    ],
)
def test_a_malformed_packet_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(RTPError, match=reason):
        RTPPacket.parse(data)


@pytest.mark.parametrize(
    "packet",
    [
        RTPPacket(payload_type=96, sequence=0, timestamp=0, ssrc=0, csrcs=(0,) * 16),
        RTPPacket(payload_type=96, sequence=0, timestamp=0, ssrc=0, padding=256),
        RTPPacket(payload_type=96, sequence=0, timestamp=0, ssrc=0, extension=HeaderExtension(profile=0, data=b"odd")),
    ],
)
def test_what_no_packet_can_carry_is_not_serialized(packet: RTPPacket) -> None:
    with pytest.raises(ValueError, match=r"fit|whole"):
        packet.serialize()
