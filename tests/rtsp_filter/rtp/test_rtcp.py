import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    Goodbye,
    LastReceiverReport,
    RawBlock,
    RawPacket,
    ReceiverReferenceTime,
    ReceiverReport,
    ReportBlock,
    RTCPPacket,
    RTPError,
    SenderReport,
    SourceDescription,
    SourceDescriptionChunk,
    parse_compound,
    serialize_compound,
)

WORD = st.integers(0, 2**32 - 1)
NTP = st.integers(0, 2**64 - 1)
WORDS = st.integers(0, 3).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4))
REPORT = st.builds(
    ReportBlock,
    ssrc=WORD,
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=WORD,
    jitter=WORD,
    last_sr=WORD,
    delay_since_last_sr=WORD,
)
REPORTS = st.lists(REPORT, max_size=31).map(tuple)
ITEM = st.tuples(st.integers(1, 255), st.binary(max_size=255))
CHUNK = st.builds(SourceDescriptionChunk, ssrc=WORD, items=st.lists(ITEM, max_size=4).map(tuple))
RECEIVER = st.builds(LastReceiverReport, ssrc=WORD, last_rr=WORD, delay=WORD)
BLOCK = st.one_of(
    st.builds(ReceiverReferenceTime, ntp=NTP),
    st.builds(DelaySinceLastReceiverReport, receivers=st.lists(RECEIVER, max_size=4).map(tuple)),
    st.builds(RawBlock, type=st.sampled_from([1, 2, 3, 6, 7]), specific=st.integers(0, 255), body=WORDS),
)
PACKET = st.one_of(
    st.builds(
        SenderReport,
        ssrc=WORD,
        ntp=NTP,
        rtp_timestamp=WORD,
        packet_count=WORD,
        octet_count=WORD,
        reports=REPORTS,
        extension=WORDS,
    ),
    st.builds(ReceiverReport, ssrc=WORD, reports=REPORTS, extension=WORDS),
    st.builds(SourceDescription, chunks=st.lists(CHUNK, max_size=4).map(tuple)),
    st.builds(Goodbye, ssrcs=st.lists(WORD, max_size=31).map(tuple), reason=st.binary(max_size=255)),
    st.builds(ExtendedReport, ssrc=WORD, blocks=st.lists(BLOCK, max_size=4).map(tuple)),
    st.builds(RawPacket, type=st.integers(204, 206), count=st.integers(0, 31), body=WORDS),
)


@given(st.lists(PACKET, min_size=1, max_size=5).map(tuple))
def test_a_compound_survives_serializing_and_parsing(packets: tuple[RTCPPacket, ...]) -> None:
    assert parse_compound(serialize_compound(packets)) == packets


@given(st.binary(max_size=120))
def test_garbage_gives_only_our_error(data: bytes) -> None:
    try:
        parse_compound(data)
    except RTPError:
        return


@given(PACKET, st.data())
def test_a_damaged_body_never_raises_anything_else(packet: RTCPPacket, data: st.DataObject) -> None:
    damaged = bytearray(serialize_compound([packet]))
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] ^= data.draw(st.integers(1, 255))
    try:
        parse_compound(bytes(damaged))
    except RTPError:
        return


def test_bytes_of_a_receiver_report_are_those_of_the_rfc() -> None:
    block = ReportBlock(
        ssrc=2, fraction_lost=64, cumulative_lost=-1, highest_sequence=3, jitter=4, last_sr=5, delay_since_last_sr=6
    )
    data = serialize_compound([ReceiverReport(ssrc=1, reports=(block,))])
    assert data.hex(" ", 4) == "81c90007 00000001 00000002 40ffffff 00000003 00000004 00000005 00000006"


def test_a_packet_with_a_right_length_and_a_wrong_inside_does_not_spoil_the_compound() -> None:
    broken = bytes.fromhex("85c9000100000001")
    goodbye = Goodbye(ssrcs=(9,))
    raw, rest = parse_compound(broken + serialize_compound([goodbye]))
    assert raw == RawPacket(type=201, count=5, body=bytes.fromhex("00000001"))
    assert rest == goodbye


def test_padding_is_taken_off() -> None:
    assert parse_compound(bytes.fromhex("a0c90002 00000001 00000004")) == (ReceiverReport(ssrc=1),)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "empty"),
        ("80c9", "cut off after 2"),
        ("00c90000", "version is 0"),
        ("80c90001", "claims 1 words"),
        ("a0c9000100000003", "padding of 3"),
    ],
)
def test_a_broken_length_is_refused_with_its_reason(data: str, reason: str) -> None:
    with pytest.raises(RTPError, match=reason):
        parse_compound(bytes.fromhex(data))


def test_a_canonical_name_ends_on_a_word() -> None:
    data = serialize_compound([SourceDescription.of_cname(1, "ab")])
    assert data.hex(" ", 4) == "81ca0003 00000001 01026162 00000000"
