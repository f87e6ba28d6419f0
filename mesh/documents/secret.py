"""Kubernetes' `Secret` (v1), as it is: values that are for whoever they are meant for and for nobody else.

No message about a Secret repeats a value, and none shows in a representation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mesh.documents.base import DocumentModel, ObjectMeta
from mesh.documents.findings import Finding
from mesh.documents.kubernetes import Unused

BASIC_AUTH = "kubernetes.io/basic-auth"
"""The type of Secrets that hold a user name and a password."""
BASIC_AUTH_KEYS = ("username", "password")
# The Kubernetes API's own bound of all values together is 1 MiB.
MAX_KEYS = 1000


class Secret(DocumentModel):
    """A Kubernetes Secret."""

    api_version: Literal["v1"] = Field(default="v1", description="Version of this kind.")
    kind: Literal["Secret"] = Field(default="Secret", description="Secret.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    type: str = Field(default="Opaque", max_length=253, description="What is in it: kubernetes.io/basic-auth is used.")
    data: dict[str, str] = Field(
        default_factory=dict, max_length=MAX_KEYS, repr=False, description="Values by key, in base64."
    )
    string_data: dict[str, str] = Field(
        default_factory=dict, max_length=MAX_KEYS, repr=False, description="Values as they are; they win over data."
    )
    immutable: Unused

    def text(self, key: str) -> str | None:
        """The value of a key; None where there is none. Raises ValueError, without the value, for what is no text."""
        if key in self.string_data:
            return self.string_data[key]
        return _decoded(self.data[key]) if key in self.data else None


def check_secret(secret: Secret) -> Iterator[Finding]:
    """Values that can be read, and what a type promises."""
    for key, value in secret.data.items():
        try:
            _bytes(value)
        except binascii.Error:
            yield ("data", key), "is not base64"
    if secret.type == BASIC_AUTH:
        yield from _check_basic_auth(secret)


def _check_basic_auth(secret: Secret) -> Iterator[Finding]:
    for key in BASIC_AUTH_KEYS:
        at = ("stringData" if key in secret.string_data else "data", key)
        try:
            value = secret.text(key)
        except binascii.Error:
            continue  # told already
        except ValueError as error:
            yield at, str(error)
            continue
        if value is None:
            yield (), f'a Secret of type {BASIC_AUTH} needs the key "{key}"'
        elif any(character < " " or character == "\x7f" for character in value):
            yield at, "has a line end or another control character at its end or in it"
        elif key == "username" and ":" in value:
            yield at, 'holds a ":", which no user name of RTSP can (RFC 7617)'


def _decoded(value: str) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None


def _bytes(value: str) -> bytes:
    """Line ends count for nothing, as in Kubernetes."""
    return base64.b64decode("".join(value.split()), validate=True)
