"""Transport headers as real peers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import (
    Delivery,
    LowerTransport,
    Pair,
    TransportSpec,
    encode_transports,
    parse_ssrc,
    parse_transports,
)

PORTS = st.none() | st.builds(Pair, st.integers(0, 65535), st.integers(0, 65535))
CHANNELS = st.none() | st.builds(Pair, st.integers(0, 255), st.integers(0, 255))
WORDS = st.none() | st.from_regex(r"[a-zA-Z0-9:.]{1,15}", fullmatch=True)
SPECS = st.builds(
    TransportSpec,
    profile=st.sampled_from(["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"]),
    lower=st.sampled_from(LowerTransport),
    delivery=st.sampled_from(Delivery),
    destination=WORDS,
    source=WORDS,
    interleaved=CHANNELS,
    client_port=PORTS,
    server_port=PORTS,
    port=PORTS,
    ttl=st.none() | st.integers(0, 255),
    ssrc=WORDS,
    mode=WORDS,
    others=st.lists(st.from_regex(r"x-[a-z]{1,5}(=[a-z0-9]{1,5})?", fullmatch=True), max_size=3).map(tuple),
)


def only(value: str) -> TransportSpec:
    (spec,) = parse_transports(value)
    return spec


@given(st.lists(SPECS, min_size=1, max_size=3))
def test_a_transport_survives_encoding_and_parsing(specs: list[TransportSpec]) -> None:
    assert parse_transports(encode_transports(tuple(specs))) == tuple(specs)


@given(st.text(max_size=60))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    parse_transports(f"RTP/AVP;{text}")
    parse_transports(text)


def test_entries_come_in_the_order_of_preference_without_those_we_cannot_use() -> None:
    specs = parse_transports(
        "RAW/RAW/UDP;unicast, RTP/AVP/TCP;interleaved=0-1,RTP/AVP/UDP;unicast;client_port=6000-6001"
    )
    assert [spec.lower for spec in specs] == [LowerTransport.TCP, LowerTransport.UDP]


@pytest.mark.parametrize(
    ("written", "ssrc"),
    [
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=40000-40001,ssrc=FFFFCCCC", None),
        ("RTP/AVP;ssrc=22345685;unicast;client_port=5000-5001;server_port=40000-40001", "22345685"),
        ("RTP/AVP/UDP; unicast; server_port=40000 - 40001; client_port=5000-5001; ssrc=1", "1"),
    ],
)
def test_an_answer_is_read_in_any_order_and_with_a_comma_in_the_wrong_place(written: str, ssrc: str | None) -> None:
    spec = only(written)
    assert (spec.client_port, spec.server_port, spec.ssrc) == (Pair(5000, 5001), Pair(40000, 40001), ssrc)


def test_nothing_usable_gives_nothing() -> None:
    assert parse_transports("RTP/AVP/SCTP;unicast,MP2T/H2221/UDP") == ()
    assert parse_transports("") == ()


def test_a_single_number_implies_the_pair() -> None:
    spec = only("RTP/AVP;unicast;client_port=5000;interleaved=2")
    assert (spec.client_port, spec.interleaved) == (Pair(5000, 5001), Pair(2, 3))


def test_odd_pairs_are_kept() -> None:
    assert only("RTP/AVP/TCP;unicast;interleaved=5-9").interleaved == Pair(5, 9)


@pytest.mark.parametrize(("text", "pair"), [("0-0", Pair(0, 0)), ("0-1", Pair(0, 1))])
def test_server_ports_that_mean_nothing_are_told_as_they_are(text: str, pair: Pair) -> None:
    assert only(f"RTP/AVP;unicast;server_port={text}").server_port == pair


@pytest.mark.parametrize(
    "text", ["client_port=x", "client_port=70000-70001", "client_port=65535", "interleaved=256-257", "ttl=-1"]
)
def test_a_parameter_that_does_not_parse_is_kept_as_text(text: str) -> None:
    spec = only(f"RTP/AVP;unicast;{text}")
    assert (spec.client_port, spec.interleaved, spec.ttl, spec.others) == (None, None, None, (text,))
    assert text in spec.encode()


def test_an_empty_source_says_nothing() -> None:
    assert only("RTP/AVP;unicast;source=;client_port=1-2").source is None


def test_a_source_may_be_a_host_name_or_an_ipv6_address() -> None:
    assert only("RTP/AVP;unicast;source=camera.local").source == "camera.local"
    assert only("RTP/AVP;unicast;source=2001:db8::1").source == "2001:db8::1"


def test_delivery_is_unicast_unless_said_or_a_group_port_is_named() -> None:
    assert only("RTP/AVP;client_port=1-2").delivery is Delivery.UNICAST
    assert only("RTP/AVP;port=1-2;ttl=5").delivery is Delivery.MULTICAST
    assert only("RTP/AVP;multicast;destination=239.1.1.1").delivery is Delivery.MULTICAST


def test_names_are_read_without_regard_to_case_and_blanks() -> None:
    spec = only(' rtp/avp/tcp ; UNICAST ; Interleaved = 0 - 1 ; mode="PLAY" ')
    assert (spec.profile, spec.lower, spec.interleaved) == ("RTP/AVP", LowerTransport.TCP, Pair(0, 1))
    assert spec.mode == '"PLAY"'


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0000ABCD", 0xABCD),
        ("abcd", 0xABCD),
        (" 1A2B3C4D ", 0x1A2B3C4D),
        ("0x1a2b3c4d", 0x1A2B3C4D),
        ("4294967295", 0xFFFFFFFF),
        ("9999999999", None),
        ("hello", None),
        ("", None),
        (None, None),
    ],
)
def test_an_ssrc_is_read_however_it_is_written(text: str | None, number: int | None) -> None:
    assert parse_ssrc(text) == number
