"""What the client is shown of a stream, and that nothing of the camera shows through."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from rtsp_filter.proxy.limits import MAX_TRACKS
from rtsp_filter.proxy.presentation import Presentation, announced, describe
from rtsp_filter.rtsp import Headers, SDPError, SessionDescription, resolve

CAMERA = "rtsp://192.0.2.10:554/stream1"
CLIENT = "rtsp://127.0.0.1:8554/lobby"


def sdp(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()


def shown(
    *, session: str | None = None, controls: list[str | None], base: str | None = None, client: str = CLIENT
) -> tuple[Presentation, SessionDescription, bytes]:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.10", "s=Lobby", "c=IN IP4 192.0.2.10", "t=0 0"]
    if session is not None:
        lines.append(f"a=control:{session}")
    for index, control in enumerate(controls):
        lines += [f"m={'video' if index == 0 else 'audio'} 0 RTP/AVP {96 + index}", "a=x-vendor:kept as it is"]
        if control is not None:
            lines.append(f"a=control:{control}")
    headers = Headers([] if base is None else [("Content-Base", base)])
    presentation, body = describe(client, CAMERA, headers, sdp(*lines), "127.0.0.1")
    return presentation, SessionDescription.parse(body), body


@pytest.mark.parametrize(
    ("session", "controls", "base", "expected"),
    [
        ("*", ["trackID=1", "trackID=2"], f"{CAMERA}/", [f"{CAMERA}/trackID=1", f"{CAMERA}/trackID=2"]),
        (None, ["trackID=1", "trackID=2"], None, [f"{CAMERA}/trackID=1", f"{CAMERA}/trackID=2"]),
        (
            f"{CAMERA}/",
            [f"{CAMERA}/trackID=1?x=1", "rtsp://192.0.2.10/elsewhere/2"],
            f"{CAMERA}/",
            [f"{CAMERA}/trackID=1?x=1", "rtsp://192.0.2.10/elsewhere/2"],
        ),
        ("*", [None], f"{CAMERA}/", [f"{CAMERA}/"]),
        ("*", ["*"], f"{CAMERA}/", [f"{CAMERA}/"]),
    ],
)
def test_what_a_player_asks_for_is_what_the_camera_offered(
    session: str | None, controls: list[str | None], base: str | None, expected: list[str]
) -> None:
    presentation, description, _ = shown(session=session, controls=controls, base=base)
    for client_base in (presentation.client_base, presentation.client_url):
        asked = [resolve(client_base, media.control) for media in description.media]
        assert [track.upstream_url for track in map(presentation.track, asked) if track] == expected


@pytest.mark.parametrize("session", ["*", f"{CAMERA}/", None, "rtsp://192.0.2.10/other"])
@pytest.mark.parametrize("control", ["trackID=1", f"{CAMERA}/trackID=1", "rtsp://192.0.2.10:554/a?b=c"])
def test_no_address_of_the_camera_leaks(session: str | None, control: str) -> None:
    _, _, body = shown(session=session, controls=[control], base=f"{CAMERA}/")
    assert b"192.0.2.10" not in body
    assert b"stream1" not in body


def test_what_names_no_address_stays_to_the_byte() -> None:
    _, description, _ = shown(session="*", controls=["trackID=1"], base=f"{CAMERA}/")
    lines = [line.rstrip("\r\n") for line in description.raw_lines]
    assert lines == [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=Lobby",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "m=video 0 RTP/AVP 96",
        "a=x-vendor:kept as it is",
        "a=control:trackID=1",
    ]


def test_a_query_of_the_client_survives_where_ffmpeg_and_gstreamer_put_it() -> None:
    client = f"{CLIENT}?token=1"
    presentation, _, _ = shown(session="*", controls=["trackID=1"], base=f"{CAMERA}/", client=client)
    for asked in (f"{client}/trackID=1", f"{CLIENT}/trackID=1?token=1", f"{client}/trackID=1/"):
        track = presentation.track(asked)
        assert track is not None, asked
        assert track.upstream_url == f"{CAMERA}/trackID=1"


def test_urls_of_the_camera_become_the_urls_that_the_player_used() -> None:
    presentation, _, _ = shown(session="*", controls=["trackID=1", "trackID=2"], base=f"{CAMERA}/")
    for written in (f"{CAMERA}/trackID=2", "rtsp://10.0.0.9/stream1/trackID=2", "trackID=2", "/stream1/trackID=2"):
        assert presentation.client(written) == f"{CLIENT}/trackID=2", written
    assert presentation.client("rtsp://10.0.0.9/unknown") == f"{CLIENT}/"


def test_play_goes_to_the_aggregate_url_of_the_camera() -> None:
    presentation, _, _ = shown(session=f"{CAMERA}/all", controls=["trackID=1"], base=f"{CAMERA}/")
    for asked in (CLIENT, f"{CLIENT}/", "rtsp://mesh.example/lobby"):
        assert presentation.upstream(asked) == f"{CAMERA}/all"


def test_a_stream_of_ipv6_is_described_as_such() -> None:
    _, body = describe(
        "rtsp://[::1]:8554/x",
        "rtsp://[2001:db8::10]/s",
        Headers(),
        sdp("v=0", "o=- 1 1 IN IP6 2001:db8::10", "s=-", "c=IN IP6 2001:db8::10", "m=video 0 RTP/AVP 96"),
        "::1",
    )
    assert b"2001:db8" not in body
    assert b"c=IN IP6 ::\r\n" in body
    assert b"o=- 1 1 IN IP6 ::1\r\n" in body


def test_what_is_no_session_description_is_refused() -> None:
    with pytest.raises(SDPError):
        describe(CLIENT, CAMERA, Headers(), b"<html>", "127.0.0.1")


def test_an_announced_stream_has_its_tracks_below_the_cameras_url() -> None:
    body = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=control:streamid=0\r\n"
    presentation, told = announced("rtsp://mesh/studio", "rtsp://192.0.2.10/live", body)
    track = presentation.track("rtsp://mesh/studio/streamid=0")
    assert told == body
    assert track is not None
    assert track.upstream_url == "rtsp://192.0.2.10/live/streamid=0"


def test_announced_controls_that_name_the_mesh_become_relative_for_the_camera() -> None:
    body = b"v=0\r\na=control:rtsp://mesh/studio\r\nm=audio 0 RTP/AVP 0\r\na=control:rtsp://mesh/studio/a\r\n"
    presentation, told = announced("rtsp://mesh/studio", "rtsp://192.0.2.10/live", body)
    track = presentation.track("rtsp://mesh/studio/a")
    assert b"rtsp://" not in told
    assert track is not None
    assert track.upstream_url == "rtsp://192.0.2.10/live/msm-track=0"


@pytest.mark.parametrize(("tracks", "taken"), [(MAX_TRACKS, True), (MAX_TRACKS + 1, False)])
def test_a_stream_has_a_bounded_number_of_tracks(tracks: int, taken: bool) -> None:
    body = sdp("v=0", *["m=video 0 RTP/AVP 96"] * tracks)
    with nullcontext() if taken else pytest.raises(SDPError, match="tracks"):
        describe(CLIENT, CAMERA, Headers(), body, "127.0.0.1")


def test_an_announcement_of_more_tracks_than_anybody_has_is_refused_unread() -> None:
    with pytest.raises(SDPError, match="26000 tracks"):
        announced("rtsp://mesh/studio", "rtsp://192.0.2.10/live", b"v=0\r\n" + b"m=a 0 R 0\r\n" * 26_000)
