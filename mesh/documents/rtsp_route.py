"""`RTSPRoute`: which RTSP URLs go to which backends, in the shape of Gateway API's HTTPRoute.

What Gateway API has and this version does not honour is listed here, so that it is refused by name and not as a
spelling mistake.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesh.documents.backend_refs import BackendRef
from mesh.documents.base import DocumentModel, HostnameText, LabelText, ObjectMeta
from mesh.documents.route_filters import HeaderNameText, PathText, RouteFilter, RouteRetry, RouteTimeouts
from mesh.model import PathMatchType, RoutedMethod, TextMatchType

# Bounds of Gateway API, which keep an object small enough for a cluster to check.
MAX_HOSTNAMES = 16
MAX_RULES = 16
MAX_MATCHES = 64
MAX_CONDITIONS = 16
MAX_FILTERS = 16
MAX_BACKEND_REFS = 16


# Fields of HTTPRoute that are not here; "[]" stands for any index.
NOT_YET_FIELDS = frozenset(
    {
        "spec.parentRefs",
        "spec.useDefaultGateways",
        "spec.rules[].retry.backoff",
        "spec.rules[].sessionPersistence",
        "spec.rules[].filters[].cors",
        "spec.rules[].filters[].externalAuth",
        "spec.rules[].filters[].urlRewrite.hostname",
        "spec.rules[].backendRefs[].filters",
        "status",
    }
)
NOT_YET_FILTERS = frozenset(
    {
        "CORS",
        "ExternalAuth",
    }
)


class RoutePathMatch(DocumentModel):
    """A condition on the path of the URL; the query is no part of the path."""

    type: PathMatchType = Field(
        default=PathMatchType.PATH_PREFIX,
        description="Exact; PathPrefix: whole elements (/a matches /a and /a/b, not /ab); RegularExpression: RE2, "
        "must match the whole path.",
    )
    value: PathText = Field(default="/", description="A path, or the regular expression.")


class HeaderMatch(DocumentModel):
    """A condition on a header of the request."""

    type: TextMatchType = Field(
        default=TextMatchType.EXACT, description="Exact, or RegularExpression: RE2, must match the whole value."
    )
    name: HeaderNameText = Field(description="Name of the header; upper and lower case are the same.")
    value: str = Field(min_length=1, max_length=4096, description="What the header says, or the regular expression.")


class QueryParamMatch(DocumentModel):
    """A condition on a parameter of the URL's query."""

    type: TextMatchType = Field(
        default=TextMatchType.EXACT, description="Exact, or RegularExpression: RE2, must match the whole value."
    )
    name: HeaderNameText = Field(description="Name of the parameter, as it is written; case counts.")
    value: str = Field(min_length=1, max_length=1024, description="Its value as written, or the regular expression.")


class RouteMatch(DocumentModel):
    """What a request must look like: all that is said here."""

    path: RoutePathMatch = Field(default=RoutePathMatch(), description="Condition on the path.")
    headers: tuple[HeaderMatch, ...] = Field(
        default=(), max_length=MAX_CONDITIONS, description="Conditions on headers; all must be fulfilled."
    )
    query_params: tuple[QueryParamMatch, ...] = Field(
        default=(), max_length=MAX_CONDITIONS, description="Conditions on query parameters; all must be fulfilled."
    )
    method: RoutedMethod | None = Field(
        default=None, description="The method that a session begins with: DESCRIBE, ANNOUNCE or SETUP; none: any."
    )


class RouteRule(DocumentModel):
    """Requests that match any of `matches` go to one of `backendRefs`, or are redirected."""

    name: LabelText | None = Field(default=None, description="Name of the rule, unique in the route.")
    matches: tuple[RouteMatch, ...] = Field(
        default=(RouteMatch(),), max_length=MAX_MATCHES, description="Conditions; none means any path."
    )
    filters: tuple[RouteFilter, ...] = Field(
        default=(), max_length=MAX_FILTERS, description="What is done to requests, one of each type but mirrors."
    )
    backend_refs: tuple[BackendRef, ...] = Field(
        default=(), max_length=MAX_BACKEND_REFS, description="Where sessions go; needed unless the rule redirects."
    )
    timeouts: RouteTimeouts | None = Field(default=None, description="How long a player's first request may take.")
    retry: RouteRetry | None = Field(
        default=None, description="When it is tried again. Default: once, if an endpoint cannot be reached."
    )


class RTSPRouteSpec(DocumentModel):
    """What a route decides."""

    hostnames: tuple[HostnameText, ...] = Field(
        default=(), max_length=MAX_HOSTNAMES, description="Hosts of the URL; none means any host."
    )
    rules: tuple[RouteRule, ...] = Field(
        min_length=1, max_length=MAX_RULES, description="The rules; the most specific path wins, not the first."
    )


class RTSPRoute(DocumentModel):
    """Which RTSP URLs go to which backends."""

    api_version: Literal["mediastreamingmesh.io/v1alpha1"] = Field(
        default="mediastreamingmesh.io/v1alpha1", description="Group and version of this kind."
    )
    kind: Literal["RTSPRoute"] = Field(default="RTSPRoute", description="RTSPRoute.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: RTSPRouteSpec = Field(description="Hosts and rules.")
