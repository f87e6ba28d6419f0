"""A client of an API over a control plane, without a network."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from api.app import create_app
from xds_server.control_plane import ControlPlane

Connect = Callable[[ControlPlane], httpx.AsyncClient]


@pytest.fixture
def connect() -> Connect:
    """Gives a client of the API of a control plane."""

    def client(plane: ControlPlane) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_app(plane), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://mesh")

    return client
