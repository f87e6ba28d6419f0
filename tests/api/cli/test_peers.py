"""`msm play` and `msm camera`, as processes, over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player import ManyReport, PlayReport

MSM = (sys.executable, "-c", "from api.cli import main; main()")


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraSettings(port=0)) as running:
        yield running


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    variables = {**os.environ, **environment}
    return await asyncio.create_subprocess_exec(*MSM, *arguments, stdout=pipe, stderr=pipe, env=variables)


async def msm(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output and error output of a command."""
    process = await start(*arguments)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_played_session_is_reported_as_json(camera, transport):
    code, output, errors = await msm("play", camera.url, "--transport", transport, "--seconds", "0.5", "--json")
    assert (code, errors) == (0, "")
    report = PlayReport.model_validate_json(output)
    assert report.transport.value == transport
    assert [track.media for track in report.tracks] == ["video", "audio"]
    assert all(track.packets for track in report.tracks)


async def test_a_played_session_is_shown_as_a_table(camera):
    code, output, _ = await msm("play", camera.url, "--seconds", "0.5")
    assert code == 0
    assert all(word in output for word in ("video", "H264", "audio", "set-up"))


async def test_many_sessions_are_summed_up(camera):
    code, output, _ = await msm("play", camera.url, "--seconds", "0.5", "--sessions", "3", "--json")
    report = ManyReport.model_validate_json(output)
    assert (code, report.sessions, report.failed) == (0, 3, 0)
    code, output, _ = await msm("play", camera.url, "--seconds", "0.5", "--sessions", "3")
    assert code == 0
    assert "3 sessions over UDP, 0 failed" in output


async def test_a_server_that_is_not_there_fails_with_the_reason():
    async with Camera(CameraSettings(port=0)) as gone:
        url = gone.url
    code, output, errors = await msm("play", url, "--seconds", "1", "--json")
    assert code == 1
    assert json.loads(output)["error"] == errors.strip()
    assert "Connection refused" in errors
    code, _, errors = await msm("play", url, "--seconds", "1", "--sessions", "2")
    assert (code, errors) == (1, "2 of 2 sessions failed\n")


async def test_what_is_no_url_is_a_wrong_call():
    code, _, errors = await msm("play", "http://127.0.0.1/")
    assert code == 2
    assert "not an RTSP URL" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_camera_plays_until_a_signal_ends_it(number):
    process = await start("camera", "--port", "0", "--path", "/cam", "--loss", "50%", "--jitter", "5")
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[0]
    code, output, _ = await msm("play", url, "--seconds", "1", "--json")
    assert code == 0
    assert sum(track["lost"] for track in json.loads(output)["tracks"]) > 0
    assert (await msm("play", url.replace("/cam", "/other"), "--seconds", "1"))[0] == 1
    process.send_signal(number)
    assert await process.wait() == 0


async def test_a_signal_ends_a_player_that_waits_with_its_report():
    connected, hung_up = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/silent"
        process = await start("play", url, "--json")
        await connected.wait()
        process.send_signal(signal.SIGINT)
        output, errors = await process.communicate()
        await hung_up.wait()
    assert process.returncode == 1
    assert PlayReport.model_validate_json(output).url == url
    assert errors.decode() == "no media came\n"


async def test_a_port_that_is_taken_is_told(camera):
    code, _, errors = await msm("camera", "--port", str(camera.port))
    assert code == 1
    assert errors.startswith(f"cannot listen on 127.0.0.1:{camera.port}: another program has this port")
    assert "--port 0" in errors


async def test_an_address_of_another_machine_is_told():
    code, _, errors = await msm("camera", "--host", "192.0.2.1", "--port", "0")
    assert code == 1
    assert "this is no address of this machine; name one with --host" in errors


@pytest.mark.parametrize("given", ["option", "variable"])
async def test_a_camera_with_a_user_plays_for_that_one_only(given):
    if given == "option":
        process = await start("camera", "--port", "0", "--user", "ann:wonder:land")
    else:
        process = await start("camera", "--port", "0", MSM_CAMERA_USER="ann:wonder:land")
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = line.split()[0]
    assert "plays for ann" in line
    assert "wonder" not in line
    assert (await msm("play", url.replace("://", "://ann:wonder%3Aland@"), "--seconds", "0.3"))[0] == 0
    for wrong in ("", "ann:rabbit@", "eve:wonder%3Aland@"):
        code, _, errors = await msm("play", url.replace("://", f"://{wrong}"), "--seconds", "0.3")
        assert code == 1
        assert "401" in errors
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--loss", "2"], "neither a share from 0 to 1 nor a percentage"),
        (["--loss", "much"], "neither a share from 0 to 1 nor a percentage"),
        (["--path", "cam"], "a path begins with /"),
        (["--jitter", "-1"], "Invalid value for '--jitter'"),
        (["--user", "ann"], "write NAME:PASSWORD"),
        (["--user", ":wonderland"], "write NAME:PASSWORD"),
    ],
)
async def test_a_wrong_call_of_the_camera_is_told(arguments, reason):
    code, _, errors = await msm("camera", *arguments)
    assert code == 2
    assert reason in " ".join(errors.split())
