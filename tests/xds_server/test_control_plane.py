"""The control plane without its server: what its parts tell each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.documents import compile_documents, load_documents, route_options
from mesh.model import GROUP, Slice
from mesh.wire import relay_pb2
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.envoy import MEDIA_CLUSTER
from xds_server.media import MediaSettings
from xds_server.relays.service import RelayStream
from xds_server.relays.slots import SlotLayout
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE, ResourceType
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import (
    ConnectedProxy,
    Fault,
    Node,
    ResourceStatus,
    StreamError,
    SyncState,
    XdsProtocol,
)

LAYOUT = SlotLayout(first_port=20000, last_port=20015)


def proxy(
    stream: str, cluster: str, statuses: Callable[[], list[ResourceStatus]] = list, *, name: str = "rtsp"
) -> ConnectedProxy:
    node = Node(id="envoy" if cluster == MEDIA_CLUSTER else name, cluster=cluster)
    return ConnectedProxy(
        id=stream,
        node=node,
        peer="here",
        connected_at=0.0,
        protocol=XdsProtocol.DELTA,
        statuses=statuses,
        counts=lambda: counted(statuses()),
        unanswered_since=lambda: None,
    )


def counted(statuses: list[ResourceStatus]) -> dict[str, Counter[SyncState]]:
    """How many resources of each type are in each state."""
    found: dict[str, Counter[SyncState]] = {}
    for status in statuses:
        found.setdefault(status.type_url, Counter())[status.state] += 1
    return found


def told(plane: ControlPlane, row: ResourceType, state: SyncState = SyncState.SYNCED) -> list[ResourceStatus]:
    """Every resource of a type, acknowledged or refused by a proxy."""
    acknowledged = state is SyncState.SYNCED
    return [
        ResourceStatus(
            type_url=row.type_url,
            name=name,
            version_sent=resource.version,
            version_acknowledged=resource.version if acknowledged else None,
            state=state,
        )
        for name, resource in plane.routes.resources(row.type_url).items()
    ]


def plane_with_media_proxy() -> ControlPlane:
    media = MediaSettings(layout=LAYOUT, addresses=("127.0.0.1",))
    plane = ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, settle_time=0.0))
    envoy = proxy("stream-1", MEDIA_CLUSTER)
    plane.proxy_connected(envoy)
    for row in (CLUSTER, ENDPOINT, LISTENER):
        held = plane.media.cache.resources(row.type_url)
        plane.resources_acknowledged(envoy, row.type_url, {name: item.version for name, item in held.items()})
    return plane


def test_says_what_the_media_proxy_refused_when_it_has_no_slot_that_works() -> None:
    media = MediaSettings(layout=LAYOUT, addresses=("127.0.0.1",))
    plane = ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, settle_time=0.0))
    envoy = proxy("stream-1", MEDIA_CLUSTER)
    plane.proxy_connected(envoy)
    assert "the media proxy has not acknowledged its slots yet" in plane.not_ready()
    names = list(plane.media.cache.resources(LISTENER.type_url))
    plane.resources_rejected(envoy, LISTENER.type_url, names, "cannot bind 127.0.0.1:20000: Address already in use")
    [reason, _] = plane.not_ready()
    assert reason.startswith("the media proxy refused 4 slots")
    assert "slot 0: cannot bind 127.0.0.1:20000" in reason


def test_not_ready_until_an_rtsp_proxy_has_relay_stream_and_all_routes() -> None:
    plane = plane_with_media_proxy()
    plane.set_slice(compile_documents(route_options(["/lobby=rtsp://192.0.2.1/x"]), source="test"))
    statuses: list[ResourceStatus] = []
    rtsp = proxy("stream-2", RTSP_CLUSTER, lambda: statuses)
    assert plane.not_ready() == ["no RTSP proxy is connected"]

    plane.proxy_connected(rtsp)
    plane.relays.stream_opened(RelayStream("rtsp", "here"), relay_pb2.State(node_id="rtsp"))
    for row in (CLUSTER, ROUTE):
        statuses += told(plane, row)
        plane.resources_acknowledged(rtsp, row.type_url, {})
        assert plane.not_ready() == ["no RTSP proxy has acknowledged its routes yet"]
        assert not plane.ready.is_set()

    statuses += told(plane, ENDPOINT)
    plane.resources_acknowledged(rtsp, ENDPOINT.type_url, {})
    assert plane.not_ready() == []
    assert plane.ready.is_set()


def test_stays_ready_while_routes_change_and_until_the_proxy_that_had_them_is_gone() -> None:
    plane = plane_with_media_proxy()
    statuses: list[ResourceStatus] = []
    rtsp = proxy("stream-2", RTSP_CLUSTER, lambda: statuses)
    plane.proxy_connected(rtsp)
    plane.relays.stream_opened(RelayStream("rtsp", "here"), relay_pb2.State(node_id="rtsp"))
    statuses += told(plane, ROUTE)
    plane.resources_acknowledged(rtsp, ROUTE.type_url, {})
    plane.set_slice(compile_documents(route_options(["/lobby=rtsp://192.0.2.1/x"]), source="test"))
    assert plane.ready.is_set()

    plane.proxy_disconnected(rtsp)

    assert plane.not_ready() == ["no RTSP proxy has acknowledged its routes yet"]
    assert not plane.ready.is_set()


def test_not_ready_while_one_proxy_knows_the_routes_and_drains_and_another_one_does_not_know_them() -> None:
    plane = plane_with_media_proxy()
    old, new = (proxy(name, RTSP_CLUSTER, lambda: told(plane, ROUTE), name=name) for name in ("old", "new"))
    streams = {name: RelayStream(name, "here", name) for name in ("old", "new")}
    plane.proxy_connected(old)
    plane.relays.stream_opened(streams["old"], relay_pb2.State(node_id="old"))
    plane.resources_acknowledged(old, ROUTE.type_url, {})
    plane.relays.stream_opened(streams["new"], relay_pb2.State(node_id="new"))
    assert plane.ready.is_set()

    plane.relays.stream_message(streams["old"], relay_pb2.ProxyMessage(draining=relay_pb2.Draining()))
    assert plane.not_ready() == ["no RTSP proxy has acknowledged its routes yet"]
    assert not plane.ready.is_set()

    plane.proxy_connected(new)
    plane.resources_acknowledged(new, ROUTE.type_url, {})
    assert plane.ready.is_set()


def test_proxy_that_refused_a_cluster_was_told_of_it() -> None:
    plane = plane_with_media_proxy()
    plane.set_slice(compile_documents(route_options(["/lobby=rtsp://192.0.2.1/x"]), source="test"))
    statuses = [*told(plane, CLUSTER, SyncState.REJECTED), *told(plane, ENDPOINT), *told(plane, ROUTE)]
    rtsp = proxy("stream-2", RTSP_CLUSTER, lambda: statuses)
    plane.proxy_connected(rtsp)
    plane.relays.stream_opened(RelayStream("rtsp", "here"), relay_pb2.State(node_id="rtsp"))

    plane.resources_acknowledged(rtsp, ROUTE.type_url, {})

    assert plane.ready.is_set()


def test_a_second_rtsp_proxy_of_a_name_is_refused_while_the_first_is_there() -> None:
    plane = plane_with_media_proxy()
    first, second = RelayStream("rtsp", "first", "1"), RelayStream("rtsp", "second", "2")
    plane.relays.stream_opened(first, relay_pb2.State(node_id="rtsp"))
    refusal = plane.relays.refusal(second)
    assert refusal is not None
    assert "'rtsp', from first" in refusal
    assert "--rtsp-node" in refusal
    plane.relays.stream_closed(first)
    assert plane.relays.refusal(second) is None


def test_a_stream_replaces_an_older_one_of_the_same_process() -> None:
    plane = plane_with_media_proxy()
    older, newer = RelayStream("rtsp", "older", "1"), RelayStream("rtsp", "newer", "1")
    plane.relays.stream_opened(older, relay_pb2.State(node_id="rtsp"))
    assert plane.relays.refusal(newer) is None
    plane.relays.stream_opened(newer, relay_pb2.State(node_id="rtsp"))
    assert older.queue.get_nowait() is None
    plane.relays.stream_closed(older)
    assert plane.relays.streams == {"rtsp": newer}


def media_node(instance: str | None) -> Node:
    ours = {"workers": 2, "files": 10_000, "instance": instance}
    return Node(id="envoy", cluster=MEDIA_CLUSTER, metadata={} if instance is None else {GROUP: ours})


@pytest.mark.parametrize("first", ["1", None])
@pytest.mark.parametrize("second", ["2", None])
def test_a_second_media_proxy_is_refused_while_the_first_is_there(first: str | None, second: str | None) -> None:
    plane = plane_with_media_proxy()
    plane.proxy_disconnected(plane.proxies["stream-1"])
    older = replace(proxy("stream-2", MEDIA_CLUSTER), node=media_node(first))
    plane.proxy_connected(older)
    with pytest.raises(StreamError, match="another media proxy is connected as 'envoy', from here") as error:
        plane._scope(media_node(second))
    assert error.value.fault is Fault.ALREADY_EXISTS
    plane.proxy_disconnected(older)
    assert plane._scope(media_node(second)) is plane.media.cache


def test_an_envoy_that_its_supervisor_restarted_replaces_the_one_before_at_once() -> None:
    plane = plane_with_media_proxy()
    plane.proxy_disconnected(plane.proxies["stream-1"])
    plane.proxy_connected(replace(proxy("stream-2", MEDIA_CLUSTER), node=media_node("1")))
    assert plane._scope(media_node("1")) is plane.media.cache


def test_not_ready_any_more_when_no_rtsp_proxy_is_left_or_the_media_proxy_starts_anew() -> None:
    plane = plane_with_media_proxy()
    rtsp, stream = proxy("stream-2", RTSP_CLUSTER, lambda: told(plane, ROUTE)), RelayStream("rtsp", "here")
    plane.proxy_connected(rtsp)
    plane.relays.stream_opened(stream, relay_pb2.State(node_id="rtsp"))
    plane.resources_acknowledged(rtsp, ROUTE.type_url, {})
    assert plane.ready.is_set()

    plane.relays.stream_closed(stream)
    assert not plane.ready.is_set()

    plane.relays.stream_opened(stream, relay_pb2.State(node_id="rtsp"))
    assert plane.ready.is_set()
    plane.proxy_connected(proxy("stream-3", MEDIA_CLUSTER))
    assert not plane.ready.is_set()


GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: media-streaming-mesh
  listeners: [{name: game, protocol: %s, port: %d}]
%s"""


