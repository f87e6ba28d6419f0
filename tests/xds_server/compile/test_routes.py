"""A mesh becomes route configuration, clusters and assignments; a change costs what changed."""

from dataclasses import replace
from typing import Any

from mesh.model import (
    Backend,
    BackendTransport,
    Endpoint,
    Match,
    Mesh,
    ObjectName,
    PathMatch,
    PathMatchType,
    PathRewrite,
    PathRewriteType,
    Route,
    Rule,
    WeightedBackend,
)
from xds_server.compile.routes import RouteCompiler, compile_routes

TYPE_URL = "type.googleapis.com/envoy.config."
CLUSTER = TYPE_URL + "cluster.v3.Cluster"
ASSIGNMENT = TYPE_URL + "endpoint.v3.ClusterLoadAssignment"
LOBBY = ObjectName("default", "lobby")
DOOR = ObjectName("default", "door")


def _match(value: str, kind: PathMatchType = PathMatchType.PATH_PREFIX) -> Match:
    return Match(path=PathMatch(type=kind, value=value))


def _route(name: str, *matches: Match, hosts: tuple[str, ...] = (), backend: ObjectName = LOBBY, **rule: Any) -> Route:
    shares = rule.pop("backends", (WeightedBackend(backend=backend),))
    return Route(
        name=ObjectName("default", name),
        hostnames=hosts,
        rules=(Rule(name="rule-0", matches=matches, backends=shares, **rule),),
    )


def _backend(name: ObjectName, *addresses: str) -> Backend:
    endpoints = tuple(Endpoint(name=f"e{i}", address=a, port=554) for i, a in enumerate(addresses))
    return Backend(name=name, endpoints=endpoints)


def _mesh(routes: tuple[Route, ...] = (), backends: tuple[Backend, ...] = ()) -> Mesh:
    return Mesh(routes={route.name: route for route in routes}, backends={item.name: item for item in backends})


def _kinds(messages: list[Any]) -> list[tuple[str, str]]:
    return sorted((m.DESCRIPTOR.name, getattr(m, "cluster_name", None) or m.name) for m in messages)


ROUTED = (_route("a", _match("/")),)


def _configuration(*routes: Route) -> Any:
    return compile_routes(_mesh(routes))[-1]


def _order(*routes: Route) -> dict[str, list[str]]:
    """Names of the routes of each virtual host, as Envoy tries them."""
    hosts = _configuration(*routes).virtual_hosts
    return {host.domains[0]: [route.name.split("/")[1] for route in host.routes] for host in hosts}


def _action(match: PathMatch, rewrite: PathRewrite) -> Any:
    return _configuration(_route("a", match, rewrite=rewrite)).virtual_hosts[0].routes[0].route


def test_an_empty_mesh_is_an_empty_route_configuration() -> None:
    (configuration,) = compile_routes(Mesh())
    assert configuration.name == "rtsp"
    assert list(configuration.virtual_hosts) == []


def test_a_route_has_one_envoy_route_for_each_match() -> None:
    kinds = PathMatchType
    configuration = _configuration(
        _route("a", _match("/x", kinds.EXACT), _match("/y/"), _match("/"), _match("/z.*", kinds.REGULAR_EXPRESSION))
    )
    (host,) = configuration.virtual_hosts
    assert list(host.domains) == ["*"]
    assert {route.name for route in host.routes} == {"default/a/rule-0"}
    exact, regex, prefix, root = (route.match for route in host.routes)
    assert exact.path == "/x"
    assert regex.safe_regex.regex == "/z.*"
    assert prefix.path_separated_prefix == "/y"
    assert root.prefix == "/"


def test_routes_are_tried_exact_first_then_expressions_then_long_prefixes() -> None:
    kinds = PathMatchType
    assert _order(
        _route("short", _match("/a")),
        _route("long", _match("/a/b")),
        _route("slash", _match("/a////")),
        _route("regex", _match(".*", kinds.REGULAR_EXPRESSION)),
        _route("exact", _match("/a", kinds.EXACT)),
    ) == {"*": ["exact", "regex", "long", "short", "slash"]}


