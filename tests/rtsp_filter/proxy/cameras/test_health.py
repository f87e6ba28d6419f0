"""Endpoints are asked how they are, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mesh.model import Endpoint
from rtsp_filter.balancing import HealthCheck, Host, Probe, Question
from rtsp_filter.proxy.cameras.health import MAX_QUESTIONS, HealthChecker, ask
from rtsp_filter.resources.access import PLAIN
from tests.peers.rtsp_wire import eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


def _check(probe: Probe = Probe.OPTIONS, *, interval: float = 60.0, timeout: float = 5.0) -> HealthCheck:
    return HealthCheck(probe=probe, interval=interval, timeout=timeout, healthy_threshold=1, unhealthy_threshold=1)


def _host(port: int, name: str = "camera") -> Host:
    return Host(endpoint=Endpoint(name=name, address="127.0.0.1", port=port, path="/axis"))


class _Camera:
    """Answers every request with a status; None: not at all. Knows what it was asked, and how many ask at once."""

    def __init__(self, status: int | None = 200) -> None:
        self.status = status
        self.port = 0
        self.asked: list[str] = []
        self.open = self.most = 0
        self.answer = asyncio.Event()
        self.answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.decode().splitlines()[0])
            await self.answer.wait()
            if self.status is not None:
                writer.write(f"RTSP/1.0 {self.status} Said\r\nCSeq: 1\r\n\r\n".encode())
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def _camera(status: int | None = 200) -> AsyncIterator[_Camera]:
    camera = _Camera(status)
    server = await asyncio.start_server(camera.serve, "127.0.0.1", 0, backlog=512)
    camera.port = server.sockets[0].getsockname()[1]
    try:
        yield camera
    finally:
        server.close()
        camera.answer.set()
        await eventually(lambda: not camera.open, "the end of all connections")


@pytest.mark.parametrize("status", [200, 401, 405])
async def test_whoever_answers_options_is_well(status: int) -> None:
    async with _camera(status) as camera:
        assert await ask(_host(camera.port), _check()) is None
        assert camera.asked == [f"OPTIONS rtsp://127.0.0.1:{camera.port}/axis RTSP/1.0"]


async def test_an_error_of_the_camera_is_a_failure() -> None:
    async with _camera(503) as camera:
        assert await ask(_host(camera.port), _check()) == "OPTIONS was answered 503"


async def test_silence_is_a_failure_after_the_timeout() -> None:
    async with _camera(None) as camera:
        assert await ask(_host(camera.port), _check(timeout=0.1)) == "no answer within 0.1 s"


async def test_nobody_there_is_a_failure_of_both_kinds_of_checks() -> None:
    async with _camera() as camera:
        port = camera.port
    for probe in Probe:
        reason = await ask(_host(port), _check(probe))
        assert reason is not None
        assert reason.startswith("the camera cannot be reached: ")


async def test_a_check_by_connecting_says_nothing() -> None:
    async with _camera() as camera:
        assert await ask(_host(camera.port), _check(Probe.CONNECT)) is None
    assert camera.asked == []


async def test_a_host_name_that_can_be_none_is_a_failure() -> None:
    host = Host(endpoint=Endpoint(name="camera", address=f"{'a' * 64}.example", port=554))
    assert await ask(host, _check()) is not None


async def test_only_so_many_are_asked_at_once_and_all_in_the_end() -> None:
    verdicts: list[tuple[str, bool]] = []

    def told(question: Question, passing: bool, reason: str) -> None:
        verdicts.append((question.host.endpoint.name, passing))

    async with _camera() as camera:
        camera.answer.clear()
        checker = HealthChecker(told, lambda question: PLAIN)
        check = _check()
        hosts = [_host(camera.port, f"c{number}") for number in range(2 * MAX_QUESTIONS)]
        checker.update({("backend", host.key): (host, check) for host in hosts})
        running = asyncio.create_task(checker.run())
        await eventually(lambda: len(camera.asked) >= MAX_QUESTIONS, "as many questions as may be")
        assert camera.most == MAX_QUESTIONS
        camera.answer.set()
        await eventually(lambda: len(verdicts) == len(hosts), "an answer to each")
        assert sorted(verdicts) == sorted((host.endpoint.name, True) for host in hosts)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
