"""How a mesh begins: what was asked for is looked at before what the machine has."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from api.run import up
from api.settings import HostPort, MeshSettings, PortRange
from mesh.documents import DocumentErrors
from tests.peers.ports import reserve_ports

ANY = HostPort(host="127.0.0.1", port=0)


async def test_documents_are_read_before_ports_are_looked_at(tmp_path: Path) -> None:
    documents = tmp_path / "mesh.yaml"
    documents.write_text("kind: Backend")
    with reserve_ports(4) as ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", ports.first))
        media = PortRange(ports.first, ports.last)
        settings = MeshSettings(rtsp=ANY, api=ANY, xds=ANY, media_ports=media, file=(documents,))
        with pytest.raises(ExceptionGroup) as raised:
            await up(settings)
        assert isinstance(raised.value.exceptions[0], DocumentErrors)
        documents.write_text("")
        with pytest.raises(ExceptionGroup) as raised:
            await up(settings)
        assert f"media port {ports.first} at 127.0.0.1 is taken" in str(raised.value.exceptions[0])
