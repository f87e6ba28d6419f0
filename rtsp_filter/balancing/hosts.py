"""Endpoints as a balancer sees them: what was said of them, and what has become of them here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mesh.model import Endpoint
from rtsp_filter.balancing.settings import Labels

OVERPROVISIONING_PERCENT = 140
"""Envoy's default: a priority is as good as whole while 72 % of its endpoints are."""

HostKey = tuple[str, str, int, str]
"""Name, address, port and path: what tells endpoints of a cluster apart."""


class Health(Enum):
    """What the control plane says of an endpoint; the values are for people."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Used when there are too few healthy ones."""
    UNHEALTHY = "unhealthy"
    """Used in panic only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An endpoint and its place. `locality` (region, zone, sub-zone) has `locality_weight`, 0 if none was said."""

    endpoint: Endpoint
    weight: int = 1
    health: Health = Health.HEALTHY
    priority: int = 0
    locality: tuple[str, str, str] = ("", "", "")
    locality_weight: int = 0
    labels: Labels = frozenset()

    @property
    def key(self) -> HostKey:
        """What it is known by."""
        return key_of(self.endpoint)

    @property
    def hash_key(self) -> str:
        """What rings and tables place it by: its address, as in Envoy, and the path, for recorders of many cameras."""
        endpoint = self.endpoint
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        return f"{host}:{endpoint.port}{endpoint.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The endpoints of a cluster. Those that drain are not among them."""

    hosts: tuple[Host, ...] = ()
    overprovisioning: int = OVERPROVISIONING_PERCENT


@dataclass(slots=True, kw_only=True)
class HostState:
    """What has become of an endpoint in this proxy. Times are the balancer's `now`, in seconds.

    `passing` is None without health checks, `check` says why it does not pass. `ejection` says why it is ejected, and
    `strikes` how many times it was, as far as that still counts.
    """

    host: Host
    since: float
    sessions: int = 0
    setups: int = 0
    failures: int = 0
    passing: bool | None = None
    ejected_until: float | None = None
    returned_at: float = 0.0
    strikes: int = 0
    ejection: str = ""
    check: str = ""

    @property
    def usable(self) -> bool:
        """Whether it may have new sessions, healthy or degraded."""
        return self.host.health is not Health.UNHEALTHY and self.passing is not False and self.ejected_until is None

    @property
    def why(self) -> str:
        """Why it is not used; empty if it is."""
        stated = "the control plane says so" if self.host.health is Health.UNHEALTHY else ""
        return "; ".join(filter(None, (stated, self.ejection, self.check)))

    @property
    def load(self) -> int:
        """What least request counts: sessions, and those that are being set up."""
        return self.sessions + self.setups


def key_of(endpoint: Endpoint) -> HostKey:
    """What an endpoint is known by."""
    return endpoint.name, endpoint.address, endpoint.port, endpoint.path
