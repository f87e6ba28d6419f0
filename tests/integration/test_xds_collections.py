"""A real Envoy gets listeners and clusters by `xdstp://` collections, and virtual hosts when somebody asks for them.

Sources: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (xDS transport protocol names) and
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/vhds
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from tests.peers import envoy_dump
from tests.peers.envoy import NEWEST, OLDEST, Wiring
from tests.peers.envoy_messages import LISTENER, assignment, eds_cluster, http_listener, udp_listener
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.xds_pair import USE_SECONDS, VARIANTS, WARMING_SECONDS, Pair, connected
from xds_server.resources import Resource
from xds_server.subscription import XdsProtocol

pytestmark = pytest.mark.integration

LISTENERS = "xdstp://test/envoy.config.listener.v3.Listener/edge/"
CLUSTERS = "xdstp://test/envoy.config.cluster.v3.Cluster/edge/"
# As the bootstrap has them; Envoy asks for them in the order of their keys, and adds its cluster.
ASKED = "?zone=1&area=2"
CONTEXT = "?area=2&xds.node.cluster=test&zone=1"
LOCATORS = {"lds_resources_locator": f"{LISTENERS}*{ASKED}", "cds_resources_locator": f"{CLUSTERS}*{ASKED}"}


def members(wiring: Wiring, *names: str) -> list[Resource]:
    """Listeners and clusters of the two collections; endpoints have plain names."""
    messages: list[Any] = []
    for name in names:
        cluster = f"{CLUSTERS}{name}{CONTEXT}"
        messages += [
            udp_listener(f"{LISTENERS}{name}{CONTEXT}", cluster),
            eds_cluster(cluster, wiring.source(), service_name=name),
            assignment(name, 5004),
        ]
    return [Resource.of(message) for message in messages]


def keys(resources: list[Resource]) -> list[tuple[str, str]]:
    return [(each.type_url, each.name) for each in resources]


async def members_running(pair: Pair) -> set[str]:
    """Names of listeners within the collection's name."""
    names = (name for kind, name in envoy_dump.read(await pair.envoy.dump()).contents if kind == LISTENER)
    return {name.removeprefix(LISTENERS).removesuffix(CONTEXT) for name in names}


@pytest.mark.parametrize(("version", "wiring"), VARIANTS, ids=str)
async def test_collections_follow_the_cache_also_across_a_lost_stream(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    """Across it Envoy does not say what it has of a collection, so what went meanwhile must be told to it."""
    wiring = replace(wiring, collections=LOCATORS, context_params=("cluster",))
    elsewhere = Resource.of(udp_listener("xdstp://test/envoy.config.listener.v3.Listener/core/other", "other"))
    first = members(wiring, "one", "two")
    async with connected(ports.take(), wiring, first, version=version) as pair:
        await pair.assert_equal()

        pair.cache.update(upsert=[elsewhere, *members(wiring, "three")], remove=keys(members(wiring, "one")))
        await runs(pair, {"two", "three"})

        pair.server.cut()
        pair.cache.update(upsert=members(wiring, "four"), remove=keys(members(wiring, "two")))
        await runs(pair, {"three", "four"})
        pair.cache.update(remove=keys([elsewhere]))
        await pair.assert_equal()


async def runs(pair: Pair, names: set[str]) -> None:
    """Wait until Envoy runs just these members."""

    async def just_these() -> bool:
        return await members_running(pair) == names

    await eventually(just_these, WARMING_SECONDS / 2, f"running of {names}")


def on_demand_listener(name: str, source: Any, port: int) -> Any:
    """HTTP whose virtual hosts are asked for when a request needs them."""
    message = http_listener(name, name, source, port=port)
    network_filter = message.filter_chains[0].filters[0]
    manager = hcm.HttpConnectionManager()
    network_filter.typed_config.Unpack(manager)
    router = hcm.HttpFilter()
    router.CopyFrom(manager.http_filters[0])
    del manager.http_filters[:]
    manager.http_filters.add(name="on_demand").typed_config.Pack(on_demand_pb2.OnDemand())
    manager.http_filters.append(router)
    network_filter.typed_config.Pack(manager)
    return message


def hosts_on_demand(name: str, source: Any, aggregated: bool) -> Any:
    message = route_pb2.RouteConfiguration(name=name)
    message.vhds.config_source.CopyFrom(source)
    if not aggregated:
        # On a stream of its own Envoy does not say which routes wait for a first answer.
        message.vhds.config_source.initial_fetch_timeout.FromMilliseconds(100)
    return message


def virtual_host(name: str, domain: str, answer: str, *aliases: str) -> Resource:
    """Answers itself."""
    message = route_components_pb2.VirtualHost(name=name, domains=[domain])
    rule = message.routes.add()
    rule.match.prefix = "/"
    rule.direct_response.status = 200
    rule.direct_response.body.inline_string = answer
    return Resource.of(message, aliases=aliases)


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Any]:
    """A function that asks for a host: the answer's status and text."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=WARMING_SECONDS / 2) as client:

        async def ask(host: str) -> tuple[int, str]:
            answer = await client.get(f"http://127.0.0.1:{port}/", headers={"host": host})
            return answer.status_code, answer.text

        yield ask


# The oldest knows virtual hosts on demand by their own service alone.
ON_DEMAND = [
    (OLDEST, Wiring(protocol=XdsProtocol.DELTA, aggregated=False)),
    (NEWEST, Wiring(protocol=XdsProtocol.DELTA, aggregated=False)),
    (NEWEST, Wiring(protocol=XdsProtocol.DELTA)),
]


@pytest.mark.parametrize(("version", "wiring"), ON_DEMAND, ids=str)
async def test_virtual_hosts_are_served_when_a_request_asks_for_them(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    port, source = ports.take(), wiring.source()
    messages = on_demand_listener("web", source, port), hosts_on_demand("web", source, wiring.aggregated)
    first = [Resource.of(message) for message in messages]
    hosts = [
        virtual_host("web/a.example", "a.example", "a"),
        virtual_host("web/shared", "b.example", "b", "web/b.example"),
    ]
    async with connected(ports.take(), wiring, first, version=version) as pair, asking(port) as ask:
        pair.cache.update(upsert=hosts)
        await eventually(listening(pair, "web"), WARMING_SECONDS / 3, "listening")
        assert await ask("a.example") == (200, "a")
        assert await ask("B.example") == (200, "b")
        assert (await ask("unknown.example"))[0] == 404

        known = virtual_host("web/unknown.example", "unknown.example", "known")
        changed = virtual_host("web/a.example", "a.example", "changed")
        pair.cache.update(upsert=[known, changed], remove=keys(hosts[1:]))

        async def followed() -> bool:
            answers = [await ask(host) for host in ("a.example", "b.example", "unknown.example")]
            return [status for status, _ in answers] == [200, 404, 200] and answers[0][1] == "changed"

        await eventually(followed, USE_SECONDS, "change of virtual hosts")


def listening(pair: Pair, name: str) -> Any:
    async def is_listening() -> bool:
        return (LISTENER, name) in envoy_dump.read(await pair.envoy.dump()).contents

    return is_listening
