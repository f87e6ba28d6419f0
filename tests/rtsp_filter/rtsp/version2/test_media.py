"""What session descriptions of RTSP 1.0 tell of a stream."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import SessionDescription
from rtsp_filter.rtsp.version2 import media_properties


@pytest.mark.parametrize(
    ("line", "live"),
    [
        ("a=range:npt=0-34.5", False),
        ("a=range: npt = 0.000 - 0:01:02.5 ", False),
        ("a=range:npt=0-", True),
        ("a=range:npt=now-", True),
        ("a=range:clock=20261123T140000Z-", True),
        ("a=tool:x", True),
    ],
)
def test_a_stream_with_an_end_can_be_sought_in_and_any_other_is_live(line: str, live: bool) -> None:
    description = SessionDescription.parse(f"v=0\r\n{line}\r\nm=video 0 RTP/AVP 96\r\n".encode())
    assert media_properties(description).live is live
