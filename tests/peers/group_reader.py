"""A program: asks for a stream by multicast, as many times as it is told, each time on a connection of its own.

`python -m tests.peers.group_reader URL` tells one JSON object a line: `answered` for each SETUP, with status, Transport
and reason, and at last `playing`, with how many do. It receives nothing. SIGINT makes all of them say TEARDOWN.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from dataclasses import dataclass

from rtsp_filter.rtsp import RTSPURL
from tests.peers.rtsp_wire import RTSPWire

TRACKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What each reader wants."""

    url: str
    transport: str
    describe: bool


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def set_up(asked: Asked) -> tuple[RTSPWire, str]:
    """A connection, and the session that was set up on it; empty where it was refused."""
    at = RTSPURL.parse(asked.url)
    wire = await RTSPWire.open(at.host, at.effective_port)
    controls = [f"stream={number}" for number in range(TRACKS)]
    if asked.describe:
        description = (await wire.ask("DESCRIBE", asked.url)).body.decode()
        lines = [line for line in description.splitlines() if line.startswith("a=control:")]
        controls = [line.removeprefix("a=control:") for line in lines if "*" not in line]
    session = ""
    for control in controls:
        named = [("Session", session)] if session else []
        answer = await wire.ask("SETUP", f"{asked.url}/{control}", ("Transport", asked.transport), *named)
        tell(
            event="answered",
            status=answer.status,
            transport=answer.headers.get("Transport"),
            reason=answer.body.decode(),
        )
        if answer.status != 200:
            return wire, ""
        session = (answer.headers.get("Session") or "").partition(";")[0]
    return wire, session


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("--transport", default="RTP/AVP;multicast")
    options.add_argument("--readers", type=int, default=1)
    options.add_argument("--no-describe", action="store_true")
    chosen = options.parse_args()
    asked = Asked(url=chosen.url, transport=chosen.transport, describe=not chosen.no_describe)

    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, leave.set)
    readers = await asyncio.gather(*(set_up(asked) for _ in range(chosen.readers)))
    answers = [await wire.ask("PLAY", asked.url, ("Session", session)) for wire, session in readers if session]
    tell(event="playing", readers=sum(answer.status == 200 for answer in answers))
    await leave.wait()
    for wire, session in readers:
        if session:
            await wire.ask("TEARDOWN", asked.url, ("Session", session))
        await wire.close()


if __name__ == "__main__":
    asyncio.run(main())
