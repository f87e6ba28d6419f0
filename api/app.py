"""The REST API: reads the control plane, explains it, and ends sessions.

Every operation is a coroutine without a wait in it, so each runs between two steps of the control plane, on its event
loop, and sees one consistent state.
"""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from prometheus_client.exposition import choose_encoder
from pydantic import Field

from api import canaries, endpoints, gateways, models, problems, views
from api.docs_page import CONTENT_SECURITY_POLICY, docs_page
from api.explain import Explainer
from api.hosts import HostCheck
from api.metrics import registry_of
from api.models import InvalidParameter, Listing, Problem
from api.problems import ProblemError
from mesh.model import ObjectName, RoutedMethod
from rtsp_filter.routes.table import RouteTableError
from rtsp_filter.rtsp import Headers, URLError
from xds_server.control_plane import ControlPlane

Thing = TypeVar("Thing")

_DISTRIBUTION = "media-streaming-mesh"
_DESCRIPTION = (
    "What a media streaming mesh is doing, and why. All that is read here is the control plane's own state at the time"
    " of the request. Errors are problem details (RFC 9457)."
)
_ENDED_BY_OPERATOR = "ended by an operator"
# Every operation may fail; `_openapi` gives these the right media type.
_PROBLEM: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "What went wrong."}}

Namespace = Annotated[str, Path(description="Namespace of the object.")]
RouteName = Annotated[str, Path(description="Name of the route.")]
SessionId = Annotated[str, Path(description="Id of the session.")]
NodeId = Annotated[str, Path(description="Node id of the proxy.")]
TypeFilter = Annotated[
    str | None, Query(alias="type", description="Only this type, by its short name, such as lds, or its type URL.")
]
UrlText = Annotated[str, Query(description="An RTSP URL as a player would open it.", examples=["rtsp://host/lobby"])]

MethodName = Annotated[RoutedMethod, Query(description="The method that the session begins with.")]
# A line end would be another header.
HeaderLine = Annotated[str, Field(pattern=r"^[^:\s]+:[^\r\n\x00]*$")]
HeaderLines = Annotated[
    tuple[HeaderLine, ...], Query(description='Headers of the request, each as "Name: value".', examples=[["X: y"]])
]


def create_app(plane: ControlPlane) -> FastAPI:
    """The API of one control plane, to be served on the control plane's event loop."""
    release = version(_DISTRIBUTION)
    app = FastAPI(
        title="Media Streaming Mesh",
        version=release,
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        responses=_PROBLEM,
    )
    app.add_middleware(HostCheck)
    problems.install(app)
    _add_mesh(app, plane)
    _add_sessions(app, plane)
    _add_proxies(app, plane)
    _add_discovery(app, plane)
    _add_explain(app, plane)
    _add_health(app, plane)
    _add_metrics(app, plane, release)
    _add_docs(app)
    return app


