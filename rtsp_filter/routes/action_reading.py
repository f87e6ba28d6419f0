"""What Envoy's routes do with a request → redirects, header changes, patience, or a refusal.

Envoy API: config.route.v3.RedirectAction, RouteAction, RetryPolicy; config.core.v3.HeaderValueOption.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from mesh.model import PROTECTED_HEADERS
from rtsp_filter.resources.reading import only
from rtsp_filter.routes.header_changes import AddedHeader, Append, HeaderChanges, MessageChanges
from rtsp_filter.routes.patience import Patience, RetryOn
from rtsp_filter.routes.redirects import Redirect
from rtsp_filter.rtsp import StatusCode

HEADER_FIELDS = {
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
}
_REDIRECT_FIELDS = {
    "scheme_redirect",
    "host_redirect",
    "port_redirect",
    "path_redirect",
    "prefix_rewrite",
    "regex_rewrite",
    "response_code",
    "strip_query",
}
_RETRY_FIELDS = {"retry_on", "num_retries", "per_try_timeout", "retriable_status_codes"}
_Codes = route_components_pb2.RedirectAction
_STATUSES = {
    _Codes.MOVED_PERMANENTLY: StatusCode.MOVED_PERMANENTLY,
    _Codes.FOUND: StatusCode.MOVED_TEMPORARILY,
    _Codes.SEE_OTHER: StatusCode.SEE_OTHER,
}
_HeaderValueOption = base_pb2.HeaderValueOption


def read_redirect(redirect: Any) -> Redirect:
    """A RedirectAction, but for its rewrites. Raises ValueError."""
    only(redirect, _REDIRECT_FIELDS)
    if redirect.response_code not in _STATUSES:
        name = _Codes.RedirectResponseCode.Name(redirect.response_code)
        raise ValueError(f"RedirectAction.response_code {name} is not supported: RTSP has no such status")
    if redirect.scheme_redirect not in ("", "rtsps"):
        scheme = redirect.scheme_redirect
        raise ValueError(f'RedirectAction.scheme_redirect "{scheme}" is not supported: only rtsps, never away from it')
    return Redirect(
        status=_STATUSES[redirect.response_code],
        scheme=redirect.scheme_redirect,
        host=redirect.host_redirect,
        port=redirect.port_redirect,
        path=redirect.path_redirect,
        strip_query=redirect.strip_query,
    )


def read_patience(action: Any) -> Patience:
    """The time-outs and retries of a RouteAction. Raises ValueError."""
    timeout = action.timeout.ToMicroseconds() / 1e6 or None
    if not action.HasField("retry_policy"):
        return Patience(timeout=timeout)
    policy = action.retry_policy
    only(policy, _RETRY_FIELDS)
    return Patience(
        timeout=timeout,
        try_timeout=policy.per_try_timeout.ToMicroseconds() / 1e6 or None,
        retries=policy.num_retries.value if policy.HasField("num_retries") else 1,
        retry_on=frozenset(_retry_on(name.strip()) for name in policy.retry_on.split(",") if name.strip()),
        status_codes=frozenset(policy.retriable_status_codes),
    )


def read_header_changes(levels: list[Any]) -> MessageChanges:
    """The header changes of messages of Envoy that have them, in their order. Raises ValueError."""
    requests = (_changes(each.request_headers_to_remove, each.request_headers_to_add) for each in levels)
    responses = (_changes(each.response_headers_to_remove, each.response_headers_to_add) for each in levels)
    return MessageChanges(
        requests=tuple(each for each in requests if each != _NOTHING),
        responses=tuple(each for each in responses if each != _NOTHING),
    )


_NOTHING = HeaderChanges()


def _retry_on(name: str) -> RetryOn:
    try:
        return RetryOn(name)
    except ValueError:
        raise ValueError(f'RetryPolicy.retry_on "{name}" is not supported') from None


def _changes(remove: Any, add: Any) -> HeaderChanges:
    added = (_added(option) for option in add)
    return HeaderChanges(
        remove=frozenset(_free(name).lower() for name in remove),
        add=tuple(header for header in added if header is not None),
    )


def _added(option: Any) -> AddedHeader | None:
    """The header to add; None for an empty one, which Envoy leaves out unless it is to be kept."""
    only(option, {"header", "append_action", "keep_empty_value"})
    only(option.header, {"key", "value"})
    if not option.header.value and not option.keep_empty_value:
        return None
    return AddedHeader(
        name=_free(option.header.key),
        value=_literal(option.header.value),
        append=Append(_HeaderValueOption.HeaderAppendAction.Name(option.append_action)),
    )


def _free(name: str) -> str:
    """The name of a header that routes may change."""
    if name.lower() in PROTECTED_HEADERS or name.startswith(":"):
        raise ValueError(f"the header {name} belongs to the proxy; routes cannot change it")
    return name


def _literal(value: str) -> str:
    """A value without Envoy's commands: "%%" is a percent sign, and no other "%" is understood."""
    if "%" in value.replace("%%", ""):
        raise ValueError(f'the header value "{value}" has a command (%), which is not supported')
    if any(character in value for character in "\r\n\0"):
        raise ValueError("a header value has a line end")
    return value.replace("%%", "%")
