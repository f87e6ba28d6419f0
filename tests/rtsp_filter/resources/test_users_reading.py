"""What routes and secrets say of users is read whole or refused, and never repeated."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.basic_auth.v3 import basic_auth_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh.users import FILTER_NAME, encode_users, joined, user_of
from rtsp_filter.resources.users_reading import UserList, read_user_list, read_users_name, users_names
from rtsp_filter.routes.table import Chance, Decision, Redirection, RouteRequest, RouteTable, RouteTableError
from rtsp_filter.rtsp import RTSPURL, Headers, Method, RTSPError, Scheme, StatusCode

ANN = user_of("ann", "cameras", "wonderland")
HASH = "0123456789abcdef0123456789abcdef"


def secret(text: str, name: str = "guards") -> Any:
    message = secret_pb2.Secret(name=name)
    message.generic_secret.secret.inline_string = text
    return message


def route(name: str, prefix: str, users: str = "", method: str = "") -> Any:
    message = route_components_pb2.Route(name=name, match={"path_separated_prefix": prefix}, route={"cluster": "lobby"})
    if method:
        message.match.headers.add(name=":method").string_match.exact = method
    if users:
        message.typed_per_filter_config[FILTER_NAME].Pack(secret_pb2.SdsSecretConfig(name=users))
    return message


def configuration(*routes: Any) -> Any:
    message = route_pb2.RouteConfiguration(name="rtsp")
    message.virtual_hosts.add(name="*", domains=["*"]).routes.extend(routes)
    return message


def table(*routes: Any, secrets: tuple[Any, ...] = ()) -> RouteTable:
    cluster = cluster_pb2.Cluster(name="lobby", type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.eds_config.ads.SetInParent()
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name="lobby")
    address = assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "192.0.2.1", 554
    return RouteTable.from_xds(configuration(*routes), [cluster], [assignment], secrets)


def asked(path: str, method: str = Method.DESCRIBE) -> RouteRequest:
    return RouteRequest.of(RTSPURL.parse(f"rtsp://mesh{path}"), method, Headers())


def test_users_are_read_as_they_were_written() -> None:
    users = read_user_list(secret(encode_users(joined("cameras", [ANN]))))
    assert users.realm == "cameras"
    assert users.digests == (Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5)
    assert (users.secrets["ann"].md5, users.secrets["ann"].sha256) == (ANN.md5, ANN.sha256)
    assert repr(users) == repr(UserList(name=users.name, realm="cameras", secrets={}, digests=users.digests))


def test_only_schemes_that_all_users_have_are_offered() -> None:
    text = encode_users(joined("cameras", [ANN])) + f"bob:cameras:{HASH}\n"
    assert read_user_list(secret(text)).digests == (Scheme.DIGEST_MD5,)


@pytest.mark.parametrize("text", ["", "ann", f"ann:cameras:{HASH}\nbob:other:{HASH}\n", f"ann:cameras:{HASH}0\n"])
def test_users_that_cannot_be_checked_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(RouteTableError, match="secret guards: ") as error:
        read_user_list(secret(text))
    assert HASH not in str(error.value)
    assert "bob" not in str(error.value)


def test_a_secret_from_a_file_is_refused_by_the_name_of_its_field() -> None:
    message = secret_pb2.Secret(name="guards")
    message.generic_secret.secret.filename = "users"
    with pytest.raises(RouteTableError, match=r"DataSource\.filename is not supported"):
        read_user_list(message)


def test_a_route_that_says_something_else_to_filters_is_refused() -> None:
    other = route("a", "/a")
    other.typed_per_filter_config["envoy.filters.http.basic_auth"].Pack(basic_auth_pb2.BasicAuthPerRoute())
    wrong = route("a", "/a")
    wrong.typed_per_filter_config[FILTER_NAME].Pack(basic_auth_pb2.BasicAuthPerRoute())
    nameless = route("a", "/a")
    nameless.typed_per_filter_config[FILTER_NAME].Pack(secret_pb2.SdsSecretConfig())
    for message, said in ((other, "basic_auth"), (wrong, "SdsSecretConfig"), (nameless, "with a name")):
        with pytest.raises(RouteTableError, match=said):
            table(message)


def test_the_secrets_that_routes_need_are_known_by_name() -> None:
    assert set(users_names(configuration(route("a", "/a", "guards"), route("b", "/b"), route("c", "/c", "crew")))) == {
        "guards",
        "crew",
    }
    assert read_users_name(route("b", "/b")) == ""


def test_it_is_known_whom_a_request_is_for_by_path_and_method() -> None:
    routes = table(
        route("publish", "/lobby", "crew", method="ANNOUNCE"), route("watch", "/lobby", "guards"), route("rest", "/")
    )
    assert routes.users_name(asked("/lobby", Method.ANNOUNCE)) == "crew"
    assert routes.users_name(asked("/lobby")) == "guards"
    assert routes.users_name(asked("/lobby/track", Method.SETUP)) == "guards"
    assert routes.users_name(asked("/yard")) == ""
    assert RouteTable().users_name(asked("/lobby")) == ""


def test_a_decision_says_whom_it_is_for_and_its_reasons_say_nothing_of_them() -> None:
    routes = table(
        route("watch", "/lobby", "guards"), secrets=(secret(encode_users(joined("cameras", [ANN])), "guards"),)
    )
    answer = routes.decide(asked("/lobby"), Chance(routes, 0.0))
    assert isinstance(answer, Decision)
    assert answer.users == "guards"
    assert set(routes.users) == {"guards"}
    assert routes.credentials == {}
    told = " ".join(answer.reasons)
    assert "Who asks has to prove a password: guards says whose." in told
    assert "ann" not in told.split()


def test_a_route_that_redirects_may_be_for_some_users_only() -> None:
    message = route_components_pb2.Route(
        name="away", match={"path_separated_prefix": "/old"}, redirect={"path_redirect": "/new"}
    )
    message.typed_per_filter_config[FILTER_NAME].Pack(secret_pb2.SdsSecretConfig(name="guards"))
    routes = table(message)
    assert routes.users_name(asked("/old")) == "guards"
    assert isinstance(routes.decide(asked("/old"), Chance(routes, 0.0)), Redirection)


@pytest.mark.parametrize(
    "path",
    [
        "/c%61mera",
        "//camera",
        "/%63amera/trackID=0",
        "/camera%2ftrackID=0",
        "/camera#x",
        "/camera%3fx",
        "/%5ccamera",
        "/open/c%61mera",
    ],
)
def test_another_spelling_of_a_path_is_no_way_around_its_users(path: str) -> None:
    """The same camera may be behind a route for everybody, and may not tell them apart."""
    routes = table(route("a", "/camera", "guards"), route("b", "/open/camera", "crew"), route("c", ""))
    for method in (Method.DESCRIBE, Method.SETUP):
        with pytest.raises(RTSPError) as error:
            routes.users_name(asked(path, method))
        assert error.value.status == StatusCode.FORBIDDEN


def test_another_spelling_of_what_is_for_nobody_else_is_as_good() -> None:
    routes = table(route("a", "/camera", "guards"), route("c", ""))
    assert [routes.users_name(asked(path)) for path in ("/c%61mel", "//c", "/c/#x", "/camera//x?q=1")] == [
        "",
        "",
        "",
        "guards",
    ]
