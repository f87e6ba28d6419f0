import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp import RTPError
from rtsp_filter.rtp.h264 import group_access_units, packetize, split_annex_b

SPS, PPS = b"\x67\x4d", b"\x68\xe9"
IDR, P = b"\x65\x88\x11", b"\x41\x9a\x22"
SECOND_SLICE = b"\x41\x40\x33"


def reassemble(payloads: list[bytes]) -> list[bytes]:
    """What a receiver makes of single NAL units and FU-A fragments (RFC 6184, section 5.8)."""
    nals: list[bytes] = []
    for data in payloads:
        if data[0] & 0x1F != 28:
            nals.append(data)
        elif data[1] & 0x80:
            nals.append(bytes((data[0] & 0x60 | data[1] & 0x1F,)) + data[2:])
        else:
            nals[-1] += data[2:]
    return nals


def test_start_codes_of_both_lengths_are_split_at() -> None:
    assert split_annex_b(b"\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\0\1" + IDR) == [SPS, PPS, IDR]


def test_a_stream_without_a_nal_unit_is_refused() -> None:
    with pytest.raises(RTPError):
        split_annex_b(b"not a video")


def test_parameter_sets_belong_to_the_picture_after_them() -> None:
    assert group_access_units([SPS, PPS, IDR, P, SPS, IDR]) == [(SPS, PPS, IDR), (P,), (SPS, IDR)]


def test_slices_of_one_picture_stay_together() -> None:
    assert group_access_units([P, SECOND_SLICE, P]) == [(P, SECOND_SLICE), (P,)]


@given(
    nal_type=st.integers(1, 23),
    importance=st.integers(0, 3),
    body=st.binary(min_size=1, max_size=500),
    size=st.integers(3, 120),
)
def test_payloads_fit_and_give_the_nal_unit_back(nal_type: int, importance: int, body: bytes, size: int) -> None:
    nal = bytes((importance << 5 | nal_type,)) + body
    payloads = packetize([SPS, nal], size)
    assert all(len(payload.data) <= size for payload in payloads)
    assert reassemble([payload.data for payload in payloads]) == [SPS, nal]
    assert [payload.marker for payload in payloads] == [False] * (len(payloads) - 1) + [True]


def test_only_the_last_fragment_has_the_end_bit() -> None:
    payloads = packetize([b"\x65" + bytes(25)], 12)
    assert [payload.data[1] for payload in payloads] == [0x85, 0x05, 0x45]
