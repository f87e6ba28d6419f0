"""Users of routes → Envoy's secrets, and what routes say of them.

A route says only where its users are: in `typed_per_filter_config`, because a proxy that does not know what is said
there refuses the route instead of letting everybody in. Users themselves are a generic secret, as lines
`user:realm:hash`: what is shown of routes never has a hash in it, and a new password changes no route.

Envoy API: config.route.v3.Route.typed_per_filter_config, extensions.transport_sockets.tls.v3.SdsSecretConfig, Secret.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from envoy.config.core.v3 import config_source_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh.objects import ObjectName
from mesh.users import FILTER_NAME, Users, encode_users


class NamedUsers(NamedTuple):
    """Users, and the AuthenticationFilter that they are of."""

    name: ObjectName
    users: Users


def compile_users(named: NamedUsers) -> Any:
    """The Secret `AuthenticationFilter/namespace/name`."""
    secret = secret_pb2.Secret(name=secret_name(named.name))
    secret.generic_secret.secret.inline_string = encode_users(named.users)
    return secret


def set_users(route: Any, users: ObjectName) -> None:
    """Write into Envoy's `route` whom it is for."""
    reference = secret_pb2.SdsSecretConfig(name=secret_name(users))
    reference.sds_config.ads.SetInParent()
    reference.sds_config.resource_api_version = config_source_pb2.ApiVersion.V3
    route.typed_per_filter_config[FILTER_NAME].Pack(reference)


def secret_name(users: ObjectName) -> str:
    """What RTSP proxies know the users of an AuthenticationFilter by. No other secret is named so: namespaces are in
    lower case."""
    return f"AuthenticationFilter/{users}"
