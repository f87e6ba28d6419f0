"""When the control plane is told of endpoints: soon, and at most once a second."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from mesh.wire import relay_pb2
from rtsp_filter.proxy.cameras.endpoint_reporter import REPORT_INTERVAL, EndpointReporter
from rtsp_filter.relays.endpoint_book import Count
from tests.peers.rtsp_wire import eventually

KEY = ("c", "192.0.2.1", 554, "")


async def test_changes_are_told_soon_and_a_burst_of_them_is_one_report_a_second() -> None:
    told: list[tuple[float, relay_pb2.EndpointReport]] = []
    now = asyncio.get_running_loop().time
    reporter = EndpointReporter(lambda cluster, key: None, lambda report: told.append((now(), report)))
    tally = reporter.book.tally("a", KEY)
    began = now()
    for number in range(1, 4):
        for _ in range(100):
            tally.count(Count.SETUPS)
        await eventually(lambda number=number: len(told) == number, "a report")
        assert told[-1][1].endpoints[0].setups == 100 * number
    times = [at for at, _ in told]
    assert times[0] - began < REPORT_INTERVAL / 2
    assert all(after - before >= REPORT_INTERVAL for before, after in pairwise(times))
    assert reporter.stated()[0].stated
