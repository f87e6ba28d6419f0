"""The commands that read a mesh, against a real API on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO

import pytest
import uvicorn
from fastapi import FastAPI
from rich.console import Console
from typer.testing import CliRunner, Result

from api.app import create_app
from api.cli import make_app
from api.cli.output import table
from api.cli.tables import PROXIES, RELAYS, RESOURCES, ROUTES, SESSIONS, SOURCES
from tests.api.planes import RTSP_NODE, XdsPeer, busy_plane, empty_plane, routed_plane
from xds_server.resource_types import ROUTE
from xds_server.subscription import Node

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
        (["routes"], ["site/lobby", "cameras.example", "PathPrefix /lobby", "site/pair 75 %, site/far 25 %, mirror "]),
        (["routes", "--wide"], ["all", "ReplacePrefixMatch /live"]),
        (["sessions"], ["s1", "playing", "udp", "/lobby", "192.0.2.1:554"]),
        (["sessions", "--wide"], ["rtsp://cameras.example/lobby", "site/lobby/all", "site/pair", "video", "rtsp-a"]),
        (["relays"], ["unknown", "video", "192.0.2.200 5000-5001", "s1"]),
        (["relays", "--wide"], ["r1", "ready", "rtsp-a"]),
        (["proxies"], ["envoy", "media", "4 synced", "rtsp-a"]),
        (["proxies", "--wide"], ["envoy 1.40.0", "delta", "ipv4:192.0.2.8:4000"]),
        (["proxies", "rtsp-a", "--type", "cds"], ["cds", "site/far", "site/pair", "synced"]),
        (["proxies", "rtsp-a", "--all"], ["cds", "eds", "rds", "site/far", "site/pair", "synced"]),
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


async def test_sources_are_listed_with_what_is_wrong_with_their_latest_change():
    plane = routed_plane()
    async with serving(create_app(plane)) as address:
        taken = await msm("sources", "--api", address)
        plane.source_failed("files", "mesh.yaml:3: unknown field\nmesh.yaml:7: unknown kind")
        refused = await msm("sources", "--api", address)
        listed = json.loads((await msm("sources", "--json", "--api", address)).stdout)
    assert re.search(r"^files +taken +\d+s +1 +2 +0 +0 *$", taken.stdout, re.MULTILINE)
    assert re.search(r"^files +refused +\d+s +1 +2 +0 +2 *$", refused.stdout, re.MULTILINE)
    problems = ["", "The latest change of the files was refused:", "  mesh.yaml:3: unknown field"]
    assert refused.stdout.splitlines()[-4:] == [*problems, "  mesh.yaml:7: unknown kind"]
    assert listed["items"][0]["errors"] == ["mesh.yaml:3: unknown field", "mesh.yaml:7: unknown kind"]


async def test_the_address_comes_from_the_environment_too(busy):
    assert "site/lobby" in (await msm("routes", MSM_API=busy)).stdout


async def test_no_column_is_cut_in_a_pipe(busy):
    result = await msm("sessions", "--wide", "--api", busy, COLUMNS="20")
    assert max(map(len, result.stdout.splitlines())) > 80


@pytest.mark.parametrize("view", [SESSIONS, RELAYS, PROXIES, ROUTES, RESOURCES, SOURCES], ids=lambda view: view.nothing)
def test_the_columns_shown_by_default_fit_80_characters_and_break_no_id(view):
    widths = {
        "session": 16,
        "state": 8,
        "activity": 8,
        "via": 3,
        "age": 6,
        "slot": 4,
        "from camera": 11,
        "proxy": 24,
        "connected": 6,
    }
    row = [("x" * widths.get(name, 40)) for name in view.brief]
    shown = StringIO()
    Console(width=80, file=shown).print(table(view.brief, [row], view.whole))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for name in view.whole & widths.keys() & set(view.brief):
        assert any("x" * widths[name] in line.split() for line in lines)


async def test_a_proxy_is_summed_up_by_type_and_state(busy):
    result = await msm("proxies", "rtsp-a", "--api", busy)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows == [
        ["TYPE", "STATE", "RESOURCES"],
        ["cds", "synced", "2"],
        ["eds", "synced", "1"],
        ["rds", "synced", "1"],
    ]


async def test_what_a_proxy_refused_is_in_its_summary_with_the_reason():
    plane = routed_plane()
    XdsPeer(plane, plane.routes, Node(id="rtsp-a", cluster="msm-rtsp"), (ROUTE.type_url,)).refuse("no such match")
    async with serving(create_app(plane)) as address:
        result = await msm("proxies", "rtsp-a", "--api", address)
    assert "no such match" in result.stdout


async def test_a_type_that_there_is_not_is_a_wrong_call(busy):
    result = await msm("proxies", "rtsp-a", "--type", "xxx", "--api", busy)
    assert result.exit_code == 2
    assert "known are cds, ecds, eds, lds, rds" in result.stderr
    assert (await msm("proxies", "--type", "cds", "--api", busy)).exit_code == 2


async def test_a_session_is_ended_by_its_id():
    plane = busy_plane()
    stream = plane.relays.streams[RTSP_NODE]
    async with serving(create_app(plane)) as address:
        result = await msm("end", "s1", "--api", address)
        assert (result.exit_code, result.stdout) == (0, "rtsp-a was asked to end session s1 of 192.0.2.200\n")
        other = await msm("end", "a/b", "--api", address)
    asked = [stream.queue.get_nowait() for _ in range(stream.queue.qsize())]
    assert [message.end_session.session_id for message in asked if message and message.HasField("end_session")] == [
        "s1"
    ]
    assert other.exit_code == 1


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
    assert (result.exit_code, result.stderr) == (2, "url: not an RTSP URL (rtsp://host[:port]/path)\n")
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
