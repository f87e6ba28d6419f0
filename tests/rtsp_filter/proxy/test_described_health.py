"""Endpoints are asked for a description, over real connections, and fail where it is not what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.model import Endpoint
from rtsp_filter.balancing import HealthCheck, Host, Probe
from rtsp_filter.proxy.cameras.health import ask
from rtsp_filter.resources.access import Access
from rtsp_filter.rtsp import Credentials, Request, Response, StatusCode, respond
from tests.peers.scripted_camera import ScriptedCamera

SDP = b"v=0\r\ns=test\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 0\r\n"


def _check(*codecs: str, **more: Any) -> HealthCheck:
    return HealthCheck(
        probe=Probe.DESCRIBE,
        interval=60.0,
        timeout=5.0,
        healthy_threshold=1,
        unhealthy_threshold=1,
        codecs=codecs,
        **more,
    )


def _host(port: int) -> Host:
    return Host(endpoint=Endpoint(name="camera", address="127.0.0.1", port=port, path="/axis?n=1"))


def _describes(request: Request) -> Response:
    return respond(request, StatusCode.OK, [("Content-Type", "application/sdp")], SDP)


async def test_a_camera_that_describes_what_is_expected_is_well() -> None:
    async with ScriptedCamera(_describes) as camera:
        assert await ask(_host(camera.port), _check("video/H264", "audio/PCMU")) is None
        assert await ask(_host(camera.port), _check(path="/low")) is None
        asked = [(request.method, request.url, request.headers.get("Accept")) for request in camera.requests]
        assert asked == [
            ("DESCRIBE", f"rtsp://127.0.0.1:{camera.port}/axis?n=1", "application/sdp"),
            ("DESCRIBE", f"rtsp://127.0.0.1:{camera.port}/axis/low?n=1", "application/sdp"),
        ]


async def test_a_description_without_an_expected_codec_is_a_failure() -> None:
    async with ScriptedCamera(_describes) as camera:
        reason = await ask(_host(camera.port), _check("video/H264", "audio/MPEG4-GENERIC"))
        assert reason == "the description has no audio/MPEG4-GENERIC; it has video/H264, audio/PCMU"


@pytest.mark.parametrize("status", [StatusCode.NOT_FOUND, StatusCode.UNAUTHORIZED, StatusCode.MOVED_TEMPORARILY])
async def test_any_other_answer_is_a_failure(status: StatusCode) -> None:
    async with ScriptedCamera(lambda request: respond(request, status)) as camera:
        assert await ask(_host(camera.port), _check()) == f"DESCRIBE was answered {int(status)}"


async def test_what_is_no_description_is_a_failure() -> None:
    async with ScriptedCamera(lambda request: respond(request, StatusCode.OK, body=b"<html>")) as camera:
        assert (await ask(_host(camera.port), _check()) or "").startswith("not a session description")


async def test_a_camera_that_asks_for_a_password_is_told_it() -> None:
    def guarded(request: Request) -> Response:
        if request.headers.get("Authorization") is None:
            return respond(request, StatusCode.UNAUTHORIZED, [("WWW-Authenticate", 'Basic realm="camera"')])
        return _describes(request)

    async with ScriptedCamera(guarded) as camera:
        access = Access(credentials=Credentials(username="ann", password="secret"))  # noqa: S106
        assert await ask(_host(camera.port), _check("video/H264"), access) is None
