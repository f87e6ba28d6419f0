"""A crowd that means no good to an RTSP server, in a process of its own, from many addresses of this machine.

`python -m tests.peers.rtsp_storm HOST:PORT --idle 10000 --trickling 500 --flooding 4 --deaf 4` prints "the storm is
on" when all are at it, then once a second how many are idle, and goes on until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

# Loopback addresses from here on; each is a client of its own.
FIRST_ADDRESS = 16
# Below what a server grants one address.
CONNECTIONS_PER_ADDRESS = 1000
# Connections that are being made at once: fewer than wait to be accepted.
OPENING = 200
# Seconds between two bytes of a connection that trickles.
TRICKLE = 0.5
# Before one that was turned away comes again.
AGAIN = 0.2
FLOOD_BYTES = 64 * 1024
ANSWER = b"\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(number: int = 1) -> bytes:
    return b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % number


@dataclass(slots=True, kw_only=True)
class Storm:
    """Everybody against one server. `held` idle connections are open now."""

    host: str
    port: int
    held: int = 0
    _opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENING))
    _addresses: Iterator[str] = field(
        default_factory=lambda: (f"127.0.0.{FIRST_ADDRESS + number // CONNECTIONS_PER_ADDRESS}" for number in count())
    )

    async def hold(self, address: str) -> None:
        """Ask once, then be silent; come again whenever turned away."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await self._open(address)
                try:
                    writer.write(request())
                    await reader.readuntil(ANSWER)
                    self.held += 1
                    try:
                        await reader.read()
                    finally:
                        self.held -= 1
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN)

    async def trickle(self, address: str) -> None:
        """A byte of a request now and then, which never ends."""
        while True:
            with suppress(OSError):
                _, writer = await self._open(address)
                try:
                    for byte in b"OPTIONS rtsp://camera/" + b"x" * 1000:
                        writer.write(bytes((byte,)))
                        await writer.drain()
                        await asyncio.sleep(TRICKLE)
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN)

    async def flood(self, address: str) -> None:
        """Requests without a pause, whose answers are read."""
        reader, writer = await self._open(address)
        asked = request() * (FLOOD_BYTES // len(request()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_all(reader))
            while True:
                writer.write(asked)
                await writer.drain()

    async def flood_unread(self, address: str) -> None:
        """Requests without a pause, whose answers nobody reads."""
        while True:
            with suppress(OSError):
                _, writer = await self._open(address)
                try:
                    while True:
                        writer.write(request() * 100)
                        await writer.drain()
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN)

    def address(self) -> str:
        """The next one's."""
        return next(self._addresses)

    async def _open(self, address: str) -> Connection:
        async with self._opening:
            return await asyncio.open_connection(self.host, self.port, local_addr=(address, 0), limit=FLOOD_BYTES)

    @staticmethod
    async def _read_all(reader: asyncio.StreamReader) -> None:
        while await reader.read(FLOOD_BYTES):
            pass


async def rage(options: argparse.Namespace) -> None:
    host, _, port = options.server.rpartition(":")
    storm = Storm(host=host, port=int(port))
    crowd: list[Coroutine[None, None, None]] = [
        *(storm.hold(storm.address()) for _ in range(options.idle)),
        *(storm.trickle(storm.address()) for _ in range(options.trickling)),
        *(storm.flood(storm.address()) for _ in range(options.flooding)),
        *(storm.flood_unread(storm.address()) for _ in range(options.deaf)),
    ]
    tasks = [asyncio.create_task(each) for each in crowd]
    told = False
    while True:
        await asyncio.sleep(0.1 if not told else 1)
        if not told and storm.held >= options.idle:
            told = True
            print("the storm is on", flush=True)
        print(f"{storm.held} idle", flush=True)
        for task in tasks:
            if task.done():
                task.result()


async def until_input_ends(work: Coroutine[None, None, None]) -> None:
    loop = asyncio.get_running_loop()
    raging = asyncio.create_task(work)
    ended = loop.run_in_executor(None, sys.stdin.read)
    await asyncio.wait((raging, ended), return_when=asyncio.FIRST_COMPLETED)
    if raging.done():
        raging.result()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    for kind in ("idle", "trickling", "flooding", "deaf"):
        parser.add_argument(f"--{kind}", type=int, default=0)
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    asyncio.run(until_input_ends(rage(parser.parse_args())))


if __name__ == "__main__":
    main()