def test_equal_matches_are_ordered_by_the_name_of_the_route() -> None:
    assert _order(_route("b", _match("/x")), _route("a", _match("/y"))) == {"*": ["a", "b"]}


def test_a_host_goes_on_with_the_routes_of_hostnames_that_cover_it() -> None:
    assert _order(
        _route("any", _match("/long/path/of/any")),
        _route("com", _match("/"), hosts=("*.com",)),
        _route("wild", _match("/"), hosts=("*.example.com",)),
        _route("own", _match("/"), hosts=("cam.example.com",)),
        _route("org", _match("/"), hosts=("cam.example.org",)),
    ) == {
        "*": ["any"],
        "*.com": ["com", "any"],
        "*.example.com": ["wild", "com", "any"],
        "cam.example.com": ["own", "wild", "com", "any"],
        "cam.example.org": ["org", "any"],
    }


def test_a_route_with_several_hostnames_is_in_each_virtual_host_once() -> None:
    order = _order(_route("a", _match("/"), hosts=("*.example.com", "cam.example.com")))
    assert order == {"*.example.com": ["a"], "cam.example.com": ["a"]}


def test_weights_become_weighted_clusters_zero_included() -> None:
    shares = (WeightedBackend(backend=LOBBY, weight=3), WeightedBackend(backend=DOOR, weight=0))
    action = _configuration(_route("a", _match("/"), backends=shares)).virtual_hosts[0].routes[0].route
    found = [(share.name, share.weight.value) for share in action.weighted_clusters.clusters]
    assert found == [("default/lobby", 3), ("default/door", 0)]


def test_one_backend_is_a_plain_cluster() -> None:
    assert _configuration(_route("a", _match("/"))).virtual_hosts[0].routes[0].route.cluster == "default/lobby"


def test_a_prefix_is_replaced_by_envoys_prefix_rewrite() -> None:
    rewrite = PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value="/new/")
    assert _action(_match("/old/"), rewrite).prefix_rewrite == "/new"
    assert _action(_match("/"), rewrite).prefix_rewrite == "/new/"


def test_a_prefix_is_taken_off_by_an_expression_which_leaves_one_slash() -> None:
    rewrite = PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value="/")
    action = _action(_match("/a.b"), rewrite)
    assert action.prefix_rewrite == ""
    assert action.regex_rewrite.pattern.regex == "^/a\\.b/*"
    assert action.regex_rewrite.substitution == "/"


def test_a_prefix_replaced_by_itself_is_no_rewrite() -> None:
    for value in ("/", "/a"):
        action = _action(_match(value), PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value=value))
        assert (action.prefix_rewrite, action.HasField("regex_rewrite")) == ("", False)


def test_a_full_path_is_replaced_as_it_is_written() -> None:
    action = _action(_match("/a"), PathRewrite(type=PathRewriteType.REPLACE_FULL_PATH, value="/b\\1"))
    assert action.regex_rewrite.substitution == "/b\\\\1"


def test_a_backend_that_no_route_names_is_not_sent() -> None:
    messages = compile_routes(
        _mesh(ROUTED, (_backend(LOBBY, "192.0.2.1"), _backend(ObjectName("default", "game:1/udp"))))
    )
    assert _kinds(messages)[:2] == [("Cluster", "default/lobby"), ("ClusterLoadAssignment", "default/lobby")]
    assert len(messages) == 3


def test_a_backend_of_ip_addresses_has_its_endpoints_apart() -> None:
    endpoint = Endpoint(name="one", address="2001:db8::1", port=8554, path="/s?x=1", transport=BackendTransport.TCP)
    messages = compile_routes(_mesh(ROUTED, (Backend(name=LOBBY, endpoints=(endpoint,)),)))
    cluster, assignment = messages[:2]
    assert (cluster.name, cluster.type) == ("default/lobby", cluster.EDS)
    assert cluster.eds_cluster_config.eds_config.HasField("ads")
    (lb_endpoint,) = assignment.endpoints[0].lb_endpoints
    address = lb_endpoint.endpoint.address.socket_address
    assert (assignment.cluster_name, address.address, address.port_value) == ("default/lobby", "2001:db8::1", 8554)
    facts = dict(lb_endpoint.metadata.filter_metadata["mediastreamingmesh.io"].items())
    assert facts == {"name": "one", "path": "/s?x=1", "transport": "tcp"}


