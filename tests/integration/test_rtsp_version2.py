"""RTSP 2.0 as GStreamer speaks it, the one implementation that is in use: its player at our side, its server at our
client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.rtsp import BOTH_VERSIONS, ClientCore, Parser, Request, Response, ResponseReceived, parse_transports
from tests.peers.cameras import SYSTEM_PYTHON, GstCamera
from tests.peers.clip import AudioCodec, Clip, bundled_clip
from tests.peers.frames import MD5Lines, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import GST_PLAYER, Transport
from tests.peers.process import START_SECONDS, Process
from tests.peers.rtsp_wire import ANSWER_SECONDS

pytestmark = pytest.mark.integration

FRAMES = 25


@asynccontextmanager
async def overheard(port: int, requests: list[Request]) -> AsyncIterator[int]:
    """A port that leads to another, for one connection; requests that pass are added to `requests`."""
    ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader_there, writer_there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.wait(
            [
                asyncio.create_task(pass_on(reader, writer_there, requests)),
                asyncio.create_task(pass_on(reader_there, writer, [])),
            ]
        )
        ended.set()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await ended.wait()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[Request]) -> None:
    parser = Parser(versions=BOTH_VERSIONS)
    try:
        while data := await reader.read(65536):
            parser.receive_data(data)
            requests += [event for event in iter(parser.next_event, None) if isinstance(event, Request)]
            writer.write(data)
    except ConnectionError:
        pass  # the player is gone
    finally:
        writer.transport.abort()


def pictures(url: str, transport: Transport) -> list[str]:
    """The first pictures that GStreamer decodes, asking in RTSP 2.0."""
    reader = MD5Lines()
    player = [SYSTEM_PYTHON, str(GST_PLAYER), url, "--protocols", transport, "--rtsp-version", "2-0"]
    with Process([*player, "--sound", "/dev/null"], stdout=reader.feed) as process:
        process.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} frames")
    return reader.frames


@pytest.mark.parametrize("transport", list(Transport))
async def test_gstreamer_plays_in_version_2(transport: Transport) -> None:
    requests: list[Request] = []
    async with Camera(CameraSettings(port=0)) as camera, overheard(camera.port, requests) as port:
        frames = await asyncio.to_thread(pictures, f"rtsp://127.0.0.1:{port}/camera", transport)
    assert_contiguous(frames, bundled_clip().frames, minimum=FRAMES)
    assert {request.version for request in requests} == {"RTSP/2.0"}
    pipelines = {request.headers.get("Pipelined-Requests") for request in requests if request.method == "SETUP"}
    assert len(pipelines) == 1
    assert None not in pipelines


@pytest.mark.parametrize("transport", list(Transport))
def test_gstreamer_plays_in_version_2_through_the_mesh(transport: Transport, clips: dict[AudioCodec, Clip]) -> None:
    clip = clips[AudioCodec.PCMU]
    with GstCamera(clip) as camera, Mesh() as mesh:
        mesh.up("--route", f"/lobby={camera.url}")
        assert_contiguous(pictures(mesh.url("/lobby"), transport), clip.frames, minimum=FRAMES)


class Caller:
    """A client core on a connection to a server, which it was told takes RTSP 2.0 only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        self.sent = b""
        self._reader, self._writer, self._core = reader, writer, ClientCore()
        self._core.request("OPTIONS", url, now=0)
        self._core.data_to_send()
        self._core.receive_data(b"RTSP/2.0 505 RTSP Version Not Supported\r\nCSeq: 1\r\n\r\n", 0)
        assert self._core.next_event() is None

    async def ask(self, method: str, url: str, *headers: tuple[str, str]) -> Response:
        handle = self._core.request(method, url, headers=headers, now=0)
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                while (event := self._core.next_event()) is not None:
                    if isinstance(event, ResponseReceived) and event.handle == handle:
                        return event.response
                data = self._core.data_to_send()
                self.sent += data
                self._writer.write(data)
                self._core.receive_data(await self._reader.read(65536), 0)


@pytest.mark.parametrize("offer", ["RTP/AVP;unicast;client_port=45000-45001", "RTP/AVP/TCP;unicast;interleaved=4-5"])
async def test_a_server_of_gstreamer_is_set_up_in_version_2(offer: str, clips: dict[AudioCodec, Clip]) -> None:
    with GstCamera(clips[AudioCodec.PCMU]) as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        caller = Caller(reader, writer, camera.url)
        assert (await caller.ask("DESCRIBE", camera.url, ("Accept", "application/sdp"))).status == 200
        granted = await caller.ask("SETUP", f"{camera.url}/stream=0", ("Transport", offer))
        (asked,) = parse_transports(offer)
        (spec,) = parse_transports(granted.headers.get("Transport") or "")
        assert (spec.client_port, spec.interleaved) == (asked.client_port, asked.interleaved)
        assert "Media-Properties" not in granted.headers
        for method in ("PLAY", "TEARDOWN"):
            assert (await caller.ask(method, camera.url)).status == 200
        writer.close()
        await writer.wait_closed()
    assert b"RTSP/1.0" not in caller.sent
    assert caller.sent.count(b"RTSP/2.0\r\n") == 5
