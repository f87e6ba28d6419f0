"""Clients that ping their control plane, as Envoy does every ten seconds, are not taken for hostile."""

from __future__ import annotations

import asyncio

import grpc
import h2.config
import h2.connection
import h2.events

from xds_server.discovery import SERVER_OPTIONS

PINGS = 10


async def test_a_connection_survives_any_number_of_pings() -> None:
    server = grpc.aio.server(options=list(SERVER_OPTIONS))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    answered: list[bytes] = []
    for number in range(PINGS):
        connection.ping(number.to_bytes(8, "big"))
    try:
        async with asyncio.timeout(10):
            while len(answered) < PINGS:
                writer.write(connection.data_to_send())
                data = await reader.read(65536)
                assert data, "the server closed the connection"
                for event in connection.receive_data(data):
                    assert not isinstance(event, h2.events.ConnectionTerminated)
                    if isinstance(event, h2.events.PingAckReceived):
                        answered.append(event.ping_data)
    finally:
        writer.close()
        await writer.wait_closed()
        await server.stop(0)
    assert answered == [number.to_bytes(8, "big") for number in range(PINGS)]
