"""A RouteConfiguration → the virtual hosts of a route table, or a refusal.

A field that is set and that RTSP routing cannot honour is an error which names it: the proxy then rejects the
configuration (NACK) and goes on with the one before, instead of doing something else than was asked.

Envoy API: config.route.v3.RouteConfiguration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2

from mesh.regex import compile_regex
from rtsp_filter.resources.policy_reading import merged_labels, read_hash_policies, read_labels
from rtsp_filter.resources.reading import RouteTableError, only
from rtsp_filter.resources.users_reading import read_users_name
from rtsp_filter.routes.action_reading import HEADER_FIELDS, read_header_changes, read_patience, read_redirect
from rtsp_filter.routes.condition_reading import read_conditions
from rtsp_filter.routes.matching import RouteEntry, VirtualHost, WeightedCluster
from rtsp_filter.routes.mirrors import read_mirrors
from rtsp_filter.routes.paths import MatchKind, PathMatcher, PrefixRewrite, RegexRewrite, Rewrite
from rtsp_filter.routes.uri_templates import template_regex

_CONFIGURATION_FIELDS = HEADER_FIELDS | {
    "name",
    "virtual_hosts",
    "ignore_port_in_host_matching",
    "most_specific_header_mutations_wins",
}
_VIRTUAL_HOST_FIELDS = HEADER_FIELDS | {"name", "domains", "routes", "metadata"}
_ROUTE_FIELDS = HEADER_FIELDS | {"name", "match", "route", "redirect", "metadata", "typed_per_filter_config"}
_MATCH_FIELDS = {
    "path",
    "prefix",
    "path_separated_prefix",
    "safe_regex",
    "path_match_policy",
    "headers",
    "query_parameters",
}
_ACTION_FIELDS = {
    "cluster",
    "weighted_clusters",
    "prefix_rewrite",
    "regex_rewrite",
    "timeout",
    "retry_policy",
    "hash_policy",
    "metadata_match",
    "request_mirror_policies",
}


def read_virtual_hosts(configuration: Any) -> tuple[VirtualHost, ...]:
    """The virtual hosts of a RouteConfiguration. Raises RouteTableError."""
    where = f"route configuration {configuration.name}"
    try:
        only(configuration, _CONFIGURATION_FIELDS)
        hosts = tuple(_virtual_host(host, configuration) for host in configuration.virtual_hosts)
        _check_domains(hosts)
    except ValueError as error:
        raise RouteTableError(where, str(error)) from None
    return hosts


def _virtual_host(host: Any, configuration: Any) -> VirtualHost:
    try:
        only(host, _VIRTUAL_HOST_FIELDS)
        routes = tuple(_route(route, host, configuration) for route in host.routes)
    except ValueError as error:
        raise ValueError(f"virtual host {host.name}: {error}") from None
    return VirtualHost(name=host.name, domains=tuple(domain.lower() for domain in host.domains), routes=routes)


def _check_domains(hosts: tuple[VirtualHost, ...]) -> None:
    owners: dict[str, str] = {}
    for host in hosts:
        for domain in host.domains:
            if "*" in domain[1:]:
                raise ValueError(f'virtual host {host.name}: in the domain "{domain}" only a leading * is supported')
            if owners.setdefault(domain, host.name) != host.name:
                raise ValueError(f'the domain "{domain}" belongs to both {owners[domain]} and {host.name}')


def _route(route: Any, host: Any, configuration: Any) -> RouteEntry:
    try:
        only(route, _ROUTE_FIELDS)
        levels = [route, host, configuration]
        if configuration.most_specific_header_mutations_wins:
            levels.reverse()
        match = _matcher(route.match)
        parts = {
            "name": route.name,
            "match": match,
            "conditions": tuple(read_conditions(route.match)),
            "headers": read_header_changes(levels),
            "users": read_users_name(route),
        }
        if route.HasField("redirect"):
            return RouteEntry(redirect=read_redirect(route.redirect), rewrite=_rewrite(route.redirect, match), **parts)
        if not route.HasField("route"):
            raise ValueError("only routes to clusters and redirects are supported")
        return RouteEntry(
            clusters=tuple(_clusters(route.route)),
            rewrite=_rewrite(route.route, match),
            patience=read_patience(route.route),
            hash_policies=read_hash_policies(route.route),
            mirrors=read_mirrors(route.route),
            **parts,
        )
    except ValueError as error:
        raise ValueError(f"route {route.name}: {error}") from None


def _matcher(match: Any) -> PathMatcher:
    only(match, _MATCH_FIELDS)
    kind = match.WhichOneof("path_specifier")
    if kind == "path":
        return PathMatcher(kind=MatchKind.EXACT, value=match.path)
    if kind == "prefix":
        return PathMatcher(kind=MatchKind.PREFIX, value=match.prefix)
    if kind == "path_separated_prefix":
        return PathMatcher(kind=MatchKind.PATH_PREFIX, value=match.path_separated_prefix)
    if kind == "safe_regex":
        pattern = match.safe_regex.regex
        return PathMatcher(kind=MatchKind.REGEX, value=pattern, regex=compile_regex(pattern))
    if kind == "path_match_policy":
        template = _template(match.path_match_policy)
        return PathMatcher(kind=MatchKind.TEMPLATE, value=template, regex=compile_regex(template_regex(template)))
    raise ValueError("it has no condition on the path")


def _template(extension: Any) -> str:
    config = uri_template_match_pb2.UriTemplateMatchConfig()
    if not extension.typed_config.Unpack(config):
        raise ValueError(f"RouteMatch.path_match_policy {extension.typed_config.type_url} is not supported")
    return str(config.path_template)


def _clusters(action: Any) -> Iterator[WeightedCluster]:
    only(action, _ACTION_FIELDS)
    kind = action.WhichOneof("cluster_specifier")
    if kind == "cluster":
        yield WeightedCluster(name=action.cluster, labels=read_labels(action.metadata_match))
        return
    if kind != "weighted_clusters":
        raise ValueError("it names no cluster")
    only(action.weighted_clusters, {"clusters"})
    if not any(share.weight.value for share in action.weighted_clusters.clusters):
        raise ValueError("the weights of its clusters add up to nothing")
    for share in action.weighted_clusters.clusters:
        only(share, {"name", "weight", "metadata_match"})
        labels = merged_labels(action.metadata_match, share.metadata_match)
        yield WeightedCluster(name=share.name, weight=share.weight.value, labels=labels)


def _rewrite(action: Any, match: PathMatcher) -> Rewrite | None:
    if action.prefix_rewrite and match.kind is MatchKind.TEMPLATE:
        raise ValueError(f"{action.DESCRIPTOR.name}.prefix_rewrite is not supported with a URI template")
    if action.HasField("regex_rewrite"):
        return RegexRewrite.of(action.regex_rewrite.pattern.regex, action.regex_rewrite.substitution)
    return PrefixRewrite(text=action.prefix_rewrite) if action.prefix_rewrite else None