def gateway(port: int, *, protocol: str = "UDP", addresses: str = "", source: str = "files") -> Slice:
    more = f"  addresses: [{addresses}]\n" if addresses else ""
    return compile_documents(load_documents([("m", GATEWAY % (protocol, port, more))]), source=source)


def test_a_gateway_that_takes_a_media_port_is_refused_and_the_last_good_mesh_stays() -> None:
    plane = plane_with_media_proxy()
    plane.set_slice(gateway(20016))
    good = plane.mesh
    plane.set_slice(gateway(20015))
    assert plane.mesh is good
    assert plane.source_errors["files"] == (
        'm:6: listener "game" of Gateway default/edge: UDP port 20015 is one of the media ports (20000-20015); take'
        " another, or move those with --media-ports"
    )
    plane.set_slice(gateway(20015, protocol="TCP"))
    plane.set_slice(gateway(20015, addresses="{value: 192.0.2.1}"))
    assert plane.source_errors == {}
    plane.set_slice(gateway(20015, addresses="{value: 0.0.0.0}"))
    assert "UDP port 20015" in plane.source_errors["files"]


def test_gateways_of_two_sources_that_meet_on_the_default_address_are_refused() -> None:
    plane = plane_with_media_proxy()
    plane.set_slice(gateway(7777))
    other = gateway(7777, addresses="{value: 127.0.0.1}", source="kubernetes")
    moved = {
        replace(name, name="other"): replace(each, name=replace(name, name="other"))
        for name, each in other.gateways.items()
    }
    plane.set_slice(replace(other, gateways=moved))
    assert 'listener "game" of Gateway default/edge has UDP port 7777 already' in plane.source_errors["kubernetes"]


