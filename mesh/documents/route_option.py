"""`--route /lobby=rtsp://192.0.2.10/stream1`: a route and its camera in one line.

Sugar for two documents, so that everything after it sees documents only: an RTSPRoute that takes the path off, and a
Backend whose one endpoint puts the URL's path in front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from mesh.documents.backend import DEFAULT_RTSP_PORT, Backend, BackendEndpoint, BackendSpec
from mesh.documents.base import ObjectMeta
from mesh.documents.checks import check_document
from mesh.documents.loaded import Documents
from mesh.documents.messages import explain_validation
from mesh.documents.route_filters import FilterType, PathModifier, RouteFilter, UrlRewrite
from mesh.documents.rtsp_route import (
    BackendKind,
    BackendRef,
    RouteMatch,
    RoutePathMatch,
    RouteRule,
    RTSPRoute,
    RTSPRouteSpec,
)
from mesh.model import MeshError, PathMatchType, PathRewriteType

PLACE = "command line"
_EXAMPLE = "/lobby=rtsp://192.0.2.10/stream1"
# Short enough to read, long enough that two paths of one command line do not meet.
_DIGEST_LENGTH = 6
_MAX_NAME = 200
_BAD_AUTHORITY = (
    "after the host comes nothing or a port from 1 to 65535; an IPv6 address goes in brackets: rtsp://[2001:db8::1]/"
)


class RouteOptionError(MeshError):
    """A `--route` that cannot be used; the message says how to write it."""


def route_options(texts: Iterable[str]) -> Documents:
    """The documents of all `--route` options. Raises RouteOptionError for the first that is wrong or repeated."""
    documents: dict[str, tuple[RTSPRoute, Backend]] = {}
    for text in texts:
        route, backend = route_option(text)
        if route.metadata.name in documents:
            raise RouteOptionError(f"--route {text.partition('=')[0]}: this path is given twice")
        documents[route.metadata.name] = (route, backend)
    return Documents.of((item for pair in documents.values() for item in pair), place=PLACE)


def route_option(text: str) -> tuple[RTSPRoute, Backend]:
    """The two documents that `PATH=URL` stands for. Raises RouteOptionError."""
    path, separator, url = text.partition("=")
    if not separator or not path.startswith("/"):
        # The text is not repeated: it may be a URL with a password.
        raise RouteOptionError(f"--route is written PATH=URL, where PATH begins with /, for example {_EXAMPLE}")
    try:
        name = _object_name(path)
        route, backend = _route(path, name), _backend(name, _split(url))
    except ValidationError as error:  # a subclass of ValueError, so first
        message = next(sentence for _, sentence in explain_validation(error, BackendEndpoint))
        raise RouteOptionError(f"--route {path}: {message}") from None
    except ValueError as error:
        raise RouteOptionError(f"--route {path}: {error}") from None
    for _, message in check_document(route):
        raise RouteOptionError(f"--route {path}: {message}")
    return route, backend


def _object_name(path: str) -> str:
    """A name for both objects; a path that is no name as it stands gets a digest, so that no two paths share one."""
    plain = path.removeprefix("/").removesuffix("/")
    if plain == "":
        return "root"
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_MAX_NAME].strip("-")
    if name == plain and name != "root":
        return name
    digest = hashlib.sha256(plain.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name}-{digest}" if name else f"route-{digest}"


def _split(url: str) -> SplitResult:
    """The URL in parts. Raises ValueError with a sentence, which never repeats a password."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme.lower() == "rtsps":
        raise ValueError("rtsps is not supported yet; use rtsp://")
    if not separator or scheme.lower() != "rtsp":
        raise ValueError(f"the URL of the camera begins with rtsp://, for example {_EXAMPLE}")
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("the URL contains spaces or control characters; write a space as %20")
    if "@" in re.split(r"[/?#]", url.split("://", 1)[1], maxsplit=1)[0]:
        raise ValueError(
            "leave user and password out of the URL: credentials are not taken here; "
            "the player's own Authorization passes through to the camera"
        )
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(_BAD_AUTHORITY) from None


def _backend(name: str, url: SplitResult) -> Backend:
    if url.fragment:
        raise ValueError("the URL has a fragment (#), which no camera would see")
    if not url.hostname:
        raise ValueError("the URL names no host")
    path = "" if url.path == "/" else url.path
    endpoint = BackendEndpoint(
        name=name,
        address=url.hostname,
        port=_port(url),
        path=(f"{path or '/'}?{url.query}" if url.query else path),
    )
    return Backend(metadata=ObjectMeta(name=name), spec=BackendSpec(endpoints=(endpoint,)))


def _port(url: SplitResult) -> int:
    try:
        port = url.port
    except ValueError:
        raise ValueError(_BAD_AUTHORITY) from None
    if port == 0:
        raise ValueError(_BAD_AUTHORITY)
    return DEFAULT_RTSP_PORT if port is None else port


def _route(path: str, name: str) -> RTSPRoute:
    rewrite = PathModifier(type=PathRewriteType.REPLACE_PREFIX_MATCH, replace_prefix_match="/")
    rule = RouteRule(
        matches=(RouteMatch(path=RoutePathMatch(type=PathMatchType.PATH_PREFIX, value=path)),),
        filters=(RouteFilter(type=FilterType.URL_REWRITE, url_rewrite=UrlRewrite(path=rewrite)),),
        backend_refs=(BackendRef(kind=BackendKind.BACKEND, name=name),),
    )
    return RTSPRoute(metadata=ObjectMeta(name=name), spec=RTSPRouteSpec(rules=(rule,)))