def _add_mesh(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/routes", tags=["mesh"])
    async def list_routes() -> Listing[models.Route]:
        """All routes, by name."""
        return Listing(items=tuple(views.routes(plane)))

    @app.get("/v1/routes/{namespace}/{name}", tags=["mesh"])
    async def get_route(namespace: Namespace, name: RouteName) -> models.Route:
        """One route."""
        wanted = ObjectName(namespace, name)
        return _found(views.route(plane, wanted), f"there is no route {wanted}")

    @app.get("/v1/backends", tags=["mesh"])
    async def list_backends() -> Listing[models.Backend]:
        """All backends with their endpoints, by name."""
        return Listing(items=tuple(views.backends(plane)))

    @app.get("/v1/endpoints", tags=["mesh"])
    async def list_endpoints() -> Listing[endpoints.MeasuredEndpoint]:
        """All endpoints that RTSP proxies have dealt with, by backend and name, and what was measured of each."""
        return Listing(items=tuple(endpoints.endpoints(plane)))

    @app.get("/v1/canaries", tags=["mesh"])
    async def list_canaries() -> Listing[canaries.Canary]:
        """All canaries, by route: their share, what is measured of them, and how they came to where they are."""
        return Listing(items=tuple(canaries.canaries(plane)))

    @app.get("/v1/gateways", tags=["mesh"])
    async def list_gateways() -> Listing[gateways.Gateway]:
        """All gateways of UDP and TCP, by name: each listener's route and backends, and how far the proxies are."""
        return Listing(items=tuple(gateways.gateways(plane)))

    @app.get("/v1/sources", tags=["mesh"])
    async def list_sources() -> Listing[models.Source]:
        """Where routes and backends come from, and what is wrong where the latest change of a source was refused."""
        return Listing(items=tuple(views.sources(plane)))


def _add_sessions(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/sessions", tags=["sessions"])
    async def list_sessions() -> Listing[models.Session]:
        """All sessions of players, the oldest first."""
        return Listing(items=tuple(views.sessions(plane)))

    @app.get("/v1/sessions/{id}", tags=["sessions"])
    async def get_session(id: SessionId) -> models.Session:  # noqa: A002 - the path's own name
        """One session."""
        return _session(plane, id)

    @app.delete("/v1/sessions/{id}", tags=["sessions"], status_code=HTTPStatus.ACCEPTED)
    async def end_session(id: SessionId) -> models.Session:  # noqa: A002 - the path's own name
        """Ask the RTSP proxy to end a session.

        The session is gone from the list as soon as the proxy has ended it, towards the player and the camera.
        """
        session = _session(plane, id)
        if not plane.end_session(id, _ENDED_BY_OPERATOR):
            raise ProblemError(
                problems.PROXY_AWAY, f"session {id} is served by {session.proxy}, which is not connected"
            )
        return session

    @app.get("/v1/relays", tags=["sessions"])
    async def list_relays() -> Listing[models.Relay]:
        """All relays, by slot: each carries one track of a session through Envoy."""
        return Listing(items=tuple(views.relays(plane)))


def _add_proxies(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/proxies", tags=["proxies"])
    async def list_proxies() -> Listing[models.Proxy]:
        """All connected proxies, Envoys and RTSP proxies alike, by node id."""
        return Listing(items=tuple(views.proxies(plane)))

    # A node id may have slashes in it.
    @app.get("/v1/proxies/{id:path}/resources", tags=["proxies"])
    async def list_proxy_resources(
        id: NodeId,  # noqa: A002 - the path's own name
        kind: TypeFilter = None,
    ) -> Listing[models.ProxyResource]:
        """What a proxy was sent over xDS, what it acknowledged, and what it refused and why.

        400 for a type that the mesh does not know; of a type that only this proxy does not use there are no items.
        """
        if kind is not None and not views.is_resource_type(kind):
            known = ", ".join(views.RESOURCE_TYPE_NAMES)
            reason = f'"{kind}" is no resource type; known are {known}, and their type URLs'
            wrong = InvalidParameter(parameter="query.type", message=reason)
            raise ProblemError(problems.UNKNOWN_TYPE, f"type: {reason}", errors=[wrong])
        found = _found(views.proxy_resources(plane, id, kind), f"no proxy {id} is connected")
        return Listing(items=tuple(found))


def _add_discovery(app: FastAPI, plane: ControlPlane) -> None:
    # Where Envoy polls when its bootstrap says `api_type: REST`.
    @app.post("/v3/discovery:{kind}", include_in_schema=False)
    async def discover(kind: str) -> None:
        raise ProblemError(
            problems.NOT_OVER_REST,
            f"{kind} are served over gRPC, at port {plane.port}: use api_type DELTA_GRPC or GRPC in place of REST",
        )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _add_explain(app: FastAPI, plane: ControlPlane) -> None:
    explainer = Explainer(plane)

    @app.get("/v1/explain", tags=["mesh"])
    async def explain(
        url: UrlText, method: MethodName = RoutedMethod.DESCRIBE, header: HeaderLines = ()
    ) -> models.Explanation:
        """Where an RTSP URL leads to, and why, or why nowhere.

        Read from the very resources that RTSP proxies get. The answer is the same each time: where a proxy leaves the
        choice to chance, all candidates are listed with their shares.
        """
        try:
            return explainer.explain(url, method, Headers(map(_header, header)))
        except URLError as error:
            wrong = InvalidParameter(parameter="query.url", message=str(error))
            raise ProblemError(problems.INVALID_REQUEST, f"url: {error}", errors=[wrong]) from None
        except RouteTableError as error:
            raise ProblemError(problems.UNREADABLE_ROUTES, str(error)) from error


def _add_health(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> models.Health:
        """This process lives."""
        return models.Health()

    @app.get("/readyz", tags=["health"])
    async def readyz() -> models.Readiness:
        """A session would work now; if not, 503 and the reasons."""
        reasons = plane.not_ready()
        if reasons:
            raise ProblemError(problems.NOT_READY, "; ".join(reasons), reasons=reasons)
        return models.Readiness()


def _add_metrics(app: FastAPI, plane: ControlPlane, release: str) -> None:
    registry = registry_of(plane, release)

    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Metrics for Prometheus, in the text format that the Accept header asks for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)


def _add_docs(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _name_problems(describe())
        return describe()

    app.openapi = openapi  # type: ignore[method-assign]


def _name_problems(schema: dict[str, Any]) -> None:
    """FastAPI describes every response as application/json; problems are of their own type."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            content[problems.MEDIA_TYPE] = content.popitem()[1]


def _session(plane: ControlPlane, session_id: str) -> models.Session:
    return _found(views.session(plane, session_id), f"there is no session {session_id}; it may have ended")


def _found(thing: Thing | None, otherwise: str) -> Thing:
    if thing is None:
        raise ProblemError(problems.NOT_FOUND, otherwise)
    return thing
