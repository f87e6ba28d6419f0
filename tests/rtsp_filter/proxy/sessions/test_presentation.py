"""What the client is shown of a stream, and that nothing of the camera shows through."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from rtsp_filter.proxy.limits import KNOWN_DESCRIPTIONS, LONGEST_KNOWN_DESCRIPTION, MAX_TRACKS
from rtsp_filter.proxy.sessions.presentation import Presentation, announced, describe
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


@pytest.mark.parametrize(
    ("attribute", "live"),
    [("a=range:npt=now-", True), ("a=range:npt=0-", True), ("a=range:npt=0-12.5", False), ("a=tool:any", True)],
)
def test_a_stream_is_live_unless_its_description_says_when_it_ends(attribute: str, live: bool) -> None:
    body = sdp("v=0", "o=- 1 1 IN IP4 192.0.2.10", "s=x", "t=0 0", attribute, "m=video 0 RTP/AVP 96", "a=control:1")
    presentation, _ = describe(CLIENT, CAMERA, Headers([]), body, "127.0.0.1")
    assert presentation.live is live


def _described(camera: str, *lines: str) -> Presentation:
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.10", "s=Lobby", "t=0 0")
    return describe(CLIENT, camera, Headers(), sdp(*head, *lines), "127.0.0.1")[0]


VIDEO = ("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=control:rtsp://c/v")
SOUND = ("m=audio 5004 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/48000/2", "a=control:a")
OTHER_CAMERA = "rtsp://192.0.2.11:8554/other"


def test_another_camera_of_the_same_stream_is_asked_by_its_own_urls_and_the_client_sees_nothing_of_it() -> None:
    before = _described(CAMERA, *VIDEO, *SOUND)
    taken_over = before.taken_over(_described(OTHER_CAMERA, *VIDEO[:3], "a=control:x", *SOUND))
    assert [track.upstream_url for track in taken_over.tracks] == [f"{OTHER_CAMERA}/x", f"{OTHER_CAMERA}/a"]
    assert taken_over.upstream(CLIENT) == OTHER_CAMERA
    assert [track.control for track in taken_over.tracks] == [track.control for track in before.tracks]
    assert taken_over.client_base == before.client_base
    assert [taken_over.clock_rate(track.upstream_url) for track in taken_over.tracks] == [90_000, 48_000]


@pytest.mark.parametrize(
    "lines",
    [
        VIDEO,
        (*SOUND, *VIDEO),
        (*VIDEO, "m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/44100/2"),
        (*VIDEO[:2], "a=fmtp:96 packetization-mode=0", *SOUND),
        ("m=video 0 RTP/SAVP 96", *VIDEO[1:], *SOUND),
    ],
    ids=["a track less", "another order", "another clock", "other parameters", "another profile"],
)
def test_a_camera_of_another_stream_does_not_take_over(lines: tuple[str, ...]) -> None:
    with pytest.raises(SDPError):
        _described(CAMERA, *VIDEO, *SOUND).taken_over(_described(OTHER_CAMERA, *lines))


def test_what_was_never_described_is_not_taken_over() -> None:
    with pytest.raises(SDPError):
        Presentation.undescribed(CLIENT, CAMERA).taken_over(_described(OTHER_CAMERA, *VIDEO))


def described(title: str, *, client: str = CLIENT) -> Presentation:
    body = sdp("v=0", f"s={title}", "m=video 0 RTP/AVP 96")
    return describe(client, CAMERA, Headers(), body, "127.0.0.1")[0]


def test_what_one_player_is_shown_the_next_is_shown_and_one_by_another_name_is_not() -> None:
    assert described("lobby") is described("lobby")
    assert described("lobby", client="rtsp://other/lobby").client_url == "rtsp://other/lobby"
    assert describe(CLIENT, CAMERA, Headers([("Content-Base", "/x/")]), sdp("v=0", "m=video 0 RTP/AVP 96"), "::1") != (
        describe(CLIENT, CAMERA, Headers([("Content-Base", "/y/")]), sdp("v=0", "m=video 0 RTP/AVP 96"), "::1")
    )


def test_as_many_descriptions_are_remembered_as_may_be() -> None:
    first = described("first")
    for number in range(KNOWN_DESCRIPTIONS - 1):
        described(f"another {number}")
    assert described("first") is first
    for number in range(KNOWN_DESCRIPTIONS):
        described(f"yet another {number}")
    assert described("first") is not first


def test_a_long_description_is_not_remembered() -> None:
    long = "x" * LONGEST_KNOWN_DESCRIPTION
    assert described(long) is not described(long)
    assert described(long) == described(long)
