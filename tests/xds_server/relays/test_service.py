"""The relay stream over gRPC: what proxies say arrives whole and in order, and costs few messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mesh.wire import relay_pb2, relay_pb2_grpc
from rtsp_filter.relays import RelayClient
from tests.peers.relay_observer import Nobody
from tests.peers.rtsp_wire import eventually
from xds_server.relays.senders import Sender
from xds_server.relays.service import RelayService, RelayStream
from xds_server.relays.wire import relay_of

SECONDS = 5.0


class Control:
    """Hears all that a proxy says; `told` is the last part of each message's name."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.changed = asyncio.Event()
        self.opened = asyncio.Event()

    def refusal(self, stream: RelayStream) -> str | None:
        return None

    def stream_opened(self, stream: RelayStream, state: relay_pb2.State) -> None:
        self.opened.set()

    def stream_message(self, stream: RelayStream, message: relay_pb2.ProxyMessage) -> None:
        self.told.append(f"{message.session.session_id}{message.session_ended.session_id}")
        self.changed.set()

    def stream_closed(self, stream: RelayStream) -> None:
        self.opened.clear()

    async def until_told(self, names: list[str]) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.told) < len(names):
                self.changed.clear()
                await self.changed.wait()
        assert self.told == names


class Counted(RelayService):
    """How many messages came on the stream."""

    messages = 0

    async def StreamRelays(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[relay_pb2.ProxyMessage], context: Any
    ) -> AsyncIterator[relay_pb2.ControlMessage]:
        async def counted() -> AsyncIterator[relay_pb2.ProxyMessage]:
            async for message in requests:
                self.messages += 1
                yield message

        async for answer in super().StreamRelays(counted(), context):
            yield answer


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[RelayClient, Control, Counted]]:
    """A proxy's end of a stream that is open, and what hears it at the other."""
    control = Control()
    service = Counted(control)
    server = grpc.aio.server()
    relay_pb2_grpc.add_RelayServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    proxy = Nobody()
    client = RelayClient(
        f"127.0.0.1:{port}", "a", on_relay_lost=_unexpected, on_end_session=_unexpected, media=proxy, sessions=proxy
    )
    running = asyncio.create_task(client.run())
    try:
        async with asyncio.timeout(SECONDS):
            await control.opened.wait()
        await eventually(lambda: client.connected, "the stream's beginning")
        yield client, control, service
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop(None)


def _unexpected(*told: str) -> None:
    raise AssertionError(told)


async def test_sessions_that_come_and_go_at_one_time_are_told_of_together_and_in_order() -> None:
    async with connected() as (client, control, service):
        for number in range(1000):
            client.end_session(f"s{number}", "over")
        await control.until_told([f"s{number}" for number in range(1000)])
        assert service.messages < 10


async def test_a_session_that_changes_again_before_it_was_told_of_is_told_of_once() -> None:
    async with connected() as (client, control, _):
        client.keep_session("short", lambda: relay_pb2.Session(session_id="short"))
        client.end_session("short", "over")
        client.keep_session("long", lambda: relay_pb2.Session(session_id="long"))
        client.keep_session("long", lambda: relay_pb2.Session(session_id="long"))
        await control.until_told(["long", "short"])


async def test_whoever_leaves_has_told_all_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsp_filter.relays.client.REPORT_DELAY", 10 * SECONDS)
    async with connected() as (client, control, _):
        client.end_session("s", "the proxy is shutting down")
        await client.drain()
        await control.until_told(["s"])


async def test_whoever_ends_the_stream_has_been_heard_out() -> None:
    async with connected() as (client, control, _):
        for number in range(1000):
            client.end_session(f"s{number}", "the proxy is shutting down")
        await client.finish()
        assert control.told == [f"s{number}" for number in range(1000)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, None),
        (relay_pb2.Sender(address="2001:DB8::0:9"), Sender(address="2001:db8::9")),
        (
            relay_pb2.Sender(address="192.0.2.9", rtp_port=5000, rtcp_port=5001),
            Sender(address="192.0.2.9", rtp_port=5000, rtcp_port=5001),
        ),
    ],
)
def test_a_relay_is_for_whom_the_proxy_says(said: relay_pb2.Sender | None, expected: Sender | None) -> None:
    assert relay_of(relay_pb2.OpenRelay(relay_id="r", sender=said), "proxy").sender == expected


@pytest.mark.parametrize(
    "said",
    [
        relay_pb2.Sender(address="camera"),
        relay_pb2.Sender(address="192.0.2.9", rtp_port=5000),
        relay_pb2.Sender(address="192.0.2.9", rtp_port=5000, rtcp_port=70000),
    ],
)
def test_a_sender_that_is_none_is_refused(said: relay_pb2.Sender) -> None:
    with pytest.raises(ValueError, match=r"192\.0\.2\.9|camera"):
        relay_of(relay_pb2.OpenRelay(relay_id="r", sender=said), "proxy")
