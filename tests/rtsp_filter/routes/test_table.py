"""Which camera an RTSP URL goes to, and why."""

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from mesh.model import BackendTransport
from rtsp_filter.routes.matching import choose, has_dot_segments, upstream_path
from rtsp_filter.routes.table import Chance, Decision, NoRoute, NoRouteKind, RouteRequest, RouteTable, RouteTableError

TO_A = {"cluster": "a"}
OTHER_TYPE = "type.googleapis.com/google.protobuf.Empty"


def _endpoint(address: str = "192.0.2.1", *, path: str = "", **more: Any) -> dict[str, Any]:
    facts = {"name": f"cam-{address}", "path": path, "transport": "udp"}
    return {
        "endpoint": {"address": {"socket_address": {"address": address, "port_value": 554}}},
        "metadata": {"filter_metadata": {"mediastreamingmesh.io": facts}},
        **more,
    }


def _assignment(name: str, *endpoints: dict[str, Any]) -> Any:
    value = {"cluster_name": name, "endpoints": [{"lb_endpoints": list(endpoints)}]}
    return json_format.ParseDict(value, endpoint_pb2.ClusterLoadAssignment())


def _cluster(name: str, **more: Any) -> Any:
    return json_format.ParseDict({"name": name, "type": "EDS", **more}, cluster_pb2.Cluster())


def _configuration(*hosts: dict[str, Any], **more: Any) -> Any:
    value = {"name": "rtsp", "virtual_hosts": list(hosts), **more}
    return json_format.ParseDict(value, route_pb2.RouteConfiguration())


def _host(*routes: dict[str, Any], name: str = "any", domains: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    return {"name": name, "domains": list(domains), "routes": list(routes)}


def _route(name: str, match: dict[str, Any], action: dict[str, Any] = TO_A, **more: Any) -> dict[str, Any]:
    return {"name": name, "match": match, "route": action, **more}


def _table(*hosts: dict[str, Any], endpoints: tuple[dict[str, Any], ...] = (_endpoint(),)) -> RouteTable:
    names = "abc"
    return RouteTable.from_xds(
        _configuration(*hosts), [_cluster(name) for name in names], [_assignment(name, *endpoints) for name in names]
    )


def _decide(table: RouteTable, path: str, host: str = "h", random: float = 0.0) -> Decision:
    decision = table.decide(RouteRequest(host=host, path=path), Chance(table, random))
    assert isinstance(decision, Decision), decision
    return decision


def _miss(table: RouteTable, path: str, host: str = "h") -> NoRoute:
    answer = table.decide(RouteRequest(host=host, path=path), Chance(table, 0.0))
    assert isinstance(answer, NoRoute), answer
    return answer


def _upstream(path: str, *, base: str = "", match: dict[str, Any] | None = None, **action: Any) -> str:
    table = _table(_host(_route("r", match or {"prefix": "/"}, {**TO_A, **action})), endpoints=(_endpoint(path=base),))
    return _decide(table, path).upstream.path


def test_a_decision_says_all_that_was_decided() -> None:
    table = _table(
        _host(_route("default/lobby/rule-0", {"path_separated_prefix": "/lobby"}, {**TO_A, "prefix_rewrite": "/x"})),
        endpoints=(_endpoint(path="/base"),),
    )
    decision = _decide(table, "/lobby/one?q=1")
    assert (decision.virtual_host, decision.route, decision.cluster) == ("any", "default/lobby/rule-0", "a")
    assert (decision.match, decision.path) == ('is or is below "/lobby"', "/x/one")
    upstream = decision.upstream
    assert (upstream.name, upstream.address, upstream.port) == ("cam-192.0.2.1", "192.0.2.1", 554)
    assert (upstream.base_path, upstream.path) == ("/base", "/base/x/one?q=1")
    assert upstream.transport is BackendTransport.UDP


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ({"path": "/a"}, ["/a", "/a?x=/b"], ["/a/", "/A", "/a/b", "/%61"]),
        ({"prefix": "/a"}, ["/a", "/ab", "/a/b"], ["/", "/b/a"]),
        ({"path_separated_prefix": "/a"}, ["/a", "/a/", "/a/b", "/a?x"], ["/ab", "/", "/A"]),
        ({"safe_regex": {"regex": "/cam[0-9]+"}}, ["/cam1", "/cam12?x"], ["/cam", "/cam1/x", "/x/cam1"]),
        ({"prefix": "/"}, ["/", "", "?x=1", "/any/thing"], []),
    ],
)
def test_paths_match_without_their_query_and_as_they_are_written(
    match: dict[str, Any], hits: list[str], misses: list[str]
) -> None:
    table = _table(_host(_route("r", match)))
    assert [_decide(table, path).route for path in hits] == ["r"] * len(hits)
    assert {_miss(table, path).kind for path in misses} <= {NoRouteKind.NOT_FOUND}


