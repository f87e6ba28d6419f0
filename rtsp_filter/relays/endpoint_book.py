"""What this proxy has seen of endpoints, and what of it the control plane has not been told yet. Pure.

Each endpoint has a tally, in which whoever deals with it counts. A report says all of those that have changed since the
one before: it costs what has changed, and what a lost one would have said is in the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import IntEnum

from mesh.wire import relay_pb2
from rtsp_filter.balancing import Health, HostKey, HostState

MAX_REPORTED = 500
"""Endpoints of a message: some 100 KB, where gRPC takes 4 MB."""

Place = tuple[str, HostKey]
"""Cluster and endpoint."""
Look = Callable[[str, HostKey], HostState | None]
"""What has become of an endpoint; None: it has gone."""


class Count(IntEnum):
    """What is counted: the names are those of EndpointStatus, the values places in a tally."""

    SETUPS = 0
    FAILED_SETUPS = 1
    CONNECTIONS = 2
    OPENED_CONNECTIONS = 3
    KEEPALIVES = 4
    FAILED_KEEPALIVES = 5
    FRAMES_DROPPED = 6
    PACKETS = 7
    LOST_PACKETS = 8
    REFUSED_SETUPS = 9


_FIELDS = tuple(what.name.lower() for what in Count)


class Tally:
    """The counts of one endpoint. `on_change` is called for the first change of what was `told`. `jitter` is in
    seconds, the latest."""

    __slots__ = ("_on_change", "counts", "jitter", "told")

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.counts = [0] * len(Count)
        self.jitter = 0.0
        self.told = True
        self._on_change = on_change

    def count(self, what: Count, by: int = 1) -> None:
        """So many more."""
        self.counts[what] += by
        self.changed()

    def changed(self) -> None:
        """There is something to tell."""
        if self.told:
            self.told = False
            self._on_change()

    def sampled(self, *, packets: int, lost: int, jitter: float) -> None:
        """A session that nobody watches should have had `packets` more, and has lost so many of them."""
        self.jitter = jitter
        self.counts[Count.PACKETS] += packets
        self.count(Count.LOST_PACKETS, lost)


class EndpointBook:
    """Tallies of all endpoints that anything has become of. `on_change` is called when there is something to tell."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._tallies: dict[Place, Tally] = {}
        self._refused: Counter[str] = Counter()
        self._changed: dict[Place, None] = {}
        self._gone: dict[Place, None] = {}
        self._changed_clusters: dict[str, None] = {}
        self._wrong_passwords: Counter[str] = Counter()
        self._changed_users: dict[str, None] = {}

    def tally(self, cluster: str, key: HostKey) -> Tally:
        """That of an endpoint, from now on until it leaves."""
        known = self._tallies.get((cluster, key))
        return self._new((cluster, key)) if known is None else known

    def changed(self, cluster: str, key: HostKey) -> None:
        """Something has become of an endpoint that its tally does not say."""
        self.tally(cluster, key).changed()

    def known(self, cluster: str, key: HostKey) -> bool:
        """Whether anything has become of an endpoint."""
        return (cluster, key) in self._tallies

    def left(self, cluster: str, key: HostKey) -> None:
        """An endpoint is not one of the cluster's any more."""
        place = (cluster, key)
        if self._tallies.pop(place, None) is not None:
            self._changed.pop(place, None)
            self._gone[place] = None
            self._on_change()

    def refused(self, cluster: str) -> None:
        """A session found no endpoint."""
        self._refused[cluster] += 1
        self._changed_clusters[cluster] = None
        self._on_change()

    def wrong_password(self, users: str) -> None:
        """A wrong password was said to be that of one of these users."""
        self._wrong_passwords[users] += 1
        self._changed_users[users] = None
        self._on_change()

    def changes(self, look: Look, *, epoch: float) -> list[relay_pb2.EndpointReport]:
        """What is to be told now. `epoch` is the balancer's time 0 in seconds since 1970."""
        reports = self._reports(self._changed, look, epoch, self._others(self._changed_clusters, self._changed_users))
        if self._gone:
            reports.append(relay_pb2.EndpointReport(gone=[_wire_key(place) for place in self._gone]))
        self._told()
        return reports

    def all(self, look: Look, *, epoch: float) -> list[relay_pb2.EndpointReport]:
        """All that there is to tell, for one who knows nothing."""
        reports = self._reports(self._tallies, look, epoch, self._others(self._refused, self._wrong_passwords))
        for report in reports:
            report.stated = True
        self._told()
        return reports

    def _new(self, place: Place) -> Tally:
        tally = Tally(lambda: self._note(place, tally))
        self._tallies[place] = tally
        return tally

    def _note(self, place: Place, tally: Tally) -> None:
        if self._tallies.get(place) is tally:  # who still counts for one that has left counts for nobody
            self._gone.pop(place, None)
            self._changed[place] = None
            self._on_change()

    def _told(self) -> None:
        self._changed, self._gone, self._changed_clusters, self._changed_users = {}, {}, {}, {}

    def _others(self, clusters: Iterable[str], users: Iterable[str]) -> relay_pb2.EndpointReport:
        """What there is to tell besides endpoints."""
        return relay_pb2.EndpointReport(
            clusters=[relay_pb2.ClusterStatus(cluster=name, refused=self._refused[name]) for name in clusters],
            users=[relay_pb2.UsersStatus(users=name, wrong_passwords=self._wrong_passwords[name]) for name in users],
        )

    def _reports(
        self, places: Iterable[Place], look: Look, epoch: float, first: relay_pb2.EndpointReport
    ) -> list[relay_pb2.EndpointReport]:
        """What there is to tell of endpoints, together with what is in `first` already."""
        statuses = [self._status(place, look(*place), epoch) for place in places]
        first.endpoints.extend(statuses[:MAX_REPORTED])
        parts = [statuses[at : at + MAX_REPORTED] for at in range(MAX_REPORTED, len(statuses), MAX_REPORTED)]
        reports = [first, *(relay_pb2.EndpointReport(endpoints=part) for part in parts)]
        return reports if first.ByteSize() else []

    def _status(self, place: Place, state: HostState | None, epoch: float) -> relay_pb2.EndpointStatus:
        tally = self._tallies[place]
        tally.told = True
        status = relay_pb2.EndpointStatus(endpoint=_wire_key(place), jitter=tally.jitter, healthy=True)
        for name, number in zip(_FIELDS, tally.counts, strict=True):
            if number:
                setattr(status, name, number)
        if state is not None:
            status.sessions = state.sessions
            status.healthy = state.passing is not False and state.host.health is not Health.UNHEALTHY
            status.ejected_until = 0.0 if state.ejected_until is None else epoch + state.ejected_until
            status.why = state.why
        return status


def _wire_key(place: Place) -> relay_pb2.EndpointKey:
    cluster, (name, address, port, path) = place
    return relay_pb2.EndpointKey(cluster=cluster, name=name, address=address, port=port, path=path)
