"""What rules do becomes Envoy's actions, field by field."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from mesh.model import (
    HeaderModifier,
    Match,
    ObjectName,
    PathMatch,
    PathMatchType,
    PathRewrite,
    PathRewriteType,
    Redirect,
    Retry,
    Route,
    Rule,
    WeightedBackend,
)
from xds_server.compile.virtual_hosts import compile_route

MATCH = Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/a"))
BACKENDS = (WeightedBackend(backend=ObjectName("default", "cams")),)


def route_of(**rule: Any) -> dict[str, Any]:
    """Envoy's route, without its name and match."""
    made = Rule(name="r", matches=(MATCH,), **rule)
    ((_, message),) = compile_route(Route(name=ObjectName("default", "x"), rules=(made,))).entries
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    del found["name"], found["match"]
    return found


def redirect(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = route_of(redirect=Redirect(**fields))["redirect"]
    return found


def test_a_redirect_says_what_is_different() -> None:
    assert redirect(hostname="b.example", port=8554, status=301) == {
        "host_redirect": "b.example",
        "port_redirect": 8554,
    }
    assert redirect(hostname="2001:db8::1") == {"host_redirect": "[2001:db8::1]", "response_code": "FOUND"}
    full = PathRewrite(type=PathRewriteType.REPLACE_FULL_PATH, value="/x")
    assert redirect(path=full, status=303) == {"path_redirect": "/x", "response_code": "SEE_OTHER"}
    prefix = PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value="/x/")
    assert redirect(path=prefix) == {"prefix_rewrite": "/x", "response_code": "FOUND"}


def test_who_is_sent_to_tls_is_sent_to_its_port_unless_another_is_named() -> None:
    to_tls = {"scheme_redirect": "rtsps", "response_code": "FOUND"}
    assert redirect(secure=True) == {**to_tls, "port_redirect": 322}
    assert redirect(secure=True, port=8322) == {**to_tls, "port_redirect": 8322}
    assert redirect(secure=True, hostname="b") == {**to_tls, "host_redirect": "b"}


def test_headers_are_removed_replaced_and_added_and_a_percent_sign_is_no_command() -> None:
    modifier = HeaderModifier(set=(("X-A", "100%"),), add=(("X-B", "2"),), remove=("X-C",))
    found = route_of(backends=BACKENDS, request_headers=modifier, response_headers=HeaderModifier(remove=("Server",)))
    assert found["request_headers_to_add"] == [
        {"header": {"key": "X-A", "value": "100%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        {"header": {"key": "X-B", "value": "2"}},
    ]
    assert (found["request_headers_to_remove"], found["response_headers_to_remove"]) == (["X-C"], ["Server"])


def test_patience_is_said_only_where_a_rule_says_it() -> None:
    action = route_of(backends=BACKENDS)["route"]
    assert not {"timeout", "retry_policy"} & set(action)
    action = route_of(backends=BACKENDS, timeout=1.5, retry=Retry(attempts=3, codes=(404, 503)))["route"]
    assert action["timeout"] == "1.500s"
    assert action["retry_policy"] == {
        "retry_on": "connect-failure,reset,retriable-status-codes",
        "num_retries": 3,
        "retriable_status_codes": [404, 503],
    }
    action = route_of(backends=BACKENDS, retry=Retry(attempts=0))["route"]
    assert action["retry_policy"] == {"retry_on": "connect-failure,reset", "num_retries": 0}
    action = route_of(backends=BACKENDS, try_timeout=2.0)["route"]
    assert action["retry_policy"] == {"retry_on": "connect-failure", "per_try_timeout": "2s"}