def test_the_first_route_that_matches_wins() -> None:
    table = _table(
        _host(_route("one", {"prefix": "/x"}), _route("two", {"prefix": "/"}), _route("three", {"prefix": "/"}))
    )
    assert _decide(table, "/y").route == "two"


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("cam.example.com", "exact"),
        ("CAM.Example.Com:8554", "exact"),
        ("a.example.com", "long"),
        ("a.b.example.com", "long"),
        ("a.com", "short"),
        ("example.com", "short"),
        ("cam", "any"),
        ("192.0.2.1:554", "any"),
        ("2001:db8::1", "six"),
        ("[2001:DB8::1]:554", "six"),
        ("", "any"),
    ],
)
def test_the_most_specific_domain_wins(host: str, found: str) -> None:
    route = _route("r", {"prefix": "/"})
    table = _table(
        _host(route, name="any", domains=("*",)),
        _host(route, name="short", domains=("*.com",)),
        _host(route, name="long", domains=("*.example.com",)),
        _host(route, name="exact", domains=("other", "Cam.example.com")),
        _host(route, name="six", domains=("[2001:db8::1]",)),
    )
    assert _decide(table, "/", host).virtual_host == found


def test_a_wildcard_is_not_for_the_bare_domain() -> None:
    table = _table(_host(_route("r", {"prefix": "/"}), name="w", domains=("*.example.com",)))
    assert _miss(table, "/", "example.com").message == 'no route is for the host "example.com"'


@pytest.mark.parametrize(
    ("base", "path", "query", "expected"),
    [
        ("", "/", "", "/"),
        ("", "/a", "", "/a"),
        ("/s", "/", "", "/s"),
        ("/s/", "/", "", "/s/"),
        ("/s", "/a", "", "/s/a"),
        ("/s/", "/a/", "", "/s/a/"),
        ("/s", "/", "?x=1", "/s?x=1"),
        ("/s", "/a", "?", "/s/a?"),
        ("/s?c=1", "/", "", "/s?c=1"),
        ("/s?c=1", "/a", "?x=1&y", "/s/a?c=1&x=1&y"),
        ("/?c=1", "/", "", "/?c=1"),
        ("/?c=1", "/a", "?", "/a?c=1"),
    ],
)
def test_the_base_path_goes_in_front_without_doubled_slashes(base: str, path: str, query: str, expected: str) -> None:
    assert upstream_path(base, path, query) == expected


def test_percent_encoding_stays_as_it_is() -> None:
    assert _upstream("/a%2Fb%20c?d=%26", base="/x") == "/x/a%2Fb%20c?d=%26"


def test_prefix_rewrite_replaces_what_matched() -> None:
    assert _upstream("/a/b", match={"path_separated_prefix": "/a"}, prefix_rewrite="/x") == "/x/b"
    assert _upstream("/a", match={"path": "/a"}, prefix_rewrite="/x") == "/x"
    assert _upstream("/ab", match={"safe_regex": {"regex": "/a."}}, prefix_rewrite="/x") == "/x"


def test_regex_rewrite_replaces_with_groups() -> None:
    rewrite = {"pattern": {"regex": "^/cam/([0-9]+)"}, "substitution": "/ch\\1\\\\x\\0"}
    assert _upstream("/cam/12/live", regex_rewrite=rewrite) == "/ch12\\x/cam/12/live"


def test_a_rewrite_that_loses_the_slash_gets_it_back() -> None:
    assert _upstream("/a/b", match={"prefix": "/a/"}, prefix_rewrite="x") == "/xb"


@pytest.mark.parametrize(
    "path", ["/a/..", "/a/../b", "/./a", "/%2e%2E/a", "/a/%2e", "/a/..%2fb", "/a%2F..", "/a/..%5cb", "/a\\..\\b"]
)
def test_a_path_that_climbs_matches_nothing(path: str) -> None:
    answer = _miss(_table(_host(_route("r", {"prefix": "/"}))), path)
    assert answer.kind is NoRouteKind.NOT_FOUND
    assert any('"." or ".."' in reason for reason in answer.reasons)
    assert has_dot_segments(path)


def test_dots_in_names_are_only_names() -> None:
    assert not has_dot_segments("/a..b/...%2e/.c/a%2fb%5c.d")


