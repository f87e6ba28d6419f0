"""Cameras that redirect: followed on their own host, a few times; nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.model import BackendTransport
from rtsp_filter.proxy.presentation import Presentation
from rtsp_filter.proxy.redirects import followed
from rtsp_filter.proxy.session import Described
from rtsp_filter.proxy.upstream import Upstream, UpstreamError
from rtsp_filter.routing import Decision
from rtsp_filter.routing import Upstream as Endpoint
from rtsp_filter.rtsp import Method, Response
from rtsp_filter.rtsp.redirect import MAX_REDIRECTS, RedirectError

LOBBY = "rtsp://mesh/lobby"


@asynccontextmanager
async def camera(answers: dict[str, str]) -> AsyncIterator[str]:
    """A server that redirects to what `answers` says of a path ("PORT" is its own), and is content with any other."""

    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                url = head.split()[1]
                location = answers.get("/" + url.split("/", 3)[3])
                status = "200 OK" if location is None else f"302 Found\r\nLocation: {location.replace('PORT', port)}"
                cseq = next(line for line in head.splitlines() if line.startswith("CSeq"))
                writer.write(f"RTSP/1.0 {status}\r\n{cseq}\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    try:
        yield port
    finally:
        server.close()
        await asyncio.gather(*serving)


async def ask(described: Described) -> Response:
    return await described.upstream.request(Method.DESCRIBE, described.presentation.upstream_url)


async def described_after_redirects(port: str) -> Described:
    endpoint = Endpoint(
        name="e", address="127.0.0.1", port=int(port), base_path="", path="/a", transport=BackendTransport.AUTO
    )
    decision = Decision(
        virtual_host="*", route="r", match="", cluster="c", path="/a", upstream=endpoint, _why=lambda: ()
    )
    first = Described(
        presentation=Presentation.undescribed(LOBBY, f"rtsp://127.0.0.1:{port}/a"),
        decision=decision,
        upstream=await Upstream.connect("127.0.0.1", int(port)),
    )
    described, response = await followed(first, await ask(first), ask)
    assert response.status == 200
    return described


async def test_a_camera_is_followed_from_path_to_path() -> None:
    async with camera({"/a": "/b", "/b": "rtsp://127.0.0.1:PORT/c?x=1"}) as port:
        described = await described_after_redirects(port)
        assert described.presentation.upstream_url == f"rtsp://127.0.0.1:{port}/c?x=1"
        assert described.presentation.client_url == LOBBY
        described.upstream.close()


@pytest.mark.parametrize("location", ["rtsp://127.0.0.2:PORT/b", "rtsps://127.0.0.1:PORT/b", "rtsp://internal/b"])
async def test_a_camera_does_not_send_the_mesh_to_another_server(location: str) -> None:
    async with camera({"/a": location}) as port:
        with pytest.raises(UpstreamError, match="another server; set its new address"):
            await described_after_redirects(port)


@pytest.mark.parametrize("location", ["/a", "", "http://127.0.0.1/"])
async def test_a_redirect_in_circles_or_to_nowhere_is_a_bad_gateway(location: str) -> None:
    async with camera({"/a": location}) as port:
        with pytest.raises(RedirectError) as error:
            await described_after_redirects(port)
    assert int(error.value.status) == 502
    assert MAX_REDIRECTS < 10
