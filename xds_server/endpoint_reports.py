"""What RTSP proxies say of endpoints, as long as they are connected, and what it comes to. Pure.

A report says all of an endpoint, so only the latest of each proxy is kept, and it goes with the proxy. Counts of
proxies begin when the proxies do; here they are differences from then on, summed up by backend: those never go back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from mesh.wire import relay_pb2
from xds_server.canary.evidence import Evidence


class EndpointKey(NamedTuple):
    """One server of a backend, by all that tells it from others."""

    cluster: str
    name: str
    address: str
    port: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What one proxy says of one endpoint."""

    proxy: str
    status: relay_pb2.EndpointStatus


@dataclass(slots=True, kw_only=True)
class Totals:
    """Counts of a backend since the control plane began. The names are those of EndpointStatus and ClusterStatus."""

    setups: int = 0
    failed_setups: int = 0
    refused_setups: int = 0
    opened_connections: int = 0
    keepalives: int = 0
    failed_keepalives: int = 0
    frames_dropped: int = 0
    packets: int = 0
    lost_packets: int = 0
    refused: int = 0

    def add(self, other: Totals) -> None:
        """Add all counts of another one."""
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def evidence(self) -> Evidence:
        """As a canary is judged: a session that found no endpoint has failed."""
        return Evidence(
            setups=self.setups + self.refused,
            failed=self.failed_setups + self.refused,
            refused=self.refused_setups,
            packets=self.packets,
            lost=self.lost_packets,
        )


_NAMES = tuple(each.name for each in fields(Totals))
# Of an endpoint; what is refused, is refused by a cluster.
_OF_ENDPOINTS = tuple(name for name in _NAMES if name != "refused")


class EndpointReports:
    """The latest of each proxy and endpoint; taking a report costs what is in it."""

    def __init__(self) -> None:
        self.totals: dict[str, Totals] = {}
        """By backend."""
        self.wrong_passwords: Counter[str] = Counter()
        """By the secret of the users whose passwords they should have been, since the control plane began."""
        self._statuses: dict[str, dict[EndpointKey, relay_pb2.EndpointStatus]] = {}
        self._refused: dict[str, Counter[str]] = {}
        self._wrong: dict[str, Counter[str]] = {}

    def take(self, proxy: str, report: relay_pb2.EndpointReport) -> Mapping[str, Evidence]:
        """Keep a report; what it has that is new, by backend."""
        known, refused = self._statuses.setdefault(proxy, {}), self._refused.setdefault(proxy, Counter())
        new: dict[str, Totals] = {}
        for status in report.endpoints:
            key = _key(status.endpoint)
            if not report.stated:
                new.setdefault(key.cluster, Totals()).add(_since(known.get(key), status))
            known[key] = status
        for cluster in report.clusters:
            if not report.stated:
                more = cluster.refused - refused[cluster.cluster]
                new.setdefault(cluster.cluster, Totals()).add(Totals(refused=more))
            refused[cluster.cluster] = cluster.refused
        self._take_wrong(self._wrong.setdefault(proxy, Counter()), report)
        for gone in report.gone:
            known.pop(_key(gone), None)
        for name, totals in new.items():
            self.totals.setdefault(name, Totals()).add(totals)
        return {name: evidence for name, totals in new.items() if (evidence := totals.evidence)}

    def _take_wrong(self, known: Counter[str], report: relay_pb2.EndpointReport) -> None:
        for each in report.users:
            if not report.stated:
                self.wrong_passwords[each.users] += each.wrong_passwords - known[each.users]
            known[each.users] = each.wrong_passwords

    def forget(self, proxy: str) -> None:
        """A proxy is gone, or begins anew."""
        self._statuses.pop(proxy, None)
        self._refused.pop(proxy, None)
        self._wrong.pop(proxy, None)

    def keep_totals(self, clusters: Iterable[str], users: Iterable[str] = ()) -> None:
        """The backends that there are, and the secrets of users; totals of others are forgotten."""
        wanted, known = frozenset(clusters), frozenset(users)
        self.wrong_passwords = Counter({name: count for name, count in self.wrong_passwords.items() if name in known})
        self.totals = {name: totals for name, totals in self.totals.items() if name in wanted}

    def of(self, key: EndpointKey) -> list[Reported]:
        """What the proxies say of one endpoint."""
        return [
            Reported(proxy=proxy, status=statuses[key])
            for proxy, statuses in sorted(self._statuses.items())
            if key in statuses
        ]

    def endpoints(self) -> Iterator[tuple[EndpointKey, list[Reported]]]:
        """Every endpoint that a proxy has spoken of, in order, and what each of them says."""
        found: dict[EndpointKey, list[Reported]] = {}
        for proxy, statuses in sorted(self._statuses.items()):
            for key, status in statuses.items():
                found.setdefault(key, []).append(Reported(proxy=proxy, status=status))
        yield from sorted(found.items())


def _key(message: relay_pb2.EndpointKey) -> EndpointKey:
    return EndpointKey(
        cluster=message.cluster, name=message.name, address=message.address, port=message.port, path=message.path
    )


def _since(before: relay_pb2.EndpointStatus | None, now: relay_pb2.EndpointStatus) -> Totals:
    """What has been counted between two reports. A count that has gone back has begun anew."""
    since = Totals()
    for name in _OF_ENDPOINTS:
        new = getattr(now, name)
        if new:
            old = getattr(before, name, 0)
            setattr(since, name, new - old if new >= old else new)
    return since
