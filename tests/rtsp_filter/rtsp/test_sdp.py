"""Session descriptions of real servers: read where understood, kept to the byte where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import SDPError, SessionDescription

CAMERA = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=Cam \xff\r\nc=IN IP4 10.0.0.5/127\r\nt=0 0\r\na=control:*\r\n"
    b"a=source-filter: incl IN IP4 * 10.0.0.5\r\n"
    b"m=video 0 RTP/AVP 96\r\nc=IN IP4 10.0.0.5\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;profile-level-id=42E01F\r\na=control:trackID=1\r\na=x-odd: \x01 \r\n"
    b"m=audio 0 RTP/AVP 97 0\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=control:trackID=2\r\n"
    b"m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
)  # fmt: skip
LINES = st.lists(
    st.sampled_from([b"v=0", b"m=video 0 RTP/AVP 96", b"m=", b"a=control:x", b"", b"o=", b"c=", b"a=rtpmap:"])
    | st.binary(max_size=12)
)  # fmt: skip


def parse(data: bytes) -> SessionDescription:
    return SessionDescription.parse(data)


def test_media_are_described() -> None:
    video, audio, metadata = parse(CAMERA).media
    assert (video.media, video.port, video.proto, video.formats) == ("video", 0, "RTP/AVP", ("96",))
    assert (video.control, audio.control, metadata.control) == ("trackID=1", "trackID=2", None)
    assert video.fmtp == "packetization-mode=1;profile-level-id=42E01F"
    assert video.rtpmap is not None
    assert (video.rtpmap.codec, video.rtpmap.clock_rate, video.rtpmap.channels) == ("H264", 90000, None)
    assert audio.rtpmap is not None
    assert (audio.rtpmap.codec, audio.rtpmap.clock_rate, audio.rtpmap.channels) == ("MPEG4-GENERIC", 44100, 2)
    assert parse(CAMERA).control == "*"


def test_what_was_not_changed_is_encoded_to_the_byte() -> None:
    assert parse(CAMERA).encode() == CAMERA


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_anything_is_encoded_to_the_byte_and_read_without_an_error(lines: list[bytes], end: bytes) -> None:
    data = end.join(lines)
    try:
        description = parse(data)
    except SDPError:
        return
    assert description.encode() == data
    assert all(medium.rtpmap is None or medium.rtpmap.codec for medium in description.media)
    changed = description.with_connection("::1").with_origin_address("::1").with_controls({None: "*"})
    assert changed.control == "*"
    assert len(changed.media) == len(description.media)


def test_line_feeds_blank_lines_and_a_missing_last_line_end_are_accepted() -> None:
    description = parse(b"\nv=0\no=- 1001 1 IN \ns=x\n\nm=video 0 RTP/AVP 26\n\na=control:t")
    assert description.media[0].control == "t"
    assert description.media[0].rtpmap is None


def test_an_origin_with_nothing_after_in_gets_an_address() -> None:
    changed = parse(b"v=0\no=- 1001 1 IN \ns=x\n").with_origin_address("192.0.2.1")
    assert changed.encode() == b"v=0\no=- 1001 1 IN IP4 192.0.2.1\ns=x\n"


@pytest.mark.parametrize(
    "written",
    [
        b"v=0\no=- 1001 1 IN\ns=IPC\nm=video 0 RTP/AVP 105\nc=IN\na=control:t\n",
        b"v=0\ns=no origin\nt=0 0\na=control:*\nc=IN IP4 10.0.0.5\nm=video 0 RTP/AVP 96\na=control:t\n",
        b"v=0\nc=IN IP4 '&\x81\xfe\nm=video -1353744643 RTP/AVP 96\na=control:t\n",
        b"v=0\no=- 19599440071187478912 1 IN IP4 10.0.0.5\na=control:*\na=control:*\nm=video 0 X 9\na=control:t\n",
        b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:t\n",
    ],
)
def test_descriptions_of_cameras_that_leave_out_or_garble_lines_are_read(written: bytes) -> None:
    description = parse(written)
    (medium,) = description.media
    assert (medium.media, medium.port, medium.control) == ("video", 0, "t")
    changed = description.with_connection("192.0.2.1").with_origin_address("192.0.2.1").with_controls({0: "u"})
    assert b"10.0.0.5" not in changed.encode()
    assert set(changed.connection_addresses) <= {"192.0.2.1"}
    assert len(changed.raw_lines) == len(description.raw_lines)


def test_controls_are_replaced_in_place_or_added_at_the_end_of_their_section() -> None:
    changed = parse(CAMERA).with_controls({None: "rtsp://me/", 0: "a", 2: "c"})
    assert changed.control == "rtsp://me/"
    assert [medium.control for medium in changed.media] == ["a", "trackID=2", "c"]
    before, after = CAMERA.splitlines(), changed.encode().splitlines()
    assert after[-1] == b"a=control:c"
    assert [line for line in before if b"control" not in line] == [line for line in after if b"control" not in line]


def test_a_control_goes_before_trailing_blank_lines_and_after_a_line_without_end() -> None:
    changed = parse(b"v=0\nm=video 0 RTP/AVP 26\n\nm=audio 0 RTP/AVP 8").with_controls({0: "a", 1: "b"})
    assert changed.encode() == b"v=0\nm=video 0 RTP/AVP 26\na=control:a\n\nm=audio 0 RTP/AVP 8\na=control:b\n"


def test_no_upstream_address_is_left_after_all_addresses_were_replaced() -> None:
    hidden = parse(CAMERA).with_connection("2001:db8::1").with_origin_address("2001:db8::1")
    hidden = hidden.without_attributes("source-filter")
    assert b"10.0.0.5" not in hidden.encode()
    assert b"c=IN IP6 2001:db8::1\r\n" in hidden.encode()
    assert hidden.connection_addresses == ("2001:db8::1", "2001:db8::1")


def test_connection_addresses_come_without_ttl() -> None:
    assert parse(CAMERA).connection_addresses == ("10.0.0.5", "10.0.0.5")
    assert parse(b"v=0\nc=IN IP6 ff15::101/3\n").connection_addresses == ("ff15::101",)


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\0\1\2", b"  \r\n"])
def test_what_has_no_description_in_it_is_our_error(data: bytes) -> None:
    with pytest.raises(SDPError):
        parse(data)


def test_a_large_description_is_read_and_changed_in_one_pass() -> None:
    description = parse(b"v=0\n" + b"m=a 0 b\n" * 16000)
    changed = description.with_controls({number: str(number) for number in range(16000)})
    assert [medium.control for medium in changed.media][-1] == "15999"
