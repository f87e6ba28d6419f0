"""The shell over loopback: connections, sockets, cancellation."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player import ManyReport, PlayError, PlayReport, PlayTransport, play, play_many
from rtsp_filter.rtp import ReceiverReport, SenderReport, build_header, parse_compound, serialize_compound
from rtsp_filter.rtsp import Request, URLError, encode_frame, parse_transports

Server = Any
"""`ServerCore` of conftest.py."""


@asynccontextmanager
async def serve(core: Server, *, host: str = "127.0.0.1", after_play: bytes = b"") -> AsyncIterator[str]:
    """The server core on a port; gives its URL."""
    done: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        done.append(task)
        while data := await reader.read(65_536):
            answer = core.receive(data)
            writer.write(answer)
            if core.methods and core.methods[-1] == "PLAY" and answer:
                writer.write(after_play)
        writer.close()

    server = await asyncio.start_server(talk, host, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"rtsp://[{host}]:{port}/live" if ":" in host else f"rtsp://{host}:{port}/live"
    finally:
        server.close()
        await asyncio.gather(*done)


def rtp(sequence: int) -> bytes:
    return build_header(payload_type=96, marker=False, sequence=sequence, timestamp=0, ssrc=9) + b"media"


async def test_media_over_tcp_is_reported_and_the_session_torn_down(server: Server) -> None:
    media = b"".join(encode_frame(0, rtp(number)) for number in (1, 2, 4))
    async with serve(server, after_play=media) as url:
        report = await play(url, transport=PlayTransport.TCP, seconds=0.2)
    assert (report.tracks[0].packets, report.tracks[0].lost, report.error) == (3, 1, None)
    assert report.setup_ms is not None
    assert report.first_packet_ms is not None
    assert report.setup_ms <= report.first_packet_ms < 10_000
    assert server.methods[-1] == "TEARDOWN"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_media_over_udp_comes_to_the_ports_asked_for_and_reports_go_back(server: Server, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender, socket.socket(family, socket.SOCK_DGRAM) as control:
        control.bind((host, 0))
        control.settimeout(5.0)
        server.answers["SETUP"] = answer_setup_with_port(control.getsockname()[1])
        server.answers["PLAY"] = send_then_ok(server, sender, host)
        async with serve(server, host=host) as url:
            report = await play(url, transport=PlayTransport.UDP, seconds=0.2)
        received = control.recv(2_048)
    assert (report.tracks[0].packets, report.tracks[0].sender_reports) == (1, 1)
    assert isinstance(parse_compound(received)[0], ReceiverReport)


def answer_setup_with_port(port: int) -> Callable[[Request], object]:
    def answer(request: Request) -> object:
        (asked,) = parse_transports(request.headers.get("Transport") or "")
        granted = f"{asked.encode()};server_port={port - 1}-{port}"
        return 200, [("Session", "abc"), ("Transport", granted)], b""

    return answer


def send_then_ok(server: Server, sender: socket.socket, host: str) -> Callable[[Request], object]:
    def answer(request: Request) -> object:
        (asked,) = parse_transports(server.requests[2].headers.get("Transport") or "")
        assert asked.client_port is not None
        assert asked.client_port.rtp % 2 == 0
        assert asked.client_port.rtcp == asked.client_port.rtp + 1
        report = SenderReport(ssrc=9, ntp=1, rtp_timestamp=0, packet_count=0, octet_count=0)
        sender.sendto(rtp(1), (host, asked.client_port.rtp))
        sender.sendto(serialize_compound([report]), (host, asked.client_port.rtcp))
        return 200, [], b""

    return answer


async def test_a_redirect_leads_to_another_connection(server: Server) -> None:
    async with serve(server) as target:
        first = type(server)(answers={"DESCRIBE": lambda request: (302, [("Location", target)], b"")})
        async with serve(first) as url:
            report = await play(url, transport=PlayTransport.TCP, seconds=0)
    assert report.url == target
    assert first.methods == ["OPTIONS", "DESCRIBE"]
    assert server.methods[-1] == "TEARDOWN"


@pytest.mark.parametrize("transport", list(PlayTransport))
def test_it_plays_on_the_event_loop_that_the_command_runs_on(transport: PlayTransport) -> None:
    """uvloop gives another kind of handle for what is due already. Whether media comes in just then is chance, so
    several sessions play until after their second report."""

    async def play_camera() -> ManyReport:
        async with Camera(CameraSettings(port=0)) as camera:
            return await play_many(camera.url, 10, transport=transport, seconds=1.5)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(play_camera())
    assert (report.failed, report.failures) == (0, ())
    assert report.packets > 10


async def test_a_cancelled_session_is_torn_down_and_still_told(server: Server) -> None:
    reports: list[PlayReport] = []
    playing = asyncio.Event()

    def progress(report: PlayReport) -> None:
        reports.append(report)
        playing.set()

    async with serve(server) as url:
        task = asyncio.create_task(play(url, transport=PlayTransport.TCP, on_progress=progress))
        await playing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.methods[-1] == "TEARDOWN"
    assert len(reports) == 2
    assert reports[-1].error is None


async def test_a_refused_session_raises_its_reason_and_keeps_the_report(server: Server) -> None:
    server.answers["DESCRIBE"] = lambda request: (404, [], b"")
    async with serve(server) as url:
        with pytest.raises(PlayError, match="DESCRIBE: 404 Not Found") as caught:
            await play(url)
    assert caught.value.report.error == "DESCRIBE: 404 Not Found"


async def test_a_server_that_hangs_up_while_playing_is_in_the_report(server: Server) -> None:
    async with serve(server, after_play=b"this is no RTSP\r\n\r\n") as url:
        report = await play(url, transport=PlayTransport.TCP)
    assert (report.error or "").startswith("the server does not speak RTSP")


async def test_nobody_listening_is_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(PlayError, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"):
            await play(f"rtsp://127.0.0.1:{port}/live")


@pytest.mark.parametrize("url", ["http://camera/live", "rtsps://camera/live", "camera"])
async def test_what_is_no_rtsp_url_is_refused(url: str) -> None:
    with pytest.raises(URLError):
        await play(url)


async def test_many_sessions_are_summed_up_and_failures_counted(server: Server) -> None:
    refused = iter([False, True, False])
    server.answers["PLAY"] = lambda request: (453 if next(refused) else 200, [], b"")

    def fresh() -> Server:
        return type(server)(answers=server.answers)

    async with serve_each(fresh) as url:
        summary = await play_many(url, 3, transport=PlayTransport.TCP, seconds=0, concurrency=1)
    assert (summary.sessions, summary.failed) == (3, 1)
    assert summary.failures[0].reason == "PLAY: 453 Not Enough Bandwidth"
    assert summary.setup_ms is not None


@asynccontextmanager
async def serve_each(make: Callable[[], Server]) -> AsyncIterator[str]:
    """A new server core for every connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        core = make()
        while data := await reader.read(65_536):
            writer.write(core.receive(data))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"
