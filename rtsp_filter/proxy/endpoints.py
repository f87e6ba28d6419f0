"""The proxy's endpoints: routes ask here which one a session goes to, and here comes what became of it.

The shell of the balancer: it has the clock, chance and the log.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from mesh.model import Endpoint
from rtsp_filter.balancing import (
    Balancer,
    ClusterPolicy,
    ClusterView,
    HostEvent,
    HostKey,
    HostState,
    Question,
    Refusal,
    Use,
    hash_of,
)
from rtsp_filter.proxy.health import HealthChecker
from rtsp_filter.proxy.upstream import UpstreamError
from rtsp_filter.route_matching import RouteEntry, VirtualHost, WeightedCluster
from rtsp_filter.routing import Answer, Decision, RouteRequest, RouteTable
from rtsp_filter.rtsp import RTSPError, StatusCode

# An endpoint other than those that failed is asked for so often: enough to meet each of ten by chance, and few enough
# where there is none.
MAX_PICKS = 32
NO_OTHER = "has no other endpoint now"

log = structlog.get_logger()


class Attempt:
    """A description or set-up that an endpoint is asked for."""

    def __init__(self) -> None:
        self.status: int | None = None

    def answered(self, status: int) -> None:
        """The endpoint has answered; from 500 on it has failed."""
        self.status = status


class Endpoints:
    """Needs a running event loop, but to be made."""

    def __init__(self) -> None:
        self._balancer = Balancer(_tell)
        self._checker = HealthChecker(self._checked)
        self._table = RouteTable()
        self._views: dict[str, ClusterView] = {}
        self._sessions: dict[str, Use] = {}

    def update(self, table: RouteTable) -> None:
        """The table that `decide` looks at from now on."""
        if table.hosts is not self._table.hosts:
            self._balancer.routes_changed()
        self._table = table
        self._views = views = {name: self._view(name, cluster.policy) for name, cluster in table.clusters.items()}
        self._balancer.update(views, _now())
        self._checker.update(
            {
                (name, host.key): (host, view.policy.health_check)
                for name, view in views.items()
                if view.policy.health_check is not None
                for host in view.assignment.hosts
            }
        )

    def _view(self, name: str, policy: ClusterPolicy) -> ClusterView:
        """The one of before, if nothing has changed: there may be ten thousand."""
        assignment = self._table.assignment(name)
        known = self._views.get(name)
        if known is not None and known.policy is policy and known.assignment is assignment:
            return known
        return ClusterView(policy=policy, assignment=assignment)

    async def run(self) -> None:
        """Check endpoints until cancelled."""
        await self._checker.run()

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads."""
        return self._table.decide(request, _Balanced(self._balancer))

    @contextmanager
    def attempt(self, decision: Decision) -> Iterator[Attempt]:
        """Around asking an endpoint for a description or set-up: an UpstreamError is its failure."""
        key, cluster = _key(decision), decision.cluster
        use = self._balancer.attempt(cluster, key)
        attempt = Attempt()
        try:
            yield attempt
        except UpstreamError as error:
            self._balancer.failed(cluster, key, str(error), _now())
            raise
        finally:
            if use is not None:
                use.end()
        if attempt.status is None:
            return
        if attempt.status >= StatusCode.INTERNAL_SERVER_ERROR:
            self._balancer.failed(cluster, key, f"the camera answered {attempt.status}", _now())
        else:
            self._balancer.succeeded(cluster, key)

    def admit(self, decision: Decision) -> None:
        """Raises RTSPError with 503 when the backend has too many sessions."""
        refusal = self._balancer.full(decision.cluster)
        if refusal is not None:
            raise RTSPError(f"the backend {decision.cluster} {refusal.message}", status=StatusCode.SERVICE_UNAVAILABLE)

    def session_began(self, session_id: str, decision: Decision) -> None:
        """It counts from now on."""
        use = self._balancer.session(decision.cluster, _key(decision))
        if use is not None:
            self._sessions[session_id] = use

    def session_ended(self, session_id: str) -> None:
        """It counts no more."""
        use = self._sessions.pop(session_id, None)
        if use is not None:
            use.end()

    def _checked(self, question: Question, passing: bool, reason: str) -> None:
        cluster, key = question.target
        self._balancer.checked(cluster, key, passing=passing, reason=reason, now=_now())


class _Balanced:
    """Lets the balancer choose (`routing.Chooser`)."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer

    def cluster(self, virtual_host: VirtualHost, route: RouteEntry) -> WeightedCluster:
        shares = tuple(((share.name, share.labels), share.weight) for share in route.clusters)
        return route.clusters[self._balancer.share((virtual_host.name, route.name, route.match), shares)]

    def endpoint(self, share: WeightedCluster, route: RouteEntry, request: RouteRequest) -> Endpoint | str:
        key_hash = hash_of(route.hash_policies, request)
        if request.tried is None:
            return self._pick(share, key_hash)
        picks = (self._pick(share, None) for _ in range(MAX_PICKS))
        return next(
            (each for each in picks if isinstance(each, str) or each.name not in request.tried.endpoints), NO_OTHER
        )

    def _pick(self, share: WeightedCluster, key_hash: int | None) -> Endpoint | str:
        answer = self._balancer.pick(
            share.name, labels=share.labels, key_hash=key_hash, chance=random.random, now=_now()
        )
        return answer.message if isinstance(answer, Refusal) else answer.host.endpoint


def _key(decision: Decision) -> HostKey:
    upstream = decision.upstream
    return upstream.name, upstream.address, upstream.port, upstream.base_path


def _now() -> float:
    return asyncio.get_running_loop().time()


def _tell(cluster: str, state: HostState, event: HostEvent) -> None:
    good = event in (HostEvent.RETURNED, HostEvent.PASSES)
    endpoint = state.host.endpoint
    facts = {"backend": cluster, "endpoint": endpoint.name, "camera": f"{endpoint.address}:{endpoint.port}"}
    if event is HostEvent.EJECTED and state.ejected_until is not None:
        facts["seconds"] = f"{state.ejected_until - _now():.0f}"
    if good:
        log.info(f"an endpoint {event.value}", **facts)
    else:
        log.warning(f"an endpoint {event.value}", **facts, reason=state.why, sessions=state.sessions)