def test_a_backend_with_a_host_name_carries_its_endpoints() -> None:
    messages = compile_routes(_mesh(ROUTED, (_backend(LOBBY, "cam", "192.0.2.1"),)))
    assert _kinds(messages) == [("Cluster", "default/lobby"), ("RouteConfiguration", "rtsp")]
    cluster = messages[0]
    assert cluster.type == cluster.STRICT_DNS
    assert len(cluster.load_assignment.endpoints[0].lb_endpoints) == 2


def test_a_backend_without_endpoints_has_an_empty_assignment() -> None:
    assignment = compile_routes(_mesh(ROUTED, (_backend(LOBBY),)))[1]
    assert list(assignment.endpoints) == []


def test_nothing_changes_when_an_equal_mesh_is_compiled_again() -> None:
    compiler = RouteCompiler()
    parts = (_route("a", _match("/")),), (_backend(LOBBY, "192.0.2.1"),)
    assert compiler.compile(_mesh(*parts)).upsert
    assert compiler.compile(_mesh(*parts)) == ([], [])
    again = (_route("a", _match("/")),), (_backend(LOBBY, "192.0.2.1"),)
    assert compiler.compile(_mesh(*again)) == ([], [])


def test_a_changed_backend_costs_that_backend() -> None:
    compiler = RouteCompiler()
    routes, door = (_route("a", _match("/")),), _backend(DOOR, "192.0.2.2")
    compiler.compile(_mesh(routes, (_backend(LOBBY, "192.0.2.1"), door)))
    change = compiler.compile(_mesh(routes, (_backend(LOBBY, "192.0.2.9"), door)))
    assert _kinds(change.upsert) == [("Cluster", "default/lobby"), ("ClusterLoadAssignment", "default/lobby")]
    assert change.remove == []


def test_a_changed_route_costs_the_route_configuration() -> None:
    compiler = RouteCompiler()
    backends = (_backend(LOBBY, "192.0.2.1"),)
    compiler.compile(_mesh((_route("a", _match("/a")),), backends))
    change = compiler.compile(_mesh((_route("a", _match("/b")),), backends))
    assert _kinds(change.upsert) == [("RouteConfiguration", "rtsp")]
    assert change.upsert[0].virtual_hosts[0].routes[0].match.path_separated_prefix == "/b"


def test_what_is_gone_is_removed_by_type_and_name() -> None:
    compiler = RouteCompiler()
    compiler.compile(_mesh((_route("a", _match("/")),), (_backend(LOBBY, "192.0.2.1"),)))
    change = compiler.compile(Mesh())
    assert change.remove == [(CLUSTER, "default/lobby"), (ASSIGNMENT, "default/lobby")]
    assert _kinds(change.upsert) == [("RouteConfiguration", "rtsp")]


def test_a_backend_that_takes_a_host_name_loses_its_assignment() -> None:
    compiler = RouteCompiler()
    compiler.compile(_mesh(ROUTED, (_backend(LOBBY, "192.0.2.1"),)))
    change = compiler.compile(_mesh(ROUTED, (_backend(LOBBY, "cam"),)))
    assert _kinds(change.upsert) == [("Cluster", "default/lobby")]
    assert change.remove == [(ASSIGNMENT, "default/lobby")]


def test_a_route_that_moves_hosts_leaves_no_empty_virtual_host() -> None:
    compiler = RouteCompiler()
    route = _route("a", _match("/"), hosts=("one.example.com",))
    compiler.compile(_mesh((route,)))
    (configuration,) = compiler.compile(_mesh((replace(route, hostnames=("two.example.com",)),))).upsert
    assert [host.name for host in configuration.virtual_hosts] == ["two.example.com"]
