"""`--route /lobby=rtsp://192.0.2.10/stream1`: a route and its camera in one line.

Sugar for documents, so that everything after it sees documents only: an RTSPRoute that takes the path off, a Backend
whose one endpoint puts the URL's path in front; a Secret where the URL has a user name and a password, and a
BackendTLSPolicy where it begins with rtsps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import ValidationError

from mesh.documents.backend import DEFAULT_PORTS, Backend, BackendEndpoint, BackendSpec, SecretRef
from mesh.documents.backend_refs import BackendKind, BackendRef
from mesh.documents.backend_tls_policy import BackendTLSPolicy
from mesh.documents.base import ObjectMeta
from mesh.documents.checks import check_document
from mesh.documents.loaded import Document, Documents
from mesh.documents.messages import explain_validation
from mesh.documents.route_filters import FilterType, PathModifier, RouteFilter, UrlRewrite
from mesh.documents.rtsp_route import (
    RouteMatch,
    RoutePathMatch,
    RouteRule,
    RTSPRoute,
    RTSPRouteSpec,
)
from mesh.documents.secret import BASIC_AUTH, Secret
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
    documents: dict[str, tuple[Document, ...]] = {}
    for text in texts:
        made = route_option(text)
        if made[0].metadata.name in documents:
            raise RouteOptionError(f"--route {text.partition('=')[0]}: this path is given twice")
        documents[made[0].metadata.name] = made
    return Documents.of((item for made in documents.values() for item in made), place=PLACE)


def route_option(text: str) -> tuple[Document, ...]:
    """The documents that `PATH=URL` stands for, of one name: RTSPRoute, Backend, and what else the URL takes. Raises
    RouteOptionError, which never repeats a password."""
    path, separator, url = text.partition("=")
    if not separator or not path.startswith("/"):
        # The text is not repeated: it may be a URL with a password.
        raise RouteOptionError(f"--route wants PATH=URL, where PATH begins with /, for example {_EXAMPLE}")
    try:
        documents = tuple(_documents(path, _object_name(path), _split(url)))
    except ValidationError as error:  # a subclass of ValueError, so first
        message = next(sentence for _, sentence in explain_validation(error, BackendEndpoint))
        raise RouteOptionError(f"--route {path}: {message}") from None
    except ValueError as error:
        raise RouteOptionError(f"--route {path}: {error}") from None
    for document in documents:
        for at, message in check_document(document):
            about = f"the {at[-1]} of the URL " if isinstance(document, Secret) else ""
            raise RouteOptionError(f"--route {path}: {about}{message}")
    return documents


def _documents(path: str, name: str, url: SplitResult) -> Iterator[Document]:
    metadata = ObjectMeta(name=name)
    yield _route(path, metadata)
    yield _backend(metadata, url)
    if url.username is not None:
        credentials = {"username": unquote(url.username), "password": unquote(url.password or "")}
        yield Secret.model_validate({"metadata": metadata, "type": BASIC_AUTH, "stringData": credentials})
    if url.scheme == "rtsps":
        targets = [{"kind": BackendKind.BACKEND, "name": name}]
        validation = {"hostname": url.hostname, "wellKnownCACertificates": "System"}
        spec = {"targetRefs": targets, "validation": validation}
        yield BackendTLSPolicy.model_validate({"metadata": metadata, "spec": spec})


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
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        raise ValueError(f"the URL of the camera begins with rtsp:// or rtsps://, for example {_EXAMPLE}")
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("the URL contains spaces or control characters; write a space as %20")
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(_BAD_AUTHORITY) from None


def _backend(metadata: ObjectMeta, url: SplitResult) -> Backend:
    if url.fragment:
        raise ValueError("the URL has a fragment (#), which no camera would see")
    if not url.hostname:
        raise ValueError("the URL names no host")
    path = "" if url.path == "/" else url.path
    endpoint = BackendEndpoint(
        name=metadata.name,
        address=url.hostname,
        port=_port(url),
        path=(f"{path or '/'}?{url.query}" if url.query else path),
        credentials_ref=None if url.username is None else SecretRef(name=metadata.name),
    )
    return Backend(metadata=metadata, spec=BackendSpec(endpoints=(endpoint,)))


def _port(url: SplitResult) -> int:
    try:
        port = url.port
    except ValueError:
        raise ValueError(_BAD_AUTHORITY) from None
    if port == 0:
        raise ValueError(_BAD_AUTHORITY)
    return DEFAULT_PORTS[url.scheme] if port is None else port


def _route(path: str, metadata: ObjectMeta) -> RTSPRoute:
    rewrite = PathModifier(type=PathRewriteType.REPLACE_PREFIX_MATCH, replace_prefix_match="/")
    rule = RouteRule(
        matches=(RouteMatch(path=RoutePathMatch(type=PathMatchType.PATH_PREFIX, value=path)),),
        filters=(RouteFilter(type=FilterType.URL_REWRITE, url_rewrite=UrlRewrite(path=rewrite)),),
        backend_refs=(BackendRef(kind=BackendKind.BACKEND, name=metadata.name),),
    )
    return RTSPRoute(metadata=metadata, spec=RTSPRouteSpec(rules=(rule,)))
