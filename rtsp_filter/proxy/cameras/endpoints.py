"""The proxy's endpoints: routes ask here which one a session goes to, and here comes what became of it.

The shell of the balancer: it has the clock, chance and the log.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import structlog

from mesh.gateways import MediaSource
from mesh.model import Endpoint
from mesh.wire import relay_pb2
from rtsp_filter.balancing import (
    Balancer,
    ClusterPolicy,
    ClusterView,
    HostEvent,
    HostKey,
    HostState,
    Labels,
    Question,
    Refusal,
    Use,
    hash_of,
)
from rtsp_filter.proxy.cameras.endpoint_reporter import EndpointReporter, Send
from rtsp_filter.proxy.cameras.health import HealthChecker
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.relays.endpoint_book import Count, Tally
from rtsp_filter.resources.access import Access
from rtsp_filter.routes.matching import RouteEntry, VirtualHost, WeightedCluster
from rtsp_filter.routes.table import Answer, Decision, RouteRequest, RouteTable
from rtsp_filter.rtsp import RTSPError, StatusCode

# An endpoint other than those that failed is asked for so often: enough to meet each of ten by chance, and few enough
# where there is none.
MAX_PICKS = 32
NO_OTHER = "has no other endpoint now"
# The first of a mirror's shares.
_MIRRORED = 0
# From this status on an endpoint has failed.
_FAILED = StatusCode.INTERNAL_SERVER_ERROR
# It has refused with one of these. Questions for a password or another transport are how sessions begin.
_REFUSED = frozenset(range(400, 500)) - {
    StatusCode.UNAUTHORIZED,
    StatusCode.PROXY_AUTHENTICATION_REQUIRED,
    StatusCode.NOT_ENOUGH_BANDWIDTH,
    StatusCode.UNSUPPORTED_TRANSPORT,
}

log = structlog.get_logger()


class Attempt:
    """A description or set-up that an endpoint is asked for."""

    def __init__(self) -> None:
        self.status: int | None = None

    def answered(self, status: int) -> None:
        """The endpoint has answered; from 500 on it has failed."""
        self.status = status

    @property
    def of_use(self) -> bool:
        """Whether a client could do something with the answer: neither can it where the camera is full."""
        return self.status is not None and self.status < _FAILED and self.status != StatusCode.NOT_ENOUGH_BANDWIDTH


class Endpoints:
    """Needs a running event loop, but to be made. `report` is told what has become of endpoints."""

    def __init__(self, report: Send = lambda _: None) -> None:
        self._balancer = Balancer(self._tell)
        self._reporter = EndpointReporter(self._balancer.state_of, report)
        self._book = self._reporter.book
        self._checker = HealthChecker(self._checked, self._host_access)
        self._table = RouteTable()
        self._views: dict[str, ClusterView] = {}
        self._sessions: dict[str, tuple[Use, Decision]] = {}

    def update(self, table: RouteTable) -> None:
        """The table that `decide` looks at from now on."""
        if table.hosts is not self._table.hosts:
            self._balancer.routes_changed()
        self._table = table
        before = self._views
        self._views = views = {name: self._view(name, cluster.policy) for name, cluster in table.clusters.items()}
        self._balancer.update(views, _now())
        self._look_after(before, views)
        self._checker.update(
            {
                (name, host.key): (host, view.policy.health_check)
                for name, view in views.items()
                if view.policy.health_check is not None
                for host in view.assignment.hosts
                if table.has_credentials(host.endpoint)
            }
        )

    def _view(self, name: str, policy: ClusterPolicy) -> ClusterView:
        """The one of before, if nothing has changed: there may be ten thousand."""
        assignment = self._table.assignment(name)
        known = self._views.get(name)
        if known is not None and known.policy is policy and known.assignment is assignment:
            return known
        return ClusterView(policy=policy, assignment=assignment)

    def _look_after(self, before: Mapping[str, ClusterView], after: Mapping[str, ClusterView]) -> None:
        """Of clusters that have changed, what is known of endpoints is told anew, or that they are gone."""
        for name, old in before.items():
            new = after.get(name)
            if new is old:
                continue
            there = frozenset() if new is None else frozenset(host.key for host in new.assignment.hosts)
            for key in (host.key for host in old.assignment.hosts):
                if key not in there:
                    self._book.left(name, key)
                elif self._book.known(name, key):
                    self._book.changed(name, key)

    def stated(self) -> list[relay_pb2.EndpointReport]:
        """All that is known of endpoints, for a control plane that knows nothing."""
        return self._reporter.stated()

    def tally(self, decision: Decision) -> Tally:
        """Where to count what the endpoint of a decision does; for one that has gone, nobody reads that."""
        cluster, key = decision.cluster, _key(decision)
        return self._book.tally(cluster, key) if self._balancer.has(cluster, key) else Tally(_told_to_nobody)

    async def run(self) -> None:
        """Check endpoints until cancelled."""
        await self._checker.run()

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads."""
        return self._table.decide(request, _Balanced(self._balancer, self._book.refused))

    def access(self, decision: Decision) -> Access:
        """How the endpoint of a decision is spoken to. Raises UpstreamError with 503 where that is not known."""
        try:
            return self._table.access(decision.cluster, decision.upstream)
        except RTSPError as error:
            raise UpstreamError(str(error), status=error.status) from error

    def _host_access(self, question: Question) -> Access:
        return self._table.access(question.target[0], question.host.endpoint)

    def moves_sessions(self, decision: Decision) -> bool:
        """Whether another endpoint may take over where this one fails."""
        view = self._views.get(decision.cluster)
        return view is not None and view.policy.moves_sessions

    def media_source(self, decision: Decision) -> MediaSource:
        """Whose packets are taken for media over UDP."""
        view = self._views.get(decision.cluster)
        return MediaSource.ANY if view is None else view.policy.media_source

    def another(self, decision: Decision, tried: Collection[str]) -> Decision | str:
        """Another endpoint for a session, none of the `tried` names; or why there is none."""
        found = _Balanced(self._balancer, self._book.refused).another(decision.cluster, decision.labels, tried)
        return f"the backend {decision.cluster} {found}" if isinstance(found, str) else decision.elsewhere(found)

    def mirrors(self, decision: Decision) -> Iterator[Decision]:
        """Where a session goes as well: to an endpoint of each of its mirrors whose turn it is."""
        for place, mirror in enumerate(decision.mirrors):
            turns = ("mirror", decision.virtual_host, decision.route, decision.match, place)
            if self._balancer.share(turns, mirror.shares) != _MIRRORED:
                continue
            answer = self._balancer.pick(mirror.cluster, key_hash=decision.key_hash, chance=random.random, now=_now())
            if isinstance(answer, Refusal):
                log.warning("a session is not mirrored", backend=mirror.cluster, reason=f"it {answer.message}")
            else:
                yield decision.mirrored(mirror, answer.host.endpoint)

    @contextmanager
    def attempt(self, decision: Decision) -> Iterator[Attempt]:
        """Around asking an endpoint for a description or set-up: an UpstreamError is its failure."""
        key, cluster = _key(decision), decision.cluster
        use = self._balancer.attempt(cluster, key)
        attempt = Attempt()
        try:
            yield attempt
        except UpstreamError as error:
            self._count(decision, failed=True)
            self._balancer.failed(cluster, key, str(error), _now())
            raise
        finally:
            if use is not None:
                use.end()
        if attempt.status is None:
            return
        self._count(decision, failed=not attempt.of_use, refused=attempt.status in _REFUSED)
        if attempt.status >= _FAILED:
            self._balancer.failed(cluster, key, f"the camera answered {attempt.status}", _now())
        else:
            self._balancer.succeeded(cluster, key)

    def _count(self, decision: Decision, *, failed: bool, refused: bool = False) -> None:
        tally = self.tally(decision)
        tally.count(Count.SETUPS)
        if failed:
            tally.count(Count.FAILED_SETUPS)
        if refused:
            tally.count(Count.REFUSED_SETUPS)

    def silent(self, decision: Decision, seconds: float) -> None:
        """No media has come from an endpoint's live session for so long: that is its failure."""
        self._count(decision, failed=True)
        self._balancer.failed(decision.cluster, _key(decision), f"no media came for {seconds:.0f} s", _now())

    def wrong_password(self, users: str) -> None:
        """Somebody is not whom he says to be among these users, and does not come as far as an endpoint."""
        self._book.wrong_password(users)

    def admit(self, decision: Decision) -> None:
        """Raises RTSPError with 503 when the backend has too many sessions."""
        refusal = self._balancer.full(decision.cluster)
        if refusal is not None:
            raise RTSPError(f"the backend {decision.cluster} {refusal.message}", status=StatusCode.SERVICE_UNAVAILABLE)

    def session_began(self, session_id: str, decision: Decision) -> None:
        """It counts from now on."""
        use = self._balancer.session(decision.cluster, _key(decision))
        if use is not None:
            self._sessions[session_id] = use, decision
            self._changed(decision.cluster, _key(decision))

    def session_ended(self, session_id: str) -> None:
        """It counts no more."""
        use, decision = self._sessions.pop(session_id, (None, None))
        if use is not None and decision is not None:
            use.end()
            self._changed(decision.cluster, _key(decision))

    def _checked(self, question: Question, passing: bool, reason: str) -> None:
        cluster, key = question.target
        self._balancer.checked(cluster, key, passing=passing, reason=reason, now=_now())

    def _changed(self, cluster: str, key: HostKey) -> None:
        """Something has become of an endpoint; of one that has gone, nothing is told and nothing kept."""
        if self._balancer.has(cluster, key):
            self._book.changed(cluster, key)

    def _tell(self, cluster: str, state: HostState, event: HostEvent) -> None:
        self._changed(cluster, state.host.key)
        _log(cluster, state, event)


