"""Secrets → what servers are told that ask for a password, or users of ours, or a refusal that never repeats a value.

Credentials are a generic secret with the keys `username` and `password`, each written in the message itself; users are
one without keys.

Envoy API: extensions.transport_sockets.tls.v3.Secret, GenericSecret; config.core.v3.DataSource.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtsp_filter.resources.reading import RouteTableError, only
from rtsp_filter.resources.users_reading import UserList, read_user_list
from rtsp_filter.rtsp import Credentials

_KEYS = {"username", "password"}


def read_credentials(secret: Any) -> Credentials:
    """A Secret. Raises RouteTableError."""
    try:
        only(secret, {"name", "generic_secret"})
        only(secret.generic_secret, {"secrets"})
        secrets = secret.generic_secret.secrets
        if set(secrets) != _KEYS:
            raise ValueError(f"GenericSecret.secrets must have the keys {' and '.join(sorted(_KEYS))}, and no other")
        return Credentials(username=_text(secrets["username"]), password=_text(secrets["password"]))
    except ValueError as error:
        raise RouteTableError(f"secret {secret.name}", str(error)) from None


def read_secret(secret: Any) -> Credentials | UserList:
    """A Secret, for what it has in it. Raises RouteTableError."""
    return read_user_list(secret) if secret.generic_secret.HasField("secret") else read_credentials(secret)


def credentials_among(secrets: Mapping[str, Credentials | UserList]) -> dict[str, Credentials]:
    """Those of the secrets that are credentials for servers."""
    return {name: secret for name, secret in secrets.items() if isinstance(secret, Credentials)}


def users_among(secrets: Mapping[str, Credentials | UserList]) -> dict[str, UserList]:
    """Those of the secrets that are users."""
    return {name: secret for name, secret in secrets.items() if isinstance(secret, UserList)}


def _text(source: Any) -> str:
    only(source, {"inline_string"})
    return str(source.inline_string)
