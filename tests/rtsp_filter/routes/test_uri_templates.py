"""Which paths fit a URI template, and what is none; test_route_features_envoy asks Envoy itself."""

from __future__ import annotations

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from mesh.regex import compile_regex
from rtsp_filter.routes.table import RouteTable, RouteTableError
from rtsp_filter.routes.uri_templates import template_regex


@pytest.mark.parametrize(
    ("template", "fits", "fits_not"),
    [
        ("/", ["/"], ["/a"]),
        ("/cams/*", ["/cams/a", "/cams/a.b"], ["/cams/", "/cams/a/b", "/cams/a|b"]),
        ("/{site}/{camera}", ["/a/b"], ["/a", "/a/b/c"]),
        ("/cams/**", ["/cams/", "/cams/a/b"], ["/cams", "/camsa"]),
        ("/{site=cams/*}/live.sdp", ["/cams/a/live.sdp"], ["/cams/live.sdp", "/cams/a/live-sdp"]),
        ("/**.m3u8", ["/a/b.m3u8", "/.m3u8"], ["/a/b.m3u"]),
    ],
)
def test_paths_that_fit(template: str, fits: list[str], fits_not: list[str]) -> None:
    regex = compile_regex(template_regex(template))
    assert [path for path in (*fits, *fits_not) if regex.fullmatch(path)] == fits


@pytest.mark.parametrize(
    "template",
    [
        *(
            "",
            "a",
            "/a//b",
            "/a*",
            "/b{a}",
            "/***",
            "/{a}{b}",
            "/{a}/{a}",
            "/{1a}",
            "/{}",
            "/{a=}",
            "/{a=/b}",
            "/{a=b/}",
        ),
        *("/**/*", "/a?b", "/a b", "/{a", "/{a={b}}", "/{abcdefghijklmnopq}", "/{a}/{b}/{c}/{d}/{e}/{f}"),
    ],
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"the URI template .* cannot be used"):
        template_regex(template)


def test_a_route_matches_by_template_and_replaces_no_prefix_of_it() -> None:
    kind = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
    policy = {"name": "template", "typed_config": {"@type": kind, "path_template": "/cams/{site}"}}
    route = {"name": "r", "match": {"path_match_policy": policy}, "route": {"cluster": "a"}}

    def table() -> RouteTable:
        value = {"name": "rtsp", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]}
        return RouteTable.from_xds(json_format.ParseDict(value, route_pb2.RouteConfiguration()), [], [])

    (host,) = table().hosts.virtual_hosts
    assert str(host.routes[0].match) == 'fits "/cams/{site}"'
    route["route"] = {"cluster": "a", "prefix_rewrite": "/"}
    with pytest.raises(RouteTableError, match="prefix_rewrite is not supported with a URI template"):
        table()