@given(st.lists(st.integers(0, 1_000_000), min_size=1).filter(any), st.floats(0, 1, exclude_max=True))
def test_a_choice_never_falls_on_weight_zero_and_leaves_chance_in_range(weights: list[int], random: float) -> None:
    index, rest = choose(weights, random)
    assert weights[index] > 0
    assert 0 <= rest < 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any))
def test_each_weight_has_exactly_its_share(weights: list[int]) -> None:
    total = 1 << sum(weights).bit_length()
    counts = [0] * len(weights)
    for step in range(total):
        index, _ = choose(weights, step / total)
        counts[index] += 1
    expected = [weight * total / sum(weights) for weight in weights]
    assert all(abs(count - share) <= 1 for count, share in zip(counts, expected, strict=True))


def test_a_third_is_a_third_whatever_floats_make_of_it() -> None:
    below = 1 / 3  # a little less than a third
    assert choose([1, 2], below)[0] == 0


def test_one_random_number_chooses_the_backend_and_its_endpoint() -> None:
    action = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]}}
    endpoints = (_endpoint("192.0.2.1"), _endpoint("192.0.2.2"))
    table = _table(_host(_route("r", {"prefix": "/"}, action)), endpoints=endpoints)
    found = [_decide(table, "/", random=step / 8) for step in range(8)]
    assert [(item.cluster, item.upstream.address[-1]) for item in found] == [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("b", "1"),
        ("b", "1"),
        ("b", "2"),
        ("b", "2"),
        ("b", "2"),
    ]


def test_a_backend_without_usable_endpoints_is_another_answer_than_no_route() -> None:
    draining = _endpoint(health_status="DRAINING")
    answer = _miss(_table(_host(_route("r", {"prefix": "/"})), endpoints=(draining,)), "/")
    assert (answer.kind, answer.message) == (NoRouteKind.NO_ENDPOINT, "the backend a has no endpoint now")


def test_a_cluster_that_is_not_known_yet_has_no_endpoint() -> None:
    table = RouteTable.from_xds(_configuration(_host(_route("r", {"prefix": "/"}))), [], [])
    answer = _miss(table, "/")
    assert answer.kind is NoRouteKind.NO_ENDPOINT
    assert any("this cluster is not known" in reason for reason in answer.reasons)


def test_an_empty_table_has_no_route() -> None:
    assert _miss(RouteTable(), "/").kind is NoRouteKind.NOT_FOUND


def test_a_cluster_may_carry_its_endpoints_or_name_another_assignment() -> None:
    configuration = _configuration(_host(_route("r", {"prefix": "/"})))
    inline = {"cluster_name": "a", "endpoints": [{"lb_endpoints": [_endpoint("cam.example.com")]}]}
    table = RouteTable.from_xds(configuration, [_cluster("a", type="STRICT_DNS", load_assignment=inline)], [])
    assert _decide(table, "/").upstream.address == "cam.example.com"
    named = _cluster("a", eds_cluster_config={"service_name": "other"})
    table = RouteTable.from_xds(configuration, [named], [_assignment("other", _endpoint())])
    assert _decide(table, "/").upstream.address == "192.0.2.1"


