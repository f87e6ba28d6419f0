"""What becomes of requests that match → Envoy's actions.

Envoy API: config.route.v3.RouteAction, RedirectAction, RetryPolicy; config.core.v3.HeaderValueOption;
type.v3.FractionalPercent.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.v3 import percent_pb2

from mesh.model import HeaderModifier, Mirror, PathMatch, PathRewrite, PathRewriteType, Redirect, Rule, WeightedBackend
from mesh.regex import quote

# Where RTSPS listens (RFC 7826, section 22.14): who is sent to TLS on the same host is not sent to the old port.
RTSPS_PORT = 322

_Codes = route_components_pb2.RedirectAction
_CODES = {301: _Codes.MOVED_PERMANENTLY, 302: _Codes.FOUND, 303: _Codes.SEE_OTHER}
_SET = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_ADD = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
# Without an answer, a try has always failed (Gateway API, HTTPRouteRetry).
_RETRY_ON = "connect-failure,reset"
_RETRY_ON_CODES = f"{_RETRY_ON},retriable-status-codes"


def set_action(route: Any, path: PathMatch, rule: Rule) -> None:
    """Write into Envoy's `route`, which matches `path`, what `rule` does."""
    _set_headers(route.request_headers_to_add, route.request_headers_to_remove, rule.request_headers)
    _set_headers(route.response_headers_to_add, route.response_headers_to_remove, rule.response_headers)
    if rule.redirect is not None:
        _set_redirect(route.redirect, path, rule.redirect)
        return
    _set_clusters(route.route, rule.backends)
    # A backend that balances by hash finds a stream's server by its path; others do not look.
    route.route.hash_policy.add().header.header_name = ":path"
    if rule.rewrite is not None:
        _set_rewrite(route.route, path, rule.rewrite)
    for mirror in rule.mirrors:
        _add_mirror(route.route, mirror)
    _set_patience(route.route, rule)


def prefix_of(match: PathMatch) -> str:
    """The prefix without the slash at its end, which means nothing: "/a/" matches what "/a" matches."""
    return match.value.rstrip("/")


def _set_clusters(action: Any, backends: tuple[WeightedBackend, ...]) -> None:
    if len(backends) == 1:
        action.cluster = str(backends[0].backend)
        return
    for backend in backends:
        share = action.weighted_clusters.clusters.add(name=str(backend.backend))
        share.weight.value = backend.weight


def _set_rewrite(action: Any, match: PathMatch, rewrite: PathRewrite) -> None:
    if rewrite.type is PathRewriteType.REPLACE_FULL_PATH:
        _replace(action, "^.*$", rewrite.value)
        return
    prefix, replacement = prefix_of(match), rewrite.value.rstrip("/")
    if prefix == replacement:
        return
    if prefix == "":
        action.prefix_rewrite = f"{replacement}/"
    elif replacement == "":
        # prefix_rewrite "/" would make "//b" of "/a/b".
        _replace(action, f"^{quote(prefix)}/*", "/")
    else:
        action.prefix_rewrite = replacement


def _add_mirror(action: Any, mirror: Mirror) -> None:
    policy = action.request_mirror_policies.add(cluster=str(mirror.backend))
    if mirror.part == 1:
        return
    part = policy.runtime_fraction.default_value
    part.numerator, part.denominator = round(mirror.part * 1_000_000), percent_pb2.FractionalPercent.MILLION


def _replace(action: Any, pattern: str, text: str) -> None:
    action.regex_rewrite.pattern.regex = pattern
    action.regex_rewrite.substitution = text.replace("\\", "\\\\")


def _set_redirect(action: Any, match: PathMatch, redirect: Redirect) -> None:
    action.response_code = _CODES[redirect.status]
    if redirect.secure:
        action.scheme_redirect = "rtsps"
    action.host_redirect = f"[{redirect.hostname}]" if ":" in redirect.hostname else redirect.hostname
    if redirect.port is not None:
        action.port_redirect = redirect.port
    elif redirect.secure and not redirect.hostname:
        action.port_redirect = RTSPS_PORT
    if redirect.path is None:
        return
    if redirect.path.type is PathRewriteType.REPLACE_FULL_PATH:
        action.path_redirect = redirect.path.value
    else:
        _set_rewrite(action, match, redirect.path)


def _set_headers(add: Any, remove: Any, modifier: HeaderModifier) -> None:
    remove.extend(modifier.remove)
    for how, headers in ((_SET, modifier.set), (_ADD, modifier.add)):
        for name, value in headers:
            # "%" begins a command of Envoy's.
            add.add(header={"key": name, "value": value.replace("%", "%%")}, append_action=how)


def _set_patience(action: Any, rule: Rule) -> None:
    if rule.timeout is not None:
        action.timeout.FromMicroseconds(round(rule.timeout * 1e6))
    if rule.retry is None and rule.try_timeout is None:
        return
    policy = action.retry_policy
    policy.retry_on = "connect-failure"
    if rule.try_timeout is not None:
        policy.per_try_timeout.FromMicroseconds(round(rule.try_timeout * 1e6))
    if rule.retry is not None:
        policy.retry_on = _RETRY_ON_CODES if rule.retry.codes else _RETRY_ON
        policy.num_retries.value = rule.retry.attempts
        policy.retriable_status_codes.extend(rule.retry.codes)
