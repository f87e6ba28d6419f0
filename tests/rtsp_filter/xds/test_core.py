"""The xDS client's core: against hand-made responses, and against the server's core without a network."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.objects import GROUP
from mesh.users import FILTER_NAME
from rtsp_filter.xds import ResourceRefusedError, XdsCore, assignment_name
from rtsp_filter.xds.core import CLUSTER, ENDPOINT, ROUTE, SECRET
from rtsp_filter.xds.delta import DeltaClient
from xds_server.cache import ResourceCache
from xds_server.resources import Resource
from xds_server.subscription import Node, StreamCore, SyncState, XdsProtocol


def cluster(name: str, *, content: int = 1, service: str = "", kind: str = "EDS") -> Any:
    message = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.DiscoveryType.Value(kind))
    message.connect_timeout.seconds = content
    message.eds_cluster_config.service_name = service
    return message


def assignment(name: str, *ports: int) -> Any:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for port in ports:
        message.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.port_value = port
    return message


def routes(name: str, *domains: str) -> Any:
    message = route_pb2.RouteConfiguration(name=name)
    message.virtual_hosts.add(name="all", domains=domains)
    return message


def response(kind: Any, *messages: Any, removed: tuple[str, ...] = (), nonce: str = "1") -> Any:
    made = discovery_pb2.DeltaDiscoveryResponse(type_url=kind.type_url, nonce=nonce, removed_resources=removed)
    for message in messages:
        resource = Resource.of(message)
        entry = made.resources.add(name=resource.name, version=resource.version)
        entry.resource.type_url, entry.resource.value = resource.type_url, resource.body
    return made


class Pair:
    """A client core and a server core, with both directions carried by hand."""

    def __init__(self, check: Any = lambda message: None) -> None:
        self.cache = ResourceCache()
        self.client = XdsCore(node_id="proxy", cluster="rtsp-proxy", route_name="rtsp", check=check)
        self.sent = 0
        self.streams = 0
        self.rejected: list[str] = []
        self.server: StreamCore | None = None

    def connect(self) -> None:
        if self.server is not None:
            self.server.close()
        self.streams += 1
        self.server = StreamCore(
            stream_id=str(self.streams),
            cache=self.cache,
            observer=self,
            protocol=XdsProtocol.DELTA,
            node=Node(id="proxy", cluster="rtsp-proxy"),
            peer="",
            connected_at=0.0,
            wake=lambda: None,
        )
        self.exchange(self.client.connect())

    def exchange(self, requests: list[Any] | None = None) -> None:
        """Carry messages until both are silent."""
        assert self.server is not None
        pending = list(requests or ())
        for _ in range(1_000):
            for request in pending:
                self.server.receive(request)
            pending = []
            for payload in self.server.next_responses(0.0):
                answer = discovery_pb2.DeltaDiscoveryResponse.FromString(payload)
                self.sent += len(answer.resources)
                pending += self.client.receive(answer)
            if not pending:
                return
        raise AssertionError("the exchange does not come to an end")

    def put(self, *messages: Any) -> None:
        self.cache.update(upsert=map(Resource.of, messages))

    def proxy_connected(self, proxy: Any) -> None: ...
    def proxy_disconnected(self, proxy: Any) -> None: ...
    def resources_acknowledged(self, proxy: Any, type_url: str, versions: Any) -> None: ...

    def resources_rejected(self, proxy: Any, type_url: str, names: Any, message: str) -> None:
        self.rejected.extend(names)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_the_state_is_what_the_server_holds(pair: Pair) -> None:
    pair.put(cluster("a"), assignment("a", 554), routes("rtsp", "*"), routes("other", "*"), assignment("unused"))
    pair.connect()
    state = pair.client.state
    assert state.route_configuration == routes("rtsp", "*")
    assert dict(state.clusters) == {"a": cluster("a")}
    assert dict(state.assignments) == {"a": assignment("a", 554)}
    assert state.complete


def test_a_change_reaches_the_state_and_makes_another_value(pair: Pair) -> None:
    pair.put(cluster("a"), assignment("a", 554))
    pair.connect()
    before = pair.client.state
    pair.put(assignment("a", 8554))
    pair.exchange()
    after = pair.client.state
    assert dict(before.assignments) == {"a": assignment("a", 554)}
    assert dict(after.assignments) == {"a": assignment("a", 8554)}
    assert after.clusters is before.clusters


def test_endpoints_follow_the_clusters(pair: Pair) -> None:
    pair.put(cluster("a", service="s"), cluster("static", kind="STATIC"), assignment("s"), assignment("static"))
    pair.connect()
    assert set(pair.client.state.assignments) == {"s"}
    pair.put(cluster("b"), assignment("b"))
    pair.exchange()
    assert set(pair.client.state.assignments) == {"s", "b"}
    pair.cache.update(remove=[(CLUSTER.type_url, "a")])
    pair.exchange()
    assert set(pair.client.state.clusters) == {"static", "b"}
    assert set(pair.client.state.assignments) == {"b"}
    pair.put(assignment("s", 1))
    before = pair.sent
    pair.exchange()
    assert pair.sent == before


def test_the_state_is_complete_once_everything_is_known_to_exist_or_not(pair: Pair) -> None:
    assert not pair.client.state.complete
    pair.connect()
    state = pair.client.state
    assert state.complete
    assert state.route_configuration is None


def test_a_removed_route_configuration_is_gone(pair: Pair) -> None:
    pair.put(routes("rtsp", "*"))
    pair.connect()
    pair.cache.update(remove=[(ROUTE.type_url, "rtsp")])
    pair.exchange()
    assert pair.client.state.route_configuration is None


def test_after_a_reconnect_nothing_is_sent_again(pair: Pair) -> None:
    pair.put(cluster("a"), assignment("a", 554), routes("rtsp", "*"))
    pair.connect()
    before, sent = pair.client.state, pair.sent
    pair.connect()
    assert pair.sent == sent
    assert pair.client.state is before


def test_what_changed_while_disconnected_arrives_on_reconnect(pair: Pair) -> None:
    pair.put(cluster("a"), cluster("b"), assignment("a", 554), assignment("b", 554))
    pair.connect()
    pair.server = None
    pair.put(assignment("a", 8554))
    pair.cache.update(remove=[(CLUSTER.type_url, "b"), (ENDPOINT.type_url, "b")])
    pair.connect()
    assert set(pair.client.state.clusters) == {"a"}
    assert dict(pair.client.state.assignments) == {"a": assignment("a", 8554)}


def refuse_port_zero(message: Any) -> None:
    for locality in getattr(message, "endpoints", ()):
        for endpoint in locality.lb_endpoints:
            if endpoint.endpoint.address.socket_address.port_value == 0:
                raise ResourceRefusedError("an endpoint has no port")


def test_a_refused_resource_leaves_the_last_good_state_and_the_others_arrive() -> None:
    pair = Pair(refuse_port_zero)
    pair.put(cluster("a"), cluster("b"), assignment("a", 554), assignment("b", 554))
    pair.connect()
    pair.put(assignment("a", 0), assignment("b", 8554))
    pair.exchange()
    assert dict(pair.client.state.assignments) == {"a": assignment("a", 554), "b": assignment("b", 8554)}
    assert pair.rejected == ["a"]
    assert pair.server is not None
    statuses = {s.name: s for s in pair.server.proxy.statuses() if s.type_url == ENDPOINT.type_url}
    assert statuses["a"].state is SyncState.REJECTED
    assert statuses["a"].error == "a: an endpoint has no port"
    assert statuses["b"].state is SyncState.SYNCED


@pytest.mark.parametrize("names", [("good", "bad"), ("bad",)])
def test_what_was_refused_counts_as_answered_so_that_the_rest_can_be_used(names: tuple[str, ...]) -> None:
    def check(message: Any) -> None:
        if getattr(message, "cluster_name", getattr(message, "name", "")) == "bad":
            raise ResourceRefusedError("bad it is")

    pair = Pair(check)
    pair.put(*(cluster(name) for name in names), *(assignment(name, 554) for name in names), routes("rtsp", "*"))
    pair.connect()
    assert set(pair.rejected) == {"bad"}
    assert set(pair.client.state.clusters) == set(names) - {"bad"}
    assert pair.client.state.complete


def test_a_refused_assignment_does_not_keep_the_state_incomplete() -> None:
    def check(message: Any) -> None:
        if getattr(message, "cluster_name", "") == "bad":
            raise ResourceRefusedError("bad it is")

    pair = Pair(check)
    pair.put(cluster("good"), cluster("bad"), assignment("good", 554), assignment("bad", 554), routes("rtsp", "*"))
    pair.connect()
    assert set(pair.client.state.assignments) == {"good"}
    assert pair.client.state.complete


def test_a_refusal_of_some_does_not_stand_for_the_others() -> None:
    def check(message: Any) -> None:
        if message.name == "bad":
            raise ResourceRefusedError("bad it is")

    client = XdsCore(node_id="proxy", cluster="rtsp-proxy", route_name="rtsp", check=check)
    client.connect()
    client.receive(response(ROUTE, routes("rtsp", "*")))
    client.receive(response(CLUSTER, cluster("good", kind="STATIC"), cluster("bad")))
    assert not client.state.complete
    client.receive(response(CLUSTER, cluster("good", kind="STATIC")))
    assert client.state.complete


def test_an_ack_repeats_the_nonce_and_only_the_first_request_introduces_the_node() -> None:
    client = XdsCore(node_id="n", cluster="c", route_name="rtsp")
    clusters, wanted = client.connect()
    assert (clusters.node.id, clusters.node.cluster, wanted.node.id) == ("n", "c", "")
    assert list(clusters.resource_names_subscribe) == ["*"]
    assert list(wanted.resource_names_subscribe) == ["rtsp"]
    ack, endpoints = client.receive(response(CLUSTER, cluster("a"), nonce="7"))
    assert (ack.type_url, ack.response_nonce, ack.HasField("error_detail")) == (CLUSTER.type_url, "7", False)
    assert (endpoints.response_nonce, list(endpoints.resource_names_subscribe)) == ("", ["a"])


def refusal(answer: Any) -> str:
    client = XdsCore(node_id="n", cluster="c", route_name="rtsp")
    client.connect()
    client.receive(response(CLUSTER, cluster("a")))
    before = client.state
    (nack,) = client.receive(answer)
    assert nack.response_nonce == answer.nonce
    assert client.state is before
    return str(nack.error_detail.message)


def test_a_resource_whose_name_is_not_its_own_is_refused() -> None:
    answer = response(CLUSTER, cluster("b"))
    answer.resources[0].name = "c"
    assert refusal(answer) == "c: holds a resource named 'b'"


def test_a_resource_of_another_type_is_refused() -> None:
    answer = response(CLUSTER, cluster("b"))
    answer.resources[0].resource.type_url = ENDPOINT.type_url
    assert refusal(answer) == f"b: is a {ENDPOINT.type_url}"
    answer.resources[0].ClearField("resource")
    assert refusal(answer) == "b: is a resource without content"


def test_bytes_that_are_no_message_are_refused() -> None:
    answer = response(CLUSTER, cluster("b"))
    answer.resources[0].resource.value = b"\xff\xff"
    assert refusal(answer).startswith("b: cannot be read")


def test_a_type_that_nobody_asked_for_is_refused() -> None:
    answer = discovery_pb2.DeltaDiscoveryResponse(type_url="type.googleapis.com/x", nonce="9")
    assert refusal(answer) == "type.googleapis.com/x: not subscribed to"


def test_what_was_not_asked_for_is_ignored() -> None:
    client = DeltaClient(node_id="n", cluster="c", kinds=[ENDPOINT], check=refuse_port_zero)
    client.set_names(ENDPOINT, ["a"])
    step = client.receive(response(ENDPOINT, assignment("a", 1), assignment("b", 0)))
    assert step.change is not None
    assert set(step.change.changed) == {"a"}


def test_the_assignment_of_a_cluster_is_named_by_its_service_or_itself() -> None:
    assert assignment_name(cluster("a")) == "a"
    assert assignment_name(cluster("a", service="s")) == "s"
    assert assignment_name(cluster("a", kind="STATIC")) is None


names = st.sampled_from(["a", "b", "c"])
changes = st.one_of(
    st.tuples(st.just("cluster"), names, st.integers(1, 3)),
    st.tuples(st.just("assignment"), names, st.integers(0, 3)),
    st.tuples(st.sampled_from(["remove cluster", "remove assignment", "reconnect", "exchange"]), names, st.just(0)),
)


@settings(deadline=None)
@given(st.lists(changes, max_size=40))
def test_whatever_happens_both_cores_end_with_the_same(steps: list[tuple[str, str, int]]) -> None:
    pair = Pair(refuse_port_zero)
    pair.connect()
    for action, name, number in steps:
        if action == "cluster":
            pair.put(cluster(name, content=number))
        elif action == "assignment":
            pair.put(assignment(name, number))
        elif action == "reconnect":
            pair.connect()
        elif action == "exchange":
            pair.exchange()
        else:
            kind = CLUSTER if action == "remove cluster" else ENDPOINT
            pair.cache.update(remove=[(kind.type_url, name)])
    pair.exchange()
    state = pair.client.state
    wanted = {r.name: r.body for r in pair.cache.resources(CLUSTER.type_url).values()}
    assert {name: m.SerializeToString(deterministic=True) for name, m in state.clusters.items()} == wanted
    held = pair.cache.resources(ENDPOINT.type_url)
    for name in wanted:
        good = name in held and held[name].version != Resource.of(assignment(name, 0)).version
        if good:
            assert Resource.of(state.assignments[name]) == held[name]
        elif name not in held:
            assert name not in state.assignments
    assert set(state.assignments) <= set(wanted)


def told(name: str, *secrets: str) -> Any:
    """An assignment whose endpoints are told these secrets."""
    message = assignment(name, *range(1, len(secrets) + 1))
    for locality, secret in zip(message.endpoints, secrets, strict=True):
        locality.lb_endpoints[0].metadata.filter_metadata[GROUP]["credentials"] = secret
    return message


def secret(name: str, password: str = "") -> Any:
    message = secret_pb2.Secret(name=name)
    message.generic_secret.secrets["password"].inline_string = password
    return message


def test_the_secrets_that_endpoints_name_are_followed_and_no_others(pair: Pair) -> None:
    pair.put(cluster("a"), told("a", "one", "two"), secret("one"), secret("two"), secret("three"))
    pair.connect()
    assert set(pair.client.state.secrets) == {"one", "two"}
    pair.put(told("a", "two", "three"))
    pair.exchange()
    assert set(pair.client.state.secrets) == {"two", "three"}
    pair.put(secret("three", "new"))
    pair.exchange()
    assert pair.client.state.secrets["three"] == secret("three", "new")
    assert "new" not in repr(pair.client.state)


def test_secrets_go_with_the_last_endpoint_that_needs_them(pair: Pair) -> None:
    inside = cluster("b", kind="STRICT_DNS")
    inside.load_assignment.CopyFrom(told("b", "one", "two"))
    pair.put(cluster("a"), told("a", "one"), inside, secret("one"), secret("two"))
    pair.connect()
    assert set(pair.client.state.secrets) == {"one", "two"}
    pair.cache.update(remove=[(CLUSTER.type_url, "b")])
    pair.exchange()
    assert set(pair.client.state.secrets) == {"one"}
    pair.cache.update(remove=[(CLUSTER.type_url, "a")])
    pair.exchange()
    assert not pair.client.state.secrets


def test_the_state_is_not_complete_before_a_secret_is_told_of(pair: Pair) -> None:
    """What is not there is told of as well."""
    pair.client.receive(response(CLUSTER, cluster("a")))
    pair.client.receive(response(ROUTE, routes("rtsp", "*"), nonce="2"))
    pair.client.receive(response(ENDPOINT, told("a", "one"), nonce="3"))
    assert not pair.client.state.complete
    pair.client.receive(response(SECRET, removed=("one",), nonce="4"))
    assert pair.client.state.complete


def test_the_secrets_that_routes_name_are_followed_too(pair: Pair) -> None:
    message = routes("rtsp", "*")
    route = message.virtual_hosts[0].routes.add(name="a", match={"prefix": "/"}, route={"cluster": "a"})
    route.typed_per_filter_config[FILTER_NAME].Pack(secret_pb2.SdsSecretConfig(name="guards"))
    pair.put(message, secret("guards"), secret("others"))
    pair.connect()
    assert set(pair.client.state.secrets) == {"guards"}
    assert pair.client.state.complete
    pair.put(routes("rtsp", "*"))
    pair.exchange()
    assert not pair.client.state.secrets
