"""Gateways and what goes through them without the mesh reading it: sessions of UDP, connections of TCP.

The names are Gateway API's (https://gateway-api.sigs.k8s.io/reference/spec/): a `Gateway` has listeners, a
`TransportRoute` (a UDPRoute or TCPRoute) attaches to them by its parents, a `MediaPolicy` says how sessions are
treated.
"Session" means a UDP session (one client address and port) or a TCP connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mesh.objects import ObjectName, WeightedBackend

# The class of gateways that are ours (Gateway API, GatewaySpec.gatewayClassName).
GATEWAY_CLASS = "media-streaming-mesh"


class TransportProtocol(Enum):
    """What a listener receives (Gateway API, Listener.protocol)."""

    UDP = "UDP"
    TCP = "TCP"


class RouteNamespaces(Enum):
    """Which namespaces a listener takes routes from (Gateway API, RouteNamespaces.from)."""

    SAME = "Same"
    ALL = "All"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port of a gateway. `place` is where it was written, for people: one that has moved in its file is the same."""

    name: str
    protocol: TransportProtocol
    port: int
    namespaces: RouteNamespaces = RouteNamespaces.SAME
    place: str = field(default="", compare=False)

    def label(self, gateway: ObjectName) -> str:
        """What to call it in a complaint, with its place if that is known."""
        name = f'listener "{self.name}" of Gateway {gateway}'
        return f"{self.place}: {name}" if self.place else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Listeners on the same addresses (IP addresses, wildcards allowed). No addresses: those of the mesh's media."""

    name: ObjectName
    listeners: tuple[Listener, ...]
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRef:
    """Listeners that a route wants: those of a gateway, of this name and port where they are given."""

    gateway: ObjectName
    listener: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportRoute:
    """A UDPRoute or TCPRoute. A backend of weight 0 gets no new sessions."""

    name: ObjectName
    protocol: TransportProtocol
    parents: tuple[ParentRef, ...]
    backends: tuple[WeightedBackend, ...]

    @property
    def kind(self) -> str:
        """UDPRoute or TCPRoute."""
        return f"{self.protocol.value}Route"

    @property
    def label(self) -> str:
        """Kind and name, as in "UDPRoute default/game"."""
        return f"{self.kind} {self.name}"


TransportRouteKey = tuple[TransportProtocol, ObjectName]
"""A UDPRoute and a TCPRoute may have one name."""


class Algorithm(Enum):
    """Which backend a new session goes to."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_REQUEST = "LeastRequest"
    RANDOM = "Random"
    MAGLEV = "Maglev"
    """By a hash, the same one each time, in every proxy and after a restart: of the client's IP address, or of the
    stream's path where a policy is for RTSP."""


class OnBackendChange(Enum):
    """What becomes of sessions whose backend is leaving, but still serves."""

    STICK = "Stick"
    MOVE = "Move"


class OnBackendFailure(Enum):
    """What becomes of an RTSP session whose server fails in mid-play."""

    END = "End"
    MOVE = "Move"


class MediaSource(Enum):
    """Whose packets are taken for a session's media, where it comes over UDP."""

    ANY = "Any"
    """The first one's who sends."""
    ADDRESS = "Address"
    """The first one's at the IP address of the camera, or of the client that records."""
    ADDRESS_AND_PORTS = "AddressAndPorts"
    """Those of the ports there that it has named."""


class ProbeProtocol(Enum):
    """How the health of an endpoint is found out."""

    TCP = "TCP"
    HTTP = "HTTP"
    RTSP = "RTSP"
    """OPTIONS or DESCRIBE, of servers of RTSPRoutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A probe by DESCRIBE of `path`, whose answer has to offer `codecs`, named as media types are ("video/H264")."""

    path: str = "/"
    codecs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Probes of every endpoint. Times are seconds. `port` None: the endpoint's own; `path` is for HTTP, `describe` for
    RTSP, in place of OPTIONS."""

    protocol: ProbeProtocol
    port: int | None
    path: str
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    describe: Described | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """Servers that fail `failures` times in a row are left out for `base` seconds, longer each time, up to
    `max_percent` of a backend's."""

    failures: int
    base: float
    max_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimit:
    """Sessions of the route, `sample_percent` of them, are played from the canary as well, for nobody: of `min_packets`
    and more of their packets, not more than the share `max_lost` (0 to 1) may be missing."""

    sample_percent: int
    min_packets: int
    max_lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A backend whose share of a route's sessions grows while it does well, and ends when it does not.

    `steps` are percents of the sessions, each kept for `interval` seconds or longer. Of `min_setups` and more requests
    that begin sessions not more than the share `max_failed` (0 to 1) may fail.
    """

    backend: ObjectName
    steps: tuple[int, ...]
    interval: float
    min_setups: int
    max_failed: float
    loss: LossLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """A line of JSON for every session, when it ends. `path` is a file of the proxy; None: its standard output."""

    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """What a policy says of sessions; None: nothing. Times are seconds."""

    algorithm: Algorithm | None = None
    per_packet: bool | None = None
    idle_timeout: float | None = None
    max_duration: float | None = None
    on_backend_change: OnBackendChange | None = None
    on_backend_failure: OnBackendFailure | None = None
    media_source: MediaSource | None = None
    max_sessions: int | None = None
    health_check: HealthCheck | None = None
    ejection: Ejection | None = None
    access_log: AccessLog | None = None
    canary: Canary | None = None


class TargetKind(Enum):
    """What a policy can be attached to."""

    GATEWAY = "Gateway"
    UDP_ROUTE = "UDPRoute"
    TCP_ROUTE = "TCPRoute"
    RTSP_ROUTE = "RTSPRoute"
    BACKEND = "Backend"

    @property
    def is_rtsp(self) -> bool:
        """Whether it is about RTSP, which our own proxy carries, and not about what Envoy does."""
        return self in (TargetKind.RTSP_ROUTE, TargetKind.BACKEND)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTarget:
    """What a policy is attached to. `listener` narrows a gateway down to one of its listeners."""

    kind: TargetKind
    name: ObjectName
    listener: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPolicy:
    """Settings, and what they are for."""

    name: ObjectName
    targets: tuple[PolicyTarget, ...]
    settings: PolicySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """How the sessions of one listener are treated: policies and defaults together."""

    idle_timeout: float
    max_sessions: int
    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    per_packet: bool = False
    max_duration: float | None = None
    on_backend_change: OnBackendChange = OnBackendChange.STICK
    on_backend_failure: OnBackendFailure | None = None
    media_source: MediaSource | None = None
    health_check: HealthCheck | None = None
    ejection: Ejection | None = None
    access_log: AccessLog | None = None
    canary: Canary | None = None


Gateways = Mapping[ObjectName, Gateway]
TransportRoutes = Mapping[TransportRouteKey, TransportRoute]
MediaPolicies = Mapping[ObjectName, MediaPolicy]