def test_no_proxy_is_answered_until_every_source_has_been_heard_from() -> None:
    media = MediaSettings(layout=LAYOUT, addresses=("127.0.0.1",))
    sources = frozenset({"files", "command line"})
    plane = ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, settle_time=0.0, sources=sources))
    caches = (plane.routes, plane.caches.gateways, plane.media.cache)
    assert all(cache.held for cache in caches)
    plane.set_slice(gateway(7777))
    assert all(cache.held for cache in caches)
    plane.set_slice(compile_documents(route_options(["/lobby=rtsp://192.0.2.1/x"]), source="command line"))
    assert not any(cache.held for cache in caches)


def test_a_media_proxy_waits_for_its_slots_and_for_the_sources() -> None:
    media = MediaSettings(layout=LAYOUT, addresses=("127.0.0.1",))
    plane = ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, sources=frozenset({"files"})))
    plane.set_slice(gateway(7777))
    assert not plane.caches.gateways.held
    assert plane.media.cache.held


def test_what_a_gateway_is_sent_is_no_business_of_the_slots() -> None:
    plane = plane_with_media_proxy()
    envoy = proxy("stream-1", MEDIA_CLUSTER)
    plane.proxy_connected(envoy)
    plane.resources_acknowledged(envoy, LISTENER.type_url, {"gateway/default/edge/slot-1-rtp": "1", "slot-x-rtp": None})
    plane.resources_rejected(envoy, LISTENER.type_url, ["gateway/default/edge/game"], "cannot bind")
    assert plane.media.registry.refusals == {}


