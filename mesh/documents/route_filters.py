"""What an RTSPRoute does with requests that match, and how patient it is, in the shape of Gateway API's HTTPRoute."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from mesh.documents.base import HEADER_VALUE, TOKEN, AddressText, DocumentModel, ObjectNameText, Port
from mesh.documents.media_policy import Duration
from mesh.documents.request_mirror import RequestMirror
from mesh.model import PathRewriteType

# Bounds of Gateway API, which keep an object small enough for a cluster to check.
MAX_HEADERS = 16
MAX_CODES = 16
# A player waits ten seconds; nobody has the patience for more.
MAX_ATTEMPTS = 16

PathText = Annotated[str, Field(max_length=1024)]
HeaderNameText = Annotated[str, Field(min_length=1, max_length=256, pattern=TOKEN)]
HeaderValueText = Annotated[str, Field(min_length=1, max_length=4096, pattern=HEADER_VALUE)]


class FilterType(Enum):
    """What a filter does."""

    URL_REWRITE = "URLRewrite"
    REQUEST_REDIRECT = "RequestRedirect"
    REQUEST_MIRROR = "RequestMirror"
    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    EXTENSION_REF = "ExtensionRef"


class PathModifier(DocumentModel):
    """How the path is changed. The field that `type` names must be set, and only that one."""

    type: PathRewriteType = Field(description="ReplaceFullPath or ReplacePrefixMatch.")
    replace_full_path: PathText | None = Field(default=None, description="The new path.")
    replace_prefix_match: PathText | None = Field(
        default=None, description="What replaces the prefix that matched; needs PathPrefix matches."
    )


class UrlRewrite(DocumentModel):
    """A change of the URL on the way to the backend."""

    path: PathModifier = Field(description="The change of the path.")


class RequestRedirect(DocumentModel):
    """The player is told to ask for another URL. What is not said stays as it was asked; the query always does."""

    scheme: Literal["rtsps"] | None = Field(default=None, description="rtsps: by TLS. Never away from it.")
    hostname: AddressText | None = Field(
        default=None, description="Another host; without `port`, at the default port of the scheme."
    )
    port: Port | None = Field(default=None, description="Another port. With `scheme` and neither this nor a host: 322.")
    path: PathModifier | None = Field(default=None, description="Another path.")
    status_code: Literal[301, 302, 303] = Field(
        default=302, description="301: for good; 302: for now; 303: see another."
    )


class Header(DocumentModel):
    """A header and its value."""

    name: HeaderNameText = Field(description="Name of the header.")
    value: HeaderValueText = Field(description="Its value, as it is.")


class HeaderModifier(DocumentModel):
    """Changes to the headers of a message: first `remove`, then `set`, then `add`."""

    set: tuple[Header, ...] = Field(
        default=(), max_length=MAX_HEADERS, description="Headers that replace those of their name."
    )
    add: tuple[Header, ...] = Field(
        default=(), max_length=MAX_HEADERS, description="Headers that come after those of their name."
    )
    remove: tuple[HeaderNameText, ...] = Field(
        default=(), max_length=MAX_HEADERS, description="Names of headers to take away."
    )


class ExtensionRef(DocumentModel):
    """An object of the route's own namespace that says more than Gateway API can."""

    group: Literal["mediastreamingmesh.io"] = Field(description="mediastreamingmesh.io.")
    kind: Literal["AuthenticationFilter"] = Field(description="AuthenticationFilter: users, who are asked to prove it.")
    name: ObjectNameText = Field(description="Name of the object.")


class RouteFilter(DocumentModel):
    """Something done to a request that matched, or to its answer. The field that belongs to `type` must be set."""

    type: FilterType = Field(
        description="URLRewrite, RequestRedirect, RequestMirror, RequestHeaderModifier, ResponseHeaderModifier or"
        " ExtensionRef."
    )
    url_rewrite: UrlRewrite | None = Field(default=None, description="The rewrite, for type URLRewrite.")
    request_redirect: RequestRedirect | None = Field(
        default=None, description="Where to, for type RequestRedirect; such a rule has no backendRefs."
    )
    request_mirror: RequestMirror | None = Field(
        default=None, description="Who gets sessions as well, for type RequestMirror; a rule may have several."
    )
    request_header_modifier: HeaderModifier | None = Field(
        default=None, description="Changes to every request to the backend, for type RequestHeaderModifier."
    )
    response_header_modifier: HeaderModifier | None = Field(
        default=None, description="Changes to every answer of the backend, for type ResponseHeaderModifier."
    )
    extension_ref: ExtensionRef | None = Field(default=None, description="The object, for type ExtensionRef.")


class RouteTimeouts(DocumentModel):
    """How long a player's first request may take: DESCRIBE, ANNOUNCE, or SETUP without either."""

    request: Duration | None = Field(default=None, description="All tries together. Default: no limit of its own.")
    backend_request: Duration | None = Field(
        default=None, description="Each try. Default: 5 s for a connection, then 10 s for the answer."
    )


class RouteRetry(DocumentModel):
    """When such a request is tried again, at another endpoint: always if one cannot be reached or ends the connection,
    and on the statuses of `codes`."""

    attempts: Annotated[int, Field(strict=True, ge=0, le=MAX_ATTEMPTS)] = Field(
        default=1, description="How often, after the first time."
    )
    codes: tuple[Annotated[int, Field(strict=True, ge=400, le=599)], ...] = Field(
        default=(), max_length=MAX_CODES, description="Statuses of a server that make it a failure."
    )
