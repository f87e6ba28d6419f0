"""Notices of servers of RTSP 2.0."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, Request, RTSPError, StatusCode
from rtsp_filter.rtsp.version2 import NotifyReason, PlayNotify


def notice(*headers: tuple[str, str]) -> Request:
    return Request(
        method="PLAY_NOTIFY", url="rtsp://c/s", headers=Headers([("CSeq", "9"), *headers]), version="RTSP/2.0"
    )


def test_a_notice_says_why_and_where_the_stream_is() -> None:
    parsed = PlayNotify.parse(
        notice(
            ("Notify-Reason", "End-of-Stream"),
            ("Session", "s;timeout=60"),
            ("Range", "npt=-145"),
            ("RTP-Info", 'url="rtsp://c/s/a" ssrc=1:seq=2;rtptime=3'),
        )
    )
    assert parsed == PlayNotify(
        reason=NotifyReason.END_OF_STREAM,
        session="s",
        range="npt=-145",
        rtp_info="url=rtsp://c/s/a;seq=2;rtptime=3",
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Session", "s")], StatusCode.NOTIFICATION_REASON_UNKNOWN),
        ([("Session", "s"), ("Notify-Reason", "rain")], StatusCode.NOTIFICATION_REASON_UNKNOWN),
        ([("Notify-Reason", "scale-change")], StatusCode.SESSION_NOT_FOUND),
    ],
)
def test_a_notice_that_means_nothing_is_refused(headers: list[tuple[str, str]], status: StatusCode) -> None:
    with pytest.raises(RTSPError) as error:
        PlayNotify.parse(notice(*headers))
    assert error.value.status is status
