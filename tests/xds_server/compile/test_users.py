"""Users become secrets that routes name; a new password changes no route, and nothing is told that nobody names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh.model import (
    Backend,
    Endpoint,
    Match,
    Mesh,
    ObjectName,
    PathMatch,
    PathMatchType,
    Route,
    Rule,
    WeightedBackend,
)
from mesh.users import FILTER_NAME, Users, joined, user_of
from xds_server.compile.routes import RouteCompiler, compile_routes

LOBBY, GUARDS = ObjectName("default", "lobby"), ObjectName("default", "guards")
SECRET = "AuthenticationFilter/default/guards"


def users(password: str = "wonderland") -> Users:  # noqa: S107
    return joined("cameras", [user_of("ann", "cameras", password)])


def mesh(*, gated: bool = True, known: Users | None = None) -> Mesh:
    rule = Rule(
        name="watch",
        matches=(Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/")),),
        backends=(WeightedBackend(backend=LOBBY),),
        users=GUARDS if gated else None,
    )
    backend = Backend(name=LOBBY, endpoints=(Endpoint(name="a", address="192.0.2.1", port=554),))
    return Mesh(
        routes={LOBBY: Route(name=LOBBY, rules=(rule,))}, backends={LOBBY: backend}, users={GUARDS: known or users()}
    )


def of_type(messages: list[Any], name: str) -> list[Any]:
    return [message for message in messages if message.DESCRIPTOR.name == name]


def test_a_route_names_its_users_whose_hashes_are_in_a_secret() -> None:
    messages = compile_routes(mesh())
    [configuration] = of_type(messages, "RouteConfiguration")
    [route] = configuration.virtual_hosts[0].routes
    reference = secret_pb2.SdsSecretConfig()
    assert route.typed_per_filter_config[FILTER_NAME].Unpack(reference)
    assert reference.name == SECRET
    assert reference.sds_config.WhichOneof("config_source_specifier") == "ads"
    [secret] = of_type(messages, "Secret")
    [ann] = users().users
    assert secret.name == SECRET
    assert secret.generic_secret.secret.inline_string == f"ann:cameras:{ann.md5}\nann:cameras:{ann.sha256}\n"
    assert "wonderland" not in str(messages)
    assert b"ann" not in configuration.SerializeToString()


def test_a_route_for_everybody_says_nothing_of_users_and_unnamed_users_are_told_to_nobody() -> None:
    messages = compile_routes(mesh(gated=False))
    [configuration] = of_type(messages, "RouteConfiguration")
    assert not configuration.virtual_hosts[0].routes[0].typed_per_filter_config
    assert of_type(messages, "Secret") == []


def test_a_new_password_changes_the_secret_alone() -> None:
    compiler = RouteCompiler()
    compiler.compile(mesh())
    change = compiler.compile(mesh(known=users("looking-glass")))
    assert [message.DESCRIPTOR.name for message in change.upsert] == ["Secret"]
    assert compiler.compile(mesh(known=users("looking-glass"))) == ([], [])


def test_users_that_no_route_names_any_more_are_taken_back() -> None:
    compiler = RouteCompiler()
    compiler.compile(mesh())
    before = mesh()
    after = replace(before, routes=mesh(gated=False).routes)
    assert ("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", SECRET) in compiler.compile(
        after
    ).remove
