"""Where an RTSP URL leads to, and why: what `/v1/explain` answers.

The answer is read from the very bytes that RTSP proxies get, with the very code that RTSP proxies use. It is the same
each time: where a proxy leaves the choice to chance, all candidates are listed with their shares. Which of them a proxy
leaves out just now, since they fail, is said beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from api import models, views
from api.endpoints import left_out
from mesh.model import Endpoint, RoutedMethod
from rtsp_filter.routes.matching import RouteEntry, upstream_path
from rtsp_filter.routes.table import Answer, Chance, NoRoute, NoRouteKind, Redirection, RouteRequest, RouteTable
from rtsp_filter.rtsp import RTSPURL, Headers
from xds_server.cache import ResourceCache
from xds_server.compile.routes import ROUTE_CONFIGURATION
from xds_server.control_plane import ControlPlane
from xds_server.endpoint_reports import EndpointKey
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE, SECRET
from xds_server.subscription import SyncState

_REFUSALS = {
    NoRouteKind.NOT_FOUND: (models.Outcome.NOT_FOUND, HTTPStatus.NOT_FOUND),
    NoRouteKind.NO_ENDPOINT: (models.Outcome.NO_ENDPOINT, HTTPStatus.SERVICE_UNAVAILABLE),
}


class Explainer:
    """Explains URLs. The route table is read again only when the configuration has changed."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._revision = -1
        self._table = RouteTable()

    def explain(
        self, text: str, method: RoutedMethod = RoutedMethod.DESCRIBE, headers: Headers | None = None
    ) -> models.Explanation:
        """Where a player gets to that asks for the URL `text`.

        Raises URLError for what is no RTSP URL, RouteTableError if the proxies' own configuration is unusable.
        """
        url = RTSPURL.parse(text).without_userinfo()
        table = self._current_table()
        request = RouteRequest.of(url, method.value, headers)
        host = table.hosts.find(request.host)
        entry = None if host is None else host.find(request)
        candidates = () if entry is None else tuple(_candidates(self._plane, table, entry, request))
        answer = table.decide(request, Chance(table, _chance_of_the_first(candidates)))
        outcome, status, message = _verdict(answer, candidates)
        route, rule = (None, None) if entry is None else views.split_route(entry.name)
        return models.Explanation(
            url=str(url),
            outcome=outcome,
            status=status,
            message=message,
            location=answer.location if isinstance(answer, Redirection) else None,
            virtual_host=None if host is None else host.name,
            route=route,
            rule=rule,
            match=None if entry is None else entry.wanted,
            rewritten_path=None if entry is None else entry.rewritten(request.plain_path),
            candidates=candidates,
            rtsp_proxies=_serving_proxies(self._plane),
            media_proxies=_media_proxies(self._plane),
            reasons=answer.reasons,
        )

    def _current_table(self) -> RouteTable:
        cache = self._plane.routes
        if cache.revision != self._revision:
            self._table = read_table(cache)
            self._revision = cache.revision
        return self._table


def read_table(cache: ResourceCache) -> RouteTable:
    """The route table that an RTSP proxy has once it has got all of `cache`. Raises RouteTableError."""
    configuration = cache.get(ROUTE.type_url, ROUTE_CONFIGURATION)
    return RouteTable.from_xds(
        route_pb2.RouteConfiguration.FromString(configuration.body if configuration is not None else b""),
        _messages(cache, CLUSTER.type_url, cluster_pb2.Cluster),
        _messages(cache, ENDPOINT.type_url, endpoint_pb2.ClusterLoadAssignment),
        _messages(cache, SECRET.type_url, secret_pb2.Secret),
    )


def _messages(cache: ResourceCache, type_url: str, message: Any) -> list[Any]:
    return [message.FromString(resource.body) for resource in cache.resources(type_url).values()]


def _candidates(
    plane: ControlPlane, table: RouteTable, entry: RouteEntry, request: RouteRequest
) -> Sequence[models.Candidate]:
    rewritten = entry.rewritten(request.plain_path)
    shares = views.shares([cluster.weight for cluster in entry.clusters])
    return [
        models.Candidate(
            backend=cluster.name,
            weight=cluster.weight,
            share=share,
            targets=_targets(plane, table, cluster.name, share, rewritten, request.query),
        )
        for cluster, share in zip(entry.clusters, shares, strict=True)
    ]


def _targets(
    plane: ControlPlane, table: RouteTable, cluster: str, share: float, path: str, query: str
) -> tuple[models.Target, ...]:
    endpoints = table.endpoints(cluster)
    return tuple(
        models.Target(
            endpoint=endpoint.name,
            address=endpoint.address,
            port=endpoint.port,
            url=_upstream_url(
                table.access(cluster, endpoint).scheme, endpoint, upstream_path(endpoint.path, path, query)
            ),
            transport=endpoint.transport,
            share=share / len(endpoints),
            left_out=left_out(
                plane, EndpointKey(cluster, endpoint.name, endpoint.address, endpoint.port, endpoint.path)
            ),
        )
        for endpoint in endpoints
    )


def _upstream_url(scheme: str, endpoint: Endpoint, target: str) -> str:
    path, mark, query = target.partition("?")
    return str(
        RTSPURL(scheme=scheme, host=endpoint.address, port=endpoint.port, path=path, query=query if mark else None)
    )


def _chance_of_the_first(candidates: Sequence[models.Candidate]) -> float:
    """A random number that falls on the first server of the first candidate that has one."""
    before = 0.0
    for candidate in candidates:
        if candidate.weight and candidate.targets:
            return before + candidate.targets[0].share / 2
        before += candidate.share
    return 0.0


def _verdict(answer: Answer, candidates: Sequence[models.Candidate]) -> tuple[models.Outcome, int, str]:
    if isinstance(answer, NoRoute):
        outcome, status = _REFUSALS[answer.kind]
        return outcome, status, answer.message
    if isinstance(answer, Redirection):
        return models.Outcome.REDIRECTED, answer.status, f"route {answer.route} redirects to {answer.location}"
    used = [candidate for candidate in candidates if candidate.weight]
    servers = sum(len(candidate.targets) for candidate in used)
    lost = sum(candidate.share for candidate in used if not candidate.targets)
    choice = f"one of {servers} servers" if servers > 1 else f"the server {answer.upstream.name}"
    warning = f"; {100 * lost:.3g} % of the sessions get 503, because their backend has no endpoint" if lost else ""
    return models.Outcome.ROUTED, HTTPStatus.OK, f"route {answer.route} leads to {choice}{warning}"


def _serving_proxies(plane: ControlPlane) -> tuple[models.ServingProxy, ...]:
    newest = {proxy.node.id: proxy for proxy in plane.proxies.values() if views.kind_of(proxy) is models.ProxyKind.RTSP}
    return tuple(
        models.ServingProxy(
            id=name,
            current=all(counts.keys() <= {SyncState.SYNCED} for counts in newest[name].counts().values()),
        )
        for name in sorted(newest)
    )


def _media_proxies(plane: ControlPlane) -> tuple[str, ...]:
    media = (proxy for proxy in plane.proxies.values() if views.kind_of(proxy) is models.ProxyKind.MEDIA)
    return tuple(sorted({proxy.node.id for proxy in media}))
