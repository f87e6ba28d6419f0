"""An Envoy that asks each type's own service, with a stream for each cluster and route, is served as well as by ADS."""

from __future__ import annotations

import pytest

from tests.peers.envoy import NEWEST, OLDEST, Wiring
from tests.peers.envoy_messages import CLUSTER, ENDPOINT, LISTENER, ROUTE, assignment, eds_cluster, http_listener, route
from tests.peers.ports import PortRange
from tests.peers.web import WebServer
from tests.peers.xds_pair import Pair, connected, slots
from xds_server.resources import Resource
from xds_server.subscription import XdsProtocol

pytestmark = pytest.mark.integration

VARIANTS = [
    (version, Wiring(protocol=protocol, aggregated=False)) for version in (OLDEST, NEWEST) for protocol in XdsProtocol
]


@pytest.mark.parametrize(("version", "wiring"), VARIANTS, ids=str)
async def test_each_types_own_service_gives_envoy_what_the_cache_holds(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    port, source = ports.take(), wiring.source()
    with WebServer("web") as server:
        messages = [
            http_listener("web", "web", source, port=port),
            route("web", "web"),
            eds_cluster("web", source),
            assignment("web", server.port, udp=False),
        ]
        first = [*(Resource.of(message) for message in messages), *slots(wiring, "one", "two")]
        async with connected(ports.take(), wiring, first, version=version) as pair:
            await pair.assert_equal()
            assert {status.type_url for status in pair.recorder.statuses()} == {LISTENER, ROUTE, CLUSTER, ENDPOINT}
            assert all(len({each.type_url for each in proxy.statuses()}) == 1 for proxy in pair.recorder.live)
            await changes_are_followed(pair)


async def changes_are_followed(pair: Pair) -> None:
    """Of every type, by change, addition and removal; and after a restart of the server."""
    wiring = pair.wiring
    changed = [
        Resource.of(assignment("one", 5004)),
        Resource.of(eds_cluster("two", wiring.source(), connect_timeout=3)),
    ]
    gone = [(kind, "web") for kind in (LISTENER, ROUTE, CLUSTER, ENDPOINT)]
    pair.cache.update(upsert=[*changed, *slots(wiring, "three")], remove=gone)
    await pair.server.settle()
    await pair.assert_equal()

    await pair.server.stop()
    pair.cache.update(
        upsert=slots(wiring, "four"), remove=[(each.type_url, each.name) for each in slots(wiring, "three")]
    )
    await pair.server.start()
    await pair.server.settle()
    await pair.assert_equal()