def test_an_endpoint_of_another_control_plane_needs_no_metadata() -> None:
    bare = {"endpoint": {"address": {"socket_address": {"address": "192.0.2.7", "port_value": 8554}}}}
    upstream = _decide(_table(_host(_route("r", {"prefix": "/"})), endpoints=(bare,)), "/x").upstream
    assert (upstream.name, upstream.path, upstream.transport) == ("192.0.2.7:8554", "/x", BackendTransport.AUTO)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({"match": {"prefix": "/"}, "direct_response": {"status": 200}}, "Route.direct_response is not supported"),
        ({"match": {"prefix": "/"}}, "only routes to clusters and redirects are supported"),
        ({"match": {"prefix": "/", "grpc": {}}, "route": TO_A}, "RouteMatch.grpc is not supported"),
        ({"match": {"prefix": "/", "case_sensitive": False}, "route": TO_A}, "RouteMatch.case_sensitive is not"),
        ({"match": {"safe_regex": {"regex": "("}}, "route": TO_A}, "not an RE2 regular expression"),
        ({"match": {}, "route": TO_A}, "it has no condition on the path"),
        (
            {"match": {"path_match_policy": {"name": "x", "typed_config": {"@type": OTHER_TYPE}}}, "route": TO_A},
            f"RouteMatch.path_match_policy {OTHER_TYPE} is not supported",
        ),
        ({"match": {"prefix": "/"}, "route": {}}, "it names no cluster"),
        ({"match": {"prefix": "/"}, "route": {"cluster_header": "x"}}, "RouteAction.cluster_header is not"),
        ({"match": {"prefix": "/"}, "route": {**TO_A, "host_rewrite_literal": "x"}}, "host_rewrite_literal is not"),
        (
            {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a"}]}}},
            "add up to nothing",
        ),
        (
            {
                "match": {"prefix": "/"},
                "route": {**TO_A, "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "\\1"}},
            },
            'refers to a group that "a" has not',
        ),
        (
            {
                "match": {"prefix": "/"},
                "route": {**TO_A, "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "x\\"}},
            },
            "means nothing in a substitution",
        ),
    ],
)
def test_what_a_route_cannot_have_is_refused_by_name(route: dict[str, Any], expected: str) -> None:
    with pytest.raises(RouteTableError) as caught:
        RouteTable.from_xds(_configuration(_host({"name": "r", **route})), [], [])
    assert str(caught.value).startswith("route configuration rtsp: virtual host any: route r: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (_configuration(_host() | {"require_tls": "ALL"}), "VirtualHost.require_tls is not"),
        (_configuration(_host(domains=("a.*",))), 'in the domain "a.*" only a leading * is supported'),
        (_configuration(_host(), _host(name="b")), 'the domain "*" belongs to both any and b'),
        (_configuration(internal_only_headers=["x"]), "RouteConfiguration.internal_only_headers is not supported"),
    ],
)
def test_what_a_route_configuration_cannot_have_is_refused_by_name(configuration: Any, expected: str) -> None:
    with pytest.raises(RouteTableError) as caught:
        RouteTable.from_xds(configuration, [], [])
    assert caught.value.resource == "route configuration rtsp"
    assert expected in str(caught.value)


def test_a_cluster_or_assignment_that_cannot_be_honoured_is_refused_by_name() -> None:
    empty = _configuration()
    for cluster, expected in [
        (_cluster("a", type="ORIGINAL_DST"), "cluster a: the type ORIGINAL_DST is not supported"),
        (_cluster("a", lb_policy="CLUSTER_PROVIDED"), "cluster a: Cluster.lb_policy CLUSTER_PROVIDED is not supported"),
    ]:
        with pytest.raises(RouteTableError, match=expected):
            RouteTable.from_xds(empty, [cluster], [])
    for endpoint, expected in [
        ({"endpoint": {"additional_addresses": [{}]}}, "Endpoint.additional_addresses"),
        ({"endpoint": {"address": {"pipe": {"path": "/x"}}}}, "an endpoint needs an address and a port number"),
        (_endpoint(path="x"), 'the path "x" of endpoint 192.0.2.1 does not begin with "/"'),
    ]:
        with pytest.raises(RouteTableError, match=expected):
            RouteTable.from_xds(empty, [], [_assignment("a", endpoint)])


def test_reasons_tell_the_whole_story() -> None:
    action = {
        "weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]},
        "prefix_rewrite": "/x",
    }
    table = _table(
        _host(
            _route("no", {"path": "/other"}),
            _route("yes", {"path_separated_prefix": "/lobby"}, action),
            _route("late", {"prefix": "/"}),
        ),
        endpoints=(_endpoint(path="/base"),),
    )
    assert _decide(table, "/lobby/1?q").reasons == (
        'For the host "h" the virtual host any applies (domains: *).',
        'Route no does not match: it wants a path that is "/other", not "/lobby/1".',
        'Route yes matches: the path "/lobby/1" is or is below "/lobby". Routes after it, not looked at: 1.',
        "Backend a has weight 1 of 4 (25 %) and 1 endpoint(s).",
        "Backend b has weight 3 of 4 (75 %) and 1 endpoint(s).",
        'The rewrite (what matched is replaced by "/x") makes "/x/1" of the path "/lobby/1".',
        'Chosen: endpoint cam-192.0.2.1 at 192.0.2.1, port 554; it is asked for "/base/x/1?q", '
        'its base path "/base" in front.',
    )


def test_reasons_of_a_miss_name_the_hosts_and_do_not_flood() -> None:
    routes = [_route(f"r{index}", {"path": f"/{index}"}) for index in range(60)]
    table = _table(_host(*routes, name="cams", domains=("cams",)))
    assert _miss(table, "/", "other").reasons == ('No virtual host is for "other"; there are: cams.',)
    reasons = _miss(table, "/", "cams").reasons
    assert len(reasons) == 53
    assert reasons[-2:] == ("10 more routes do not match.", 'No route of virtual host cams matches the path "/".')
