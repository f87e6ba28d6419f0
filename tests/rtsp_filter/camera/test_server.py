"""The camera on loopback, with the measuring player."""

from __future__ import annotations

import asyncio

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player import PlayTransport, play
from rtsp_filter.rtp import Goodbye, parse_compound
from rtsp_filter.rtsp import Parser, Response


async def converse(camera: Camera, data: bytes) -> list[Response]:
    """Everything that the camera answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
    writer.write(data)
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    parser = Parser()
    parser.receive_data(received)
    events = []
    while (event := parser.next_event()) is not None:
        assert isinstance(event, Response)
        events.append(event)
    return events


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", list(PlayTransport))
async def test_both_tracks_arrive_whole(host: str, transport: PlayTransport) -> None:
    async with Camera(CameraSettings(host=host, port=0)) as camera:
        report = await play(camera.url, transport=transport, seconds=0.5)
        assert camera.session_count == 0
    assert [track.media for track in report.tracks] == ["video", "audio"]
    assert all(track.packets > 10 and track.lost == 0 for track in report.tracks)


async def test_a_bad_camera_loses_packets() -> None:
    async with Camera(CameraSettings(port=0, loss=0.2)) as camera:
        report = await play(camera.url, transport=PlayTransport.UDP, seconds=0.5)
    assert sum(track.lost for track in report.tracks) > 5


async def test_pipelined_requests_are_answered_in_order_and_garbage_ends_the_connection() -> None:
    requests = b"".join(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % number for number in (7, 8, 9))
    async with Camera(CameraSettings(port=0)) as camera:
        responses = await converse(camera, requests + b"\0garbage\r\n\r\n")
    assert [(response.status, response.cseq) for response in responses] == [(200, 7), (200, 8), (200, 9), (400, None)]


async def test_stopping_says_goodbye_to_players_that_still_play() -> None:
    setup = b"SETUP rtsp://h/x/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    async with Camera(CameraSettings(port=0)) as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(setup)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        session = answer.partition("Session: ")[2].partition(";")[0]
        writer.write(f"PLAY rtsp://h/x RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n".encode())
        await reader.readuntil(b"$\x00")
        assert camera.session_count == 1
    rest = await reader.read()
    assert camera.session_count == 0
    ssrc = int(answer.partition("ssrc=")[2][:8], 16)
    assert parse_compound(rest[rest.rindex(b"$\x01") + 4 :])[-1] == Goodbye(ssrcs=(ssrc,))
    writer.close()
    await writer.wait_closed()
