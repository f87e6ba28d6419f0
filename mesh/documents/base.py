"""What all documents have in common: strictness, spelling and the shape of names.

The models are declarative (types, patterns, bounds), so that the same classes describe files, custom resource
definitions and the REST API. Rules that span several fields are in `checks`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# Kubernetes object names: RFC 1123 subdomains of at most 253 characters, and labels of at most 63.
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
HOSTNAME = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
# A path that goes in front of others, with a query if the server wants one: no fragment, no space, no control.
BASE_PATH = r"^(/[^#\s\x00-\x20\x7f]*)?$"
# What an HTTP request can ask for, and where a file can be.
URL_PATH = r"^/[^\s\x00-\x20\x7f]*$"
FILE_PATH = r"^/[^\x00-\x1f]*$"

# Values and names of headers (RFC 9110, field-value and token).
HEADER_VALUE = r"^[^\r\n\x00]+$"
# What an authentication realm is: quoted as it is in headers, and a part of lines.
REALM = r"^[ !#-[\]-~]+$"
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

# A payload format's name (RFC 4855, section 3), of the media that session descriptions know (RFC 8866, 5.14).
MEDIA_TYPE = r"^(audio|video|text|application|message|image)/[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

# What a pattern demands, for people.
PATTERN_MEANING = {
    DNS_SUBDOMAIN: 'must be lower-case letters, digits, "-" and ".", and begin and end with a letter or digit',
    DNS_LABEL: 'must be lower-case letters, digits and "-", and begin and end with a letter or digit',
    HOSTNAME: 'must be a lower-case host name without port, or "*." and one ("*.example.com")',
    HEADER_VALUE: "must hold no line end",
    TOKEN: "must be a name without spaces and colons",
    REALM: "must be plain ASCII without quotation marks and backslashes",
    URL_PATH: 'must begin with "/" and hold no spaces',
    MEDIA_TYPE: 'must be a medium and a codec, such as "video/H264"',
    FILE_PATH: "must be a path from the root",
    BASE_PATH: 'must begin with "/" and hold neither "#" nor spaces',
}

# Underscores are no host name by the book, but cameras in private networks have them.
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?")
_MAX_HOST_LENGTH = 253


def check_address(value: str) -> str:
    """`value`, if it is an IPv4 or IPv6 address or a host name; ValueError otherwise."""
    try:
        ip_address(value)
    except ValueError:
        _check_host_name(value)
    else:
        if "%" in value:
            raise ValueError("an IPv6 address with a zone (%) is not supported yet")
    return value


def _check_host_name(value: str) -> None:
    labels = value.split(".")
    if "/" in value:
        raise ValueError(
            f'"{value}" is not a host name or IP address; what else is in a URL has fields of its own: "port", "path"'
        )
    if ":" in value:
        wanted = "an IPv6 address" if value.count(":") > 1 else "a host name or IP address"
        raise ValueError(f'"{value}" is not {wanted}; a port belongs in the field "port"')
    if len(value) > _MAX_HOST_LENGTH or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f'"{value}" is neither an IP address nor a host name')
    if labels[-1].isdigit():
        raise ValueError(f'"{value}" is not an IPv4 address')


ObjectNameText = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
LabelText = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
HostnameText = Annotated[str, Field(min_length=1, max_length=253, pattern=HOSTNAME)]
AddressText = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(check_address)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class DocumentModel(BaseModel):
    """A part of a document: immutable, camelCase on the outside, nothing in it that nobody knows."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class ObjectMeta(DocumentModel):
    """Kubernetes' ObjectMeta. Only name, namespace, labels and annotations mean something here; the rest is what a
    cluster adds to an object, accepted so that its output can be used as a file."""

    name: ObjectNameText = Field(description="Name, unique among objects of its kind in the namespace.")
    namespace: LabelText = Field(default="default", description="Namespace of the object.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels, for selection.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Notes of tools and people.")
    creation_timestamp: str | None = Field(default=None, description="Set by Kubernetes; not used.")
    deletion_grace_period_seconds: int | None = Field(default=None, description="Set by Kubernetes; not used.")
    deletion_timestamp: str | None = Field(default=None, description="Set by Kubernetes; not used.")
    finalizers: tuple[str, ...] = Field(default=(), description="Set by Kubernetes; not used.")
    generate_name: str | None = Field(default=None, description="Set by Kubernetes; not used.")
    generation: int | None = Field(default=None, description="Set by Kubernetes; not used.")
    managed_fields: tuple[object, ...] = Field(default=(), description="Set by Kubernetes; not used.")
    owner_references: tuple[object, ...] = Field(default=(), description="Set by Kubernetes; not used.")
    resource_version: str | None = Field(default=None, description="Set by Kubernetes; not used.")
    self_link: str | None = Field(default=None, description="Set by Kubernetes; not used.")
    uid: str | None = Field(default=None, description="Set by Kubernetes; not used.")
