"""The commands that read a mesh, against a real API on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from api.app import create_app
from api.cli import make_app
from tests.api.planes import busy_plane, empty_plane

EXPLAINED = "rtsp://cameras.example/lobby"


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The address of an API that is served while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]), name="uvicorn")
            yield f"127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


@pytest.fixture
async def busy() -> AsyncIterator[str]:
    """The address of a mesh with one session."""
    async with serving(create_app(busy_plane())) as address:
        yield address


async def msm(*arguments: str, **environment: str) -> Result:
    """Run a command beside the event loop that serves its mesh."""
    return await asyncio.to_thread(CliRunner().invoke, make_app(), arguments, env=environment)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["routes"], ["site/lobby", "cameras.example", "PathPrefix /lobby", "site/pair 75 %, site/far 25 %"]),
        (["sessions"], ["s1", "playing", "udp", "rtsp://cameras.example/lobby", "site/lobby/all", "rtsp-a"]),
        (["relays"], ["ready", "video", "192.0.2.200 5000-5001", "s1", "rtsp-a"]),
        (["proxies"], ["envoy 1.40.0", "delta", "ipv4:192.0.2.8:4000", "4 synced", "rtsp-a"]),
        (["proxies", "rtsp-a", "--type", "cds"], ["cds", "site/far", "site/pair", "synced"]),
        (["explain", EXPLAINED], ["leads to one of 3 servers", "37.5 %", "rtsp://192.0.2.1:554/axis/live", "Why:"]),
    ],
)
async def test_a_table_shows_what_the_api_says(busy, arguments, words):
    result = await msm(*arguments, "--api", busy)
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["routes"], "items"),
        (["sessions"], "items"),
        (["relays"], "items"),
        (["proxies"], "items"),
        (["proxies", "envoy"], "items"),
        (["explain", EXPLAINED], "candidates"),
    ],
)
async def test_json_is_the_answer_of_the_api(busy, arguments, path):
    result = await msm(*arguments, "--json", "--api", f"http://{busy}/")
    assert json.loads(result.stdout)[path]


async def test_the_address_comes_from_the_environment_too(busy):
    assert "site/lobby" in (await msm("routes", MSM_API=busy)).stdout


async def test_no_column_is_cut_in_a_pipe(busy):
    result = await msm("sessions", "--api", busy, COLUMNS="20")
    assert max(map(len, result.stdout.splitlines())) > 80


async def test_an_empty_mesh_says_so_in_words():
    async with serving(create_app(empty_plane())) as address:
        for command in ("routes", "sessions", "relays", "proxies"):
            result = await msm(command, "--api", address)
            assert result.exit_code == 0
            assert result.stdout.startswith(("There are no", "No proxy"))


async def test_a_url_that_leads_nowhere_fails_and_says_why(busy):
    result = await msm("explain", "rtsp://cameras.example/yard", "--api", busy)
    assert result.exit_code == 1
    assert 'no route matches the path "/yard" (404)' in result.stdout
    assert "Route site/lobby/all does not match" in result.stdout


async def test_what_the_api_refuses_is_told_in_its_words(busy):
    result = await msm("explain", "lobby", "--api", busy)
    assert (result.exit_code, result.stderr) == (1, "url: not an RTSP URL (rtsp://host[:port]/path)\n")
    result = await msm("proxies", "nobody", "--api", busy)
    assert (result.exit_code, result.stderr) == (1, "no proxy nobody is connected\n")


async def test_where_no_mesh_is_the_way_out_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    result = await msm("routes", "--api", address)
    assert result.exit_code == 1
    assert result.stderr == f"no mesh answers at http://{address}; start one with msm up, or name another with --api\n"


async def test_another_web_server_is_told_apart():
    async with serving(FastAPI(openapi_url=None)) as address:
        result = await msm("routes", "--api", address)
    assert result.exit_code == 1
    assert result.stderr == f"what answers at http://{address} is not the API of a mesh of this version\n"


async def test_an_address_that_is_none_is_a_wrong_call():
    result = await msm("routes", "--api", "nowhere")
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.stderr
