"""Cameras that redirect: followed on their own host, a few times; nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.model import BackendTransport
from rtsp_filter.proxy.cameras.redirects import followed
from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.routes.table import Decision
from rtsp_filter.routes.table import Upstream as Endpoint
from rtsp_filter.rtsp import Credentials, Method, Response
from rtsp_filter.rtsp.redirect import MAX_REDIRECTS
from tests.peers.certificates import make_certificate

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


async def described_after_redirects(port: str, access: Access = PLAIN) -> Described:
    endpoint = Endpoint(
        name="e", address="127.0.0.1", port=int(port), base_path="", path="/a", transport=BackendTransport.AUTO
    )
    decision = Decision(
        virtual_host="*", route="r", match="", cluster="c", path="/a", upstream=endpoint, _why=lambda: ()
    )
    first = Described(
        presentation=Presentation.undescribed(LOBBY, f"rtsp://127.0.0.1:{port}/a"),
        decision=decision,
        upstream=await Upstream.connect("127.0.0.1", int(port), access=access),
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


@pytest.mark.parametrize("location", ["rtsp://127.0.0.2:PORT/b", "rtsps://127.0.0.2:PORT/b", "rtsp://internal/b"])
async def test_a_camera_does_not_send_the_mesh_to_another_server(location: str) -> None:
    async with camera({"/a": location}) as port:
        with pytest.raises(UpstreamError, match="another server; set its new address"):
            await described_after_redirects(port)


@pytest.mark.parametrize("location", ["/a", "", "http://127.0.0.1/"])
async def test_a_redirect_in_circles_or_to_nowhere_is_a_bad_gateway(location: str) -> None:
    async with camera({"/a": location}) as port:
        with pytest.raises(UpstreamError, match="the camera's redirect is not followed") as error:
            await described_after_redirects(port)
    assert int(error.value.status) == 502
    assert MAX_REDIRECTS < 10


async def test_where_a_camera_wants_its_clients_is_told_to_no_player() -> None:
    async with camera({"/a": "http://root:s3cret@10.0.0.9/b"}) as port:
        with pytest.raises(UpstreamError) as error:
            await described_after_redirects(port)
    assert "s3cret" not in str(error.value) + error.value.camera
    assert "10.0.0.9" not in str(error.value)


async def test_a_password_stays_at_the_port_that_it_is_for() -> None:
    """Another port may be anybody's; and no player is asked for what the mesh keeps to itself."""
    access = Access(credentials=Credentials(username="ann", password="s3cret"))  # noqa: S106
    async with camera({}) as elsewhere, camera({"/a": f"rtsp://127.0.0.1:{elsewhere}/b", "/c": "/d"}) as port:
        described = await described_after_redirects(port, access)
        assert described.upstream.access == Access(withheld=True)
        described.upstream.close()
    async with camera({"/a": "/b"}) as port:
        described = await described_after_redirects(port, access)
        assert described.upstream.access == access
        described.upstream.close()


async def test_a_redirect_to_tls_is_followed_and_verified(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    location = f"rtsps://127.0.0.1:{server.sockets[0].getsockname()[1]}/b"
    async with camera({"/a": location}) as port:
        with pytest.raises(UpstreamError, match=r"127\.0\.0\.1, to the system's authorities: self-signed certificate"):
            await described_after_redirects(port)
    server.close()
    await server.wait_closed()
