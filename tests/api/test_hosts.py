"""Which hosts a request may be for, by where it comes in."""

from __future__ import annotations

import socket

import httpx
import pytest

from api.app import create_app
from api.problems import MEDIA_TYPE
from tests.api.planes import empty_plane


async def ask(local: str, host: str) -> httpx.Response:
    """What the API answers to a request for `host` that came to its address `local`."""
    authority = f"[{local}]" if ":" in local else local
    transport = httpx.ASGITransport(create_app(empty_plane()))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{authority}:8080") as client:
        return await client.get("/healthz", headers={"Host": host})


@pytest.mark.parametrize("local", ["127.0.0.1", "127.0.1.1", "::1"])
@pytest.mark.parametrize("host", ["rebound.example:8080", "127.0.0.1.example", "localhost.example", "rebound"])
async def test_over_loopback_a_foreign_name_is_refused(local: str, host: str) -> None:
    response = await ask(local, host)
    assert (response.status_code, response.headers["content-type"]) == (421, MEDIA_TYPE)
    name = host.partition(":")[0]
    assert response.json()["detail"] == f'"{name}" is no name of this server; ask by an IP address or localhost'


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "[::1]:8080",
        "192.0.2.1",
        "LocalHost:8080",
        "localhost.",
        "msm.localhost",
        socket.gethostname(),
    ],
)
async def test_over_loopback_addresses_and_own_names_are_served(host: str) -> None:
    assert (await ask("127.0.0.1", host)).status_code == 200


async def test_from_elsewhere_any_name_is_served() -> None:
    assert (await ask("192.0.2.1", "mesh.example")).status_code == 200