class _Balanced:
    """Lets the balancer choose (`routing.Chooser`), and tells `refused` of clusters that have nobody."""

    def __init__(self, balancer: Balancer, refused: Callable[[str], None]) -> None:
        self._balancer = balancer
        self._refused = refused

    def cluster(self, virtual_host: VirtualHost, route: RouteEntry) -> WeightedCluster:
        shares = tuple(((share.name, share.labels), share.weight) for share in route.clusters)
        return route.clusters[self._balancer.share((virtual_host.name, route.name, route.match), shares)]

    def endpoint(self, share: WeightedCluster, route: RouteEntry, request: RouteRequest) -> Endpoint | str:
        key_hash = hash_of(route.hash_policies, request)
        if request.tried is None:
            found = self._pick(share.name, share.labels, key_hash)
            if isinstance(found, str):
                self._refused(share.name)
            return found
        return self.another(share.name, share.labels, request.tried.endpoints)

    def another(self, cluster: str, labels: Labels, tried: Collection[str]) -> Endpoint | str:
        """An endpoint that was not tried."""
        picks = (self._pick(cluster, labels, None) for _ in range(MAX_PICKS))
        return next((each for each in picks if isinstance(each, str) or each.name not in tried), NO_OTHER)

    def _pick(self, cluster: str, labels: Labels, key_hash: int | None) -> Endpoint | str:
        answer = self._balancer.pick(cluster, labels=labels, key_hash=key_hash, chance=random.random, now=_now())
        return answer.message if isinstance(answer, Refusal) else answer.host.endpoint


def _key(decision: Decision) -> HostKey:
    upstream = decision.upstream
    return upstream.name, upstream.address, upstream.port, upstream.base_path


def _told_to_nobody() -> None:
    """Of a tally that is in no book."""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _log(cluster: str, state: HostState, event: HostEvent) -> None:
    good = event in (HostEvent.RETURNED, HostEvent.PASSES)
    endpoint = state.host.endpoint
    facts = {"backend": cluster, "endpoint": endpoint.name, "camera": f"{endpoint.address}:{endpoint.port}"}
    if event is HostEvent.EJECTED and state.ejected_until is not None:
        facts["seconds"] = f"{state.ejected_until - _now():.0f}"
    if good:
        log.info(f"an endpoint {event.value}", **facts)
    else:
        log.warning(f"an endpoint {event.value}", **facts, reason=state.why, sessions=state.sessions)
