"""A load balancer: leads each TCP connection to the first of some servers that takes it, or to each in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Self


class Balancer:
    """Use it as an async context manager; it listens on loopback, at `port`. `servers` are host:port. With `turns`,
    the first server that is tried is the next one for each connection."""

    def __init__(self, servers: Sequence[str], *, turns: bool = False) -> None:
        self._servers = deque(server.rpartition(":") for server in servers)
        self._turns = turns
        self._connections: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(list(self._servers), reader, writer))
        if self._turns:
            self._servers.rotate(-1)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(
        self, servers: Sequence[tuple[str, str, str]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            for host, _, port in servers:
                with suppress(OSError):
                    server_reader, server_writer = await asyncio.open_connection(host, int(port))
                    await _joined((reader, server_writer), (server_reader, writer))
                    return
        finally:
            writer.close()


async def _joined(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Until either side ends."""
    pumps = [asyncio.create_task(_pump(*way)) for way in ways]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for _, writer in ways:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