def plane_with_a_session() -> tuple[ControlPlane, RelayStream]:
    """One that another proxy could go on with, and the stream of the proxy whose it is."""
    plane = plane_with_media_proxy()
    first = RelayStream("rtsp", "here", "1")
    plane.relays.stream_opened(first, relay_pb2.State(node_id="rtsp", instance="1"))
    plane.relays.stream_message(
        first, relay_pb2.ProxyMessage(open_relay=relay_pb2.OpenRelay(relay_id="r", session_id="s", media="video"))
    )
    told = relay_pb2.Session(session_id="s")
    told.continuation.ways.add(relay_id="r")
    plane.relays.stream_message(first, relay_pb2.ProxyMessage(session=told))
    return plane, first


def test_a_session_that_waits_for_a_proxy_can_be_ended() -> None:
    plane, first = plane_with_a_session()
    plane.relays.stream_message(first, relay_pb2.ProxyMessage(draining=relay_pb2.Draining()))
    plane._due_earlier.clear()
    plane.relays.stream_message(first, relay_pb2.ProxyMessage(session_left=relay_pb2.SessionLeft(session_id="s")))
    assert plane._due_earlier.is_set()  # it waits for a while, and no longer
    assert plane.session_owner == {"s": ""}
    assert plane.end_session("s", "an operator ended it")
    assert plane.sessions == {}
    assert plane.media.registry.relays == {}


def test_a_proxy_that_is_started_anew_gets_the_relays_of_its_sessions_and_not_a_release() -> None:
    plane, first = plane_with_a_session()
    plane.relays.stream_closed(first)
    second = RelayStream("rtsp", "here", "2")
    plane.relays.stream_opened(second, relay_pb2.State(node_id="rtsp", instance="2"))
    assert plane.media.registry.relays["r"].owner == "rtsp"
    messages = [second.queue.get_nowait() for _ in range(second.queue.qsize())]
    [handed] = [message.session_handed for message in messages if message.HasField("session_handed")]
    assert [each.relay.relay_id for each in handed.relays] == ["r"]
    assert handed.session.session_id == "s"
