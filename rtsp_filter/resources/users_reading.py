"""Who a route is for: what routes and secrets say of users → a UserList, or a refusal that never repeats any of it.

A route names a generic secret, whose one text has lines `user:realm:hash`.

Envoy API: config.route.v3.Route.typed_per_filter_config, extensions.transport_sockets.tls.v3.SdsSecretConfig, Secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh.users import FILTER_NAME, joined, read_users, realm_of
from rtsp_filter.resources.reading import RouteTableError, only
from rtsp_filter.rtsp import Scheme, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class UserList:
    """The users of a realm by name, and the schemes that all of them can be asked by, the strongest first. `name` is
    that of their secret."""

    name: str
    realm: str
    secrets: Mapping[str, Secret] = field(repr=False)
    digests: tuple[Scheme, ...]


def read_user_list(secret: Any) -> UserList:
    """A Secret. Raises RouteTableError."""
    try:
        only(secret, {"name", "generic_secret"})
        only(secret.generic_secret, {"secret"})
        only(secret.generic_secret.secret, {"inline_string"})
        text = secret.generic_secret.secret.inline_string
        realm = realm_of(text)
        users = joined(realm, read_users(text, realm))
    except ValueError as error:
        raise RouteTableError(f"secret {secret.name}", str(error)) from None
    schemes = ((Scheme.DIGEST_SHA256, users.have_sha256), (Scheme.DIGEST_MD5, users.have_md5))
    return UserList(
        name=secret.name,
        realm=realm,
        secrets={user.name: Secret(md5=user.md5, sha256=user.sha256) for user in users.users},
        digests=tuple(scheme for scheme, common in schemes if common),
    )


def read_users_name(route: Any) -> str:
    """The name of the secret with a Route's users; empty where it is for everybody. Raises ValueError for whatever else
    it says to filters."""
    for name in route.typed_per_filter_config:
        if name != FILTER_NAME:
            raise ValueError(f'Route.typed_per_filter_config "{name}" is not supported')
        reference = secret_pb2.SdsSecretConfig()
        if not route.typed_per_filter_config[name].Unpack(reference) or not reference.name:
            raise ValueError(f'Route.typed_per_filter_config "{name}" must be a SdsSecretConfig with a name')
        return str(reference.name)
    return ""


def users_names(configuration: Any) -> Iterator[str]:
    """The names of the secrets that the routes of a RouteConfiguration, which has passed `read_users_name`, need."""
    for host in configuration.virtual_hosts:
        for route in host.routes:
            if route.typed_per_filter_config and (name := read_users_name(route)):
                yield name
