"""`--route PATH=URL` stands for a route and a backend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.documents import Backend, RouteOptionError, RTSPRoute, compile_documents, route_option, route_options
from mesh.model import Endpoint, Match, ObjectName, PathMatch, PathMatchType, PathRewrite, PathRewriteType, merge


def _endpoint(url: str) -> Endpoint:
    part = compile_documents(route_options([f"/lobby={url}"]), source="command line")
    (endpoint,) = part.backends[ObjectName("default", "lobby")].endpoints
    return endpoint


def test_the_route_takes_the_path_off_and_names_the_backend() -> None:
    part = compile_documents(route_options(["/lobby=rtsp://192.0.2.10/stream1"]), source="command line")
    name = ObjectName("default", "lobby")
    (rule,) = part.routes[name].rules
    assert rule.matches == (Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/lobby")),)
    assert rule.rewrite == PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value="/")
    assert [weighted.backend for weighted in rule.backends] == [name]
    assert set(merge([part]).backends) == {name}


@pytest.mark.parametrize(
    ("url", "address", "port", "path"),
    [
        ("rtsp://192.0.2.10/stream1", "192.0.2.10", 554, "/stream1"),
        ("rtsp://192.0.2.10", "192.0.2.10", 554, ""),
        ("rtsp://192.0.2.10/", "192.0.2.10", 554, ""),
        ("RTSP://Cam.example.com:8554/a/b/", "cam.example.com", 8554, "/a/b/"),
        ("rtsp://[2001:db8::1]:8554/x", "2001:db8::1", 8554, "/x"),
        ("rtsp://[2001:db8::1]", "2001:db8::1", 554, ""),
        ("rtsp://cam/live?channel=1&subtype=0", "cam", 554, "/live?channel=1&subtype=0"),
        ("rtsp://cam?channel=1", "cam", 554, "/?channel=1"),
        ("rtsp://cam/a%20b@c", "cam", 554, "/a%20b@c"),
        ("rtsps://cam/x", "cam", 322, "/x"),
        ("RTSPS://cam:8322/x", "cam", 8322, "/x"),
    ],
)
def test_the_url_becomes_an_endpoint(url: str, address: str, port: int, path: str) -> None:
    endpoint = _endpoint(url)
    assert (endpoint.address, endpoint.port, endpoint.path) == (address, port, path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/lobby", "wants PATH=URL"),
        ("lobby=rtsp://cam", "PATH begins with /"),
        ("/lobby=", "begins with rtsp://"),
        ("/lobby=cam/stream", "begins with rtsp://"),
        ("/lobby=http://cam", "begins with rtsp://"),
        ("/lobby=rtsp:///stream", "names no host"),
        ("/lobby=rtsp://cam:x/", "a port from 1 to 65535"),
        ("/lobby=rtsp://cam:0/", "a port from 1 to 65535"),
        ("/lobby=rtsp://cam:65536/", "a port from 1 to 65535"),
        ("/lobby=rtsp://2001:db8::1/x", "an IPv6 address goes in brackets"),
        ("/lobby=rtsp://[2001:db8::1/x", "an IPv6 address goes in brackets"),
        ("/lobby=rtsp://192.0.2.300/", '"192.0.2.300" is not an IPv4 address'),
        ("/lobby=rtsp://cam/a b", "contains spaces"),
        ("/lobby=rtsp://cam/#a", "fragment"),
        ("/lobby//x=rtsp://cam", 'a path must not contain "//"'),
        ("/lobby?x=rtsp://cam", 'a path must not contain "?"'),
    ],
)
def test_a_mistake_is_told(text: str, expected: str) -> None:
    with pytest.raises(RouteOptionError, match=r"^--route") as caught:
        route_option(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("rtsp://admin:s3cret@cam/", "admin", "s3cret"),
        ("rtsp://admin@cam/", "admin", ""),
        ("rtsp://:s3cret@cam/", "", "s3cret"),
        ("rtsp://a%40b:s3%2Fcr%3Aet:@cam/", "a@b", "s3/cr:et:"),
        ("rtsp://admin:s3@cret@cam/", "admin", "s3@cret"),
    ],
)
def test_the_urls_user_and_password_are_what_the_camera_is_told(url: str, username: str, password: str) -> None:
    part = compile_documents(route_options([f"/lobby={url}"]), source="command line")
    backend = part.backends[ObjectName("default", "lobby")]
    (endpoint,), (credentials,) = backend.endpoints, backend.credentials
    assert (endpoint.address, endpoint.path) == ("cam", "")
    assert endpoint.credentials == credentials.name
    assert (credentials.username, credentials.password) == (username, password)
    assert "s3" not in repr(part)


def test_the_documents_of_an_option_show_no_password() -> None:
    assert "s3cret" not in repr(route_options(["/a=rtsp://admin:s3cret@cam/"]))


@pytest.mark.parametrize(
    "text",
    [
        "/a=rtsp://admin:s3/cret@cam/",
        "rtsp://u:s3cret@cam/",
        "rtsp://u:s3cret=@cam/",
        "/a=rtsp://admin:s3cr%0Aet@cam/",
        "/a=rtsp://ad%3Amin:s3cret@cam/",
        "/a=rtsp://u:s3cret@/",
        "/a=rtsp://u:s3cret@cam:0/",
        "/a=rtsp://u:s3 cret@cam/",
    ],
)
def test_a_mistake_beside_a_password_does_not_repeat_it(text: str) -> None:
    with pytest.raises(RouteOptionError) as caught:
        route_option(text)
    assert "s3" not in str(caught.value)


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(RouteOptionError, match="--route /a: this path is given twice"):
        route_options(["/a=rtsp://one", "/a=rtsp://two"])


def test_paths_that_look_alike_as_names_stay_apart() -> None:
    paths = ["/a/b", "/a-b", "/A-B", "/a.b", "/", "/root", "/%C3%A9", "/é"]
    documents = route_options(f"{path}=rtsp://cam" for path in paths)
    assert len(compile_documents(documents, source="command line").routes) == len(paths)


@given(st.text(st.characters(exclude_characters="=?#%\x7f", categories=("L", "N", "P", "S"))))
def test_any_path_gives_documents_or_our_error(path: str) -> None:
    try:
        route, backend = route_option(f"/{path}=rtsp://cam/x")
    except RouteOptionError:
        return
    assert isinstance(route, RTSPRoute)
    assert route.spec.rules[0].matches[0].path.value == f"/{path}"
    assert route.metadata.name == backend.metadata.name


@given(st.text())
def test_any_url_gives_documents_or_our_error(rest: str) -> None:
    try:
        _, backend, *_ = route_option(f"/a=rtsp://{rest}")
    except RouteOptionError:
        return
    assert isinstance(backend, Backend)
    assert backend.spec.endpoints[0].address
