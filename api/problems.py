"""Errors of the REST API as problem details (RFC 9457), whoever notices them: us, the router or the validator.

The `type` of a problem is a link to its meaning on this server's own documentation page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from api.models import InvalidParameter, Problem

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "/docs#problem-"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """A kind of problem; `meaning` is for the documentation page."""

    slug: str
    status: HTTPStatus
    title: str
    meaning: str


NOT_FOUND = ProblemType(
    slug="not-found",
    status=HTTPStatus.NOT_FOUND,
    title="Not found",
    meaning="There is no object of this name, or no resource under this path.",
)
METHOD_NOT_ALLOWED = ProblemType(
    slug="method-not-allowed",
    status=HTTPStatus.METHOD_NOT_ALLOWED,
    title="Method not allowed",
    meaning="The resource exists and does not take this method; the Allow header names those that it takes.",
)
INVALID_REQUEST = ProblemType(
    slug="invalid-request",
    status=HTTPStatus.UNPROCESSABLE_ENTITY,
    title="Invalid request",
    meaning="A parameter is missing or cannot be used; `errors` names each.",
)
UNKNOWN_TYPE = ProblemType(
    slug="unknown-type",
    status=HTTPStatus.BAD_REQUEST,
    title="Unknown resource type",
    meaning="There is no xDS resource type of this name in a mesh; the detail names those that there are.",
)
NOT_READY = ProblemType(
    slug="not-ready",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not ready",
    meaning="A session would not work now; `reasons` says why.",
)
PROXY_AWAY = ProblemType(
    slug="proxy-away",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="The RTSP proxy is away",
    meaning="The RTSP proxy that serves the session is not connected, so it cannot be told. Try again when it is back;"
    " a proxy that stays away loses its sessions.",
)
UNREADABLE_ROUTES = ProblemType(
    slug="unreadable-routes",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="Routes cannot be read",
    meaning="The routes as they are sent to RTSP proxies are not what an RTSP proxy accepts. This is a defect of the"
    " control plane.",
)
FOREIGN_HOST = ProblemType(
    slug="foreign-host",
    status=HTTPStatus.MISDIRECTED_REQUEST,
    title="Not a name of this server",
    meaning="The request came over loopback and its Host header names another host, as that of a web page does which"
    " has its name lead here (DNS rebinding). Ask by an IP address or localhost.",
)
NOT_OVER_REST = ProblemType(
    slug="not-over-rest",
    status=HTTPStatus.NOT_IMPLEMENTED,
    title="xDS is not served over REST",
    meaning="Proxies get their configuration over gRPC; the variant of xDS that polls with JSON is not served. Give the"
    " proxy `api_type: DELTA_GRPC` or `GRPC`; `msm bootstrap` writes a configuration that has it.",
)
HTTP_ERROR = ProblemType(
    slug="http-error",
    status=HTTPStatus.BAD_REQUEST,
    title="Request refused",
    meaning="The request was refused for a reason of HTTP's own; the status says which.",
)
INTERNAL_ERROR = ProblemType(
    slug="internal-error",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="Internal error",
    meaning="A defect of this server; its log has the details.",
)

PROBLEM_TYPES = (
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    INVALID_REQUEST,
    UNKNOWN_TYPE,
    NOT_READY,
    PROXY_AWAY,
    UNREADABLE_ROUTES,
    FOREIGN_HOST,
    NOT_OVER_REST,
    HTTP_ERROR,
    INTERNAL_ERROR,
)
_OF_STATUS = {kind.status: kind for kind in (NOT_FOUND, METHOD_NOT_ALLOWED)}


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        reasons: Sequence[str] = (),
        errors: Sequence[InvalidParameter] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.reasons = tuple(reasons)
        self.errors = tuple(errors)


def install(app: FastAPI) -> None:
    """Make every error response of `app` a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_defect)


def problem_response(
    request: Request, kind: ProblemType, problem: ProblemError, status: int | None = None
) -> JSONResponse:
    """`problem` as the answer to `request`; `status` in place of the kind's own."""
    code = status or kind.status.value
    body = Problem(
        type=TYPE_BASE + kind.slug,
        title=kind.title,
        status=code,
        detail=str(problem),
        instance=request.url.path,
        reasons=problem.reasons,
        errors=problem.errors,
    ).body()
    return JSONResponse(body, status_code=code, media_type=MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(request, error.kind, error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """What the router refuses: unknown paths and methods, mostly."""
    assert isinstance(error, HTTPException)
    kind = _OF_STATUS.get(HTTPStatus(error.status_code), HTTP_ERROR)
    details = {
        NOT_FOUND.slug: f"nothing is at {request.url.path}; /docs lists what there is",
        METHOD_NOT_ALLOWED.slug: f"{request.method} is not possible here",
    }
    problem = ProblemError(kind, details.get(kind.slug, str(error.detail)))
    response = problem_response(request, kind, problem, error.status_code)
    response.headers.update(error.headers or {})
    if kind is METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """What the requested path takes; the router itself names only what its first route for the path takes."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    found = (route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for methods in found for method in methods}


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        InvalidParameter(parameter=".".join(map(str, item["loc"])), message=str(item["msg"])) for item in error.errors()
    ]
    detail = "; ".join(f"{item.parameter}: {item.message}" for item in errors)
    return problem_response(request, INVALID_REQUEST, ProblemError(INVALID_REQUEST, detail, errors=errors))


async def _on_defect(request: Request, error: Exception) -> Response:
    log.error("a request failed by a defect of this server", path=request.url.path, exc_info=error)
    return problem_response(
        request, INTERNAL_ERROR, ProblemError(INTERNAL_ERROR, "this server failed; its log has details")
    )
